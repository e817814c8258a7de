//! Dense layers: products of a weight matrix with a batch of vectors, forward w x + b, backward wᵀ dy, and the gradient
//! to the weights, dy xᵀ summed over the batch.

use super::conv2d::Conv2d;
use super::grid::{check_turns, turns};
use super::product::{Operands, Product};
use super::tile::{OuterTile, ProductTile};
use super::weights::{Direction, Packing, WeightShape};
use crate::device::{Buf, Gpu, Quads};
use crate::error::Result;
use crate::program::{Dispatch, Shader, shader};
use crate::shape::Shape;

pub(super) const MATMUL: Shader = shader!("matmul");
pub(super) const GRAD_WEIGHT: Shader = shader!("matmul_grad_weight");

/// Inputs summed in one step.
const TAPS: usize = 4;

/// A dense layer: every output meets every input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dense {
    /// Values of x.
    pub inputs: usize,
    /// Values of y.
    pub outputs: usize,
}

impl Dense {
    /// Values going in and coming out.
    fn sides(&self, direction: Direction) -> (usize, usize) {
        match direction {
            Direction::Forward => (self.inputs, self.outputs),
            Direction::Backward => (self.outputs, self.inputs),
        }
    }

    /// Turns of the loops of a product of so many sources.
    fn product_turns(&self, gpu: &Gpu, direction: Direction, sources: usize) -> usize {
        let [row, end] = self.tile(gpu, direction).turns(gpu, TAPS);
        sources * turns(self.sides(direction).0.div_ceil(TAPS), row) + end
    }

    fn outer_tile(&self, gpu: &Gpu) -> OuterTile {
        OuterTile::choose(gpu, self.inputs.div_ceil(TAPS), TAPS, self.outputs, usize::MAX)
    }

    /// Workgroups of one split of the weight gradient, along outputs and along inputs.
    fn outer_tiles(&self, gpu: &Gpu) -> [usize; 2] {
        let tile = self.outer_tile(gpu);
        [self.outputs.div_ceil(4 * tile.quads), self.inputs.div_ceil(TAPS * tile.lines)]
    }
}

impl Product for Dense {
    fn shapes(&self) -> [Shape; 2] {
        [self.inputs, self.outputs].map(Shape::vector)
    }

    fn weights(&self) -> WeightShape {
        WeightShape { outputs: self.outputs, inputs: self.inputs, taps: 1 }
    }

    fn weight_dims(&self) -> Vec<usize> {
        vec![self.outputs, self.inputs]
    }

    fn patches(&self) -> Option<Conv2d> {
        Some(Conv2d::dense(self.inputs, self.outputs))
    }

    fn tuning_key(&self, direction: Direction) -> String {
        format!("matmul {direction:?} {} to {}", self.inputs, self.outputs)
    }

    fn tile(&self, gpu: &Gpu, direction: Direction) -> ProductTile {
        let batch = usize::MAX >> 8; // as many batch blocks as fit into a tile
        ProductTile::choose(gpu, &self.tuning_key(direction), self.sides(direction).1, batch)
    }

    fn packing(&self, gpu: &Gpu, direction: Direction) -> Packing {
        let (inputs, outputs) = self.sides(direction);
        let (output_stride, input_stride) = match direction {
            Direction::Forward => (inputs, 1),
            Direction::Backward => (1, outputs),
        };
        let lines = inputs.div_ceil(TAPS);
        Packing {
            groups: 1,
            outputs,
            tile: self.tile(gpu, direction).outputs,
            phases: 1,
            channels: 1,
            lines,
            segments: lines,
            taps: TAPS,
            columns: TAPS,
            group_stride: 0,
            output_stride,
            channel_stride: 0,
            line_stride: 0,
            position_stride: input_stride,
            first: 0,
            tap_step: 1,
            positions: inputs,
            biases: (direction == Direction::Forward).then_some(outputs * inputs),
        }
    }

    fn product(&self, gpu: &Gpu, direction: Direction, blocks: usize, operands: &Operands<'_>) -> Result<Dispatch> {
        let (inputs, outputs) = self.sides(direction);
        let (packing, rows) = (self.packing(gpu, direction), gpu.profile.rows);
        let groups = |tile: ProductTile| blocks.div_ceil(tile.pixels * rows) * packing.tiles();
        let tile = self.tile(gpu, direction).filling(gpu, groups);
        check_turns(gpu, MATMUL.name, self.product_turns(gpu, direction, operands.sources()))?;
        // where even single blocks leave rows without one, the rows share the sum
        let shares = if tile.pixels == 1 && groups(tile) < gpu.profile.enough_workgroups() { rows } else { 1 };
        let mut constants = vec![("INPUTS", inputs), ("CO", outputs), ("PHASES", 1), ("SHARES", shares)];
        constants.extend(tile.constants(gpu, shares, 1, TAPS, TAPS));
        constants.extend(operands.constants(&packing));
        let (input, per) = (operands.source.0, tile.pixels * rows / shares);
        let [x, w, tx, v, mask] = operands.inputs();
        let [y, derivative, found] = operands.outputs(gpu)?;
        let bindings = [x, w, tx, v, mask, input.block_count(gpu, blocks)?.into(), y, derivative, found];
        let grid = input.grid(gpu, [blocks.div_ceil(per), packing.tiles(), 1], 0, per)?;
        Dispatch::new(gpu, &MATMUL, &constants, &bindings, grid)
    }

    fn turns(&self, gpu: &Gpu) -> usize {
        self.product_turns(gpu, Direction::Forward, 2).max(self.product_turns(gpu, Direction::Backward, 1))
    }

    fn splits(&self, gpu: &Gpu, blocks: usize) -> usize {
        let tiles = self.outer_tiles(gpu).iter().product();
        self.weights().splits(gpu, tiles, blocks.div_ceil(self.outer_tile(gpu).pixels))
    }

    fn grad_weight(&self, gpu: &Gpu, x: &Quads, dy: &Quads, partial: &Buf) -> Result<Dispatch> {
        let blocks = self.blocks(gpu, x, dy);
        let splits = self.splits(gpu, blocks);
        assert_eq!(partial.len(), splits * self.weights().partial_len());
        let mut constants = vec![("INPUTS", self.inputs), ("CO", self.outputs)];
        constants.extend(self.outer_tile(gpu).constants(gpu, TAPS, TAPS));
        let bindings = [x.into(), dy.into(), x.block_count(gpu, blocks)?.into(), partial.into()];
        let [outputs, inputs] = self.outer_tiles(gpu);
        Dispatch::new(gpu, &GRAD_WEIGHT, &constants, &bindings, [outputs, inputs, splits])
    }

    fn for_each_term(&self, examples: usize, visit: &mut dyn FnMut(usize, usize, usize)) {
        for n in 0..examples {
            for o in 0..self.outputs {
                (0..self.inputs).for_each(|i| visit(n * self.inputs + i, n * self.outputs + o, o * self.inputs + i));
            }
        }
    }
}
