//! The convolution as a product: how its weights are packed, and its one kernel for forward, jvp and gradient to the
//! input.

use super::{CONV2D, Conv2d, Window};
use crate::device::{Buf, Gpu, Quads};
use crate::error::Result;
use crate::kernels::grid::{check_turns, turns};
use crate::kernels::product::{Operands, Product};
use crate::kernels::tile::ProductTile;
use crate::kernels::weights::{Direction, Packing, WeightShape};
use crate::program::Dispatch;
use crate::shape::Shape;

impl Conv2d {
    /// Turns of the loops of a product of so many sources.
    fn product_turns(&self, gpu: &Gpu, direction: Direction, sources: usize) -> usize {
        let Window { columns, segments, slices, .. } = self.window(gpu, direction);
        let [channels, _] = self.sides(direction);
        let [row, end] = self.tile(gpu, direction).turns(gpu, slices * columns);
        sources * turns(channels.div_ceil(slices), turns(self.size * segments, row)) + end
    }
}

impl Product for Conv2d {
    fn shapes(&self) -> [Shape; 2] {
        [self.input, self.out()]
    }

    fn weights(&self) -> WeightShape {
        Conv2d::weights(self)
    }

    fn weight_dims(&self) -> Vec<usize> {
        vec![self.channels, self.weights().inputs, self.size, self.size]
    }

    fn patches(&self) -> Option<Conv2d> {
        Some(*self)
    }

    fn tuning_key(&self, direction: Direction) -> String {
        let Self { input, channels, size, stride, padding, groups } = self;
        let of_groups = if *groups > 1 { format!(" in {groups} groups") } else { String::new() };
        format!("conv2d {direction:?} {input} to {channels}, {size}/{stride}/{padding}{of_groups}")
    }

    fn tile(&self, gpu: &Gpu, direction: Direction) -> ProductTile {
        let [_, channels] = self.sides(direction);
        let (outputs, width) = match direction {
            Direction::Forward => (channels, self.out().width),
            Direction::Backward => (channels * self.stride, self.input.width.div_ceil(self.stride)),
        };
        let tile = ProductTile::choose(gpu, &self.tuning_key(direction), outputs, width);
        // no other output meets the inputs of a group
        if self.groups > 1 { ProductTile { outputs: tile.outputs.min(outputs), ..tile } } else { tile }
    }

    fn packing(&self, gpu: &Gpu, direction: Direction) -> Packing {
        let (of_output, of_input) = (self.weights().patches(), self.size * self.size); // strides in θ
        let Window { left, columns, segments, slices } = self.window(gpu, direction);
        let [channels, outputs] = self.sides(direction);
        let forward = Packing {
            groups: self.groups,
            outputs,
            tile: self.tile(gpu, direction).outputs,
            phases: 1,
            channels,
            lines: self.size * segments,
            segments,
            taps: slices * columns,
            columns,
            group_stride: self.channels / self.groups * of_output,
            output_stride: of_output,
            channel_stride: of_input,
            line_stride: self.size,
            position_stride: 1,
            first: 0,
            tap_step: 1,
            positions: self.size,
            biases: Some(self.channels * of_output),
        };
        match direction {
            Direction::Forward => forward,
            Direction::Backward => Packing {
                outputs: outputs * self.stride,
                phases: self.stride,
                output_stride: of_input,
                channel_stride: of_output,
                first: self.padding as isize - self.stride as isize * left,
                tap_step: -(self.stride as isize), // the window slides against the filter
                biases: None,
                ..forward
            },
        }
    }

    fn product(&self, gpu: &Gpu, direction: Direction, blocks: usize, operands: &Operands<'_>) -> Result<Dispatch> {
        let is_backward = direction == Direction::Backward;
        let [input, output] = if is_backward { [self.out(), self.input] } else { [self.input, self.out()] };
        let (stride, phases) = if is_backward { (1, self.stride) } else { (self.stride, 1) };
        let (window, packing) = (self.window(gpu, direction), self.packing(gpu, direction));
        let [summed, of_group] = self.sides(direction);
        let groups = |tile: ProductTile| {
            let strips = output.height.div_ceil(phases) * (output.width.div_ceil(phases)).div_ceil(tile.pixels);
            [strips.div_ceil(gpu.profile.rows), packing.tiles() * phases, blocks]
        };
        let tile = self.tile(gpu, direction).filling(gpu, |tile| groups(tile).iter().product());
        check_turns(gpu, CONV2D.name, self.product_turns(gpu, direction, operands.sources()))?;
        let mut constants = vec![
            ("CI", input.channels),
            ("CO", output.channels),
            ("GROUP_CI", summed),
            ("GROUP_CO", of_group),
            ("TILES", packing.tiles() / self.groups),
            ("H", input.height),
            ("W", input.width),
            ("OH", output.height),
            ("OW", output.width),
            ("SIZE", self.size),
            ("STRIDE", stride),
            ("PADDING", self.padding),
            ("IS_PADDED", usize::from(is_backward || self.is_padded(tile.pixels))),
            ("PHASES", phases),
            ("LEFT", window.left as usize),
            ("BACKWARD", usize::from(is_backward)),
            ("SEGMENTS", window.segments),
            ("SLICES", window.slices),
        ];
        constants.extend(tile.constants(gpu, 1, window.slices, window.columns, stride.min(window.columns)));
        constants.extend(operands.constants(&packing));
        let [x, w, tx, v, mask] = operands.inputs();
        let [y, derivative, found] = operands.outputs(gpu)?;
        let grid = operands.source.0.grid(gpu, groups(tile), 2, 1)?;
        Dispatch::new(gpu, &CONV2D, &constants, &[x, w, tx, v, mask, y, derivative, found], grid)
    }

    fn turns(&self, gpu: &Gpu) -> usize {
        let products =
            self.product_turns(gpu, Direction::Forward, 2).max(self.product_turns(gpu, Direction::Backward, 1));
        let of_gradient =
            if self.groups > 1 { self.grouped_turns(gpu, 1) } else { self.outer_turns(gpu, self.channels, 1) };
        products.max(of_gradient)
    }

    fn splits(&self, gpu: &Gpu, blocks: usize) -> usize {
        if self.groups > 1 { self.grouped_splits(gpu, blocks) } else { self.outer_splits(gpu, self.channels, blocks) }
    }

    fn grad_weight(&self, gpu: &Gpu, x: &Quads, dy: &Quads, partial: &Buf) -> Result<Dispatch> {
        self.blocks(gpu, x, dy);
        if self.groups > 1 {
            return self.grouped_products(gpu, x, dy, partial);
        }
        self.outer_products(gpu, x, Some(dy), self.weights(), partial)
    }

    fn for_each_term(&self, examples: usize, visit: &mut dyn FnMut(usize, usize, usize)) {
        let (x, y, group) = (self.input, self.out(), self.of_group());
        for n in 0..examples {
            for co in 0..y.channels {
                for oh in 0..y.height {
                    for ow in 0..y.width {
                        for within in 0..group.input.channels {
                            let ci = co / group.channels * group.input.channels + within;
                            for kh in 0..self.size {
                                for kw in 0..self.size {
                                    // wraps above H in the padding
                                    let ih = (oh * self.stride + kh).wrapping_sub(self.padding);
                                    let iw = (ow * self.stride + kw).wrapping_sub(self.padding);
                                    if ih < x.height && iw < x.width {
                                        visit(
                                            ((n * x.channels + ci) * x.height + ih) * x.width + iw,
                                            ((n * y.channels + co) * y.height + oh) * y.width + ow,
                                            ((co * group.input.channels + within) * self.size + kh) * self.size + kw,
                                        );
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
