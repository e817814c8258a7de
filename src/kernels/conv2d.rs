//! Two-dimensional convolution (cross-correlation, as PyTorch's): forward, jvp, gradient to the input, gradient to the weights.

mod outer;

pub use outer::grad_weight;
pub(super) use outer::gram;

use super::epilogue::{Epilogue, Mask};
use super::tile::{MOST_TAPS, ProductTile};
use super::weights::{Direction, Packing, WeightShape};
use crate::device::{Gpu, Quads, Variant};
use crate::error::Result;
use crate::program::{Dispatch, Shader, shader};
use crate::shape::Shape;

pub(super) const CONV2D: Shader = shader!("conv2d");
pub(super) const GRAD_WEIGHT: Shader = shader!("conv2d_grad_weight");

/// A convolution of square filters with zero padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2d {
    /// CI × H × W.
    pub input: Shape,
    /// CO.
    pub channels: usize,
    /// Filter side K.
    pub size: usize,
    /// Step of the filter.
    pub stride: usize,
    /// Zeros put around the image.
    pub padding: usize,
}

/// The columns of the input that one step of a product meets, a window.
#[derive(Clone, Copy, Debug)]
struct Window {
    /// The first of them for output 0, in the product's input.
    left: isize,
    /// Columns of a step, and steps to meet them all.
    columns: usize,
    segments: usize,
    /// Channels of a step. On a CPU, the more terms a step has, the less its sums cost to carry along.
    slices: usize,
}

impl Conv2d {
    /// A dense layer seen as a convolution of one pixel.
    pub const fn dense(inputs: usize, outputs: usize) -> Self {
        Self { input: Shape::vector(inputs), channels: outputs, size: 1, stride: 1, padding: 0 }
    }

    /// CO × OH × OW, or nothing when the filter does not fit into the padded image.
    pub fn output(&self) -> Option<Shape> {
        let side = |image: usize| Some((image + 2 * self.padding).checked_sub(self.size)? / self.stride + 1);
        Some(Shape::new(self.channels, side(self.input.height)?, side(self.input.width)?))
    }

    fn out(&self) -> Shape {
        self.output().expect("checked when the layer was made: the filter fits")
    }

    /// Shape of the parameters.
    pub fn weights(&self) -> WeightShape {
        WeightShape { outputs: self.channels, inputs: self.input.channels, taps: self.size * self.size }
    }

    /// Batch blocks of an input `x` and an output `y`, whose lengths must agree.
    fn blocks(&self, gpu: &Gpu, x: &Quads, y: &Quads) -> usize {
        let blocks = x.len() / (self.input.len() * gpu.profile.block);
        assert_eq!(x.len(), blocks * self.input.len() * gpu.profile.block);
        assert_eq!(y.len(), blocks * self.out().len() * gpu.profile.block);
        blocks
    }

    /// Backward, pixels p = 0 … stride-1 of dx meet columns (p + padding - k) / stride of dy, with 0 ≤ k < size the filter's column.
    fn window(&self, gpu: &Gpu, direction: Direction) -> Window {
        let [size, stride, padding] = [self.size, self.stride, self.padding].map(|n| n as isize);
        let (left, count) = match direction {
            Direction::Forward => (-padding, self.size),
            Direction::Backward => {
                let left = -((size - 1 - padding).div_euclid(stride));
                (left, ((stride - 1 + padding).div_euclid(stride) - left + 1) as usize)
            }
        };
        let (columns, segments) = if count > MOST_TAPS { (1, count) } else { (count, 1) };
        let channels = if direction == Direction::Forward { self.input.channels } else { self.channels };
        let most = if gpu.profile.variant == Variant::Software && segments == 1 { MOST_TAPS / columns } else { 1 };
        let slices = (1..=most).rev().find(|&slices| channels.is_multiple_of(slices)).unwrap_or(1);
        Window { left, columns, segments, slices }
    }

    /// The name under which the tile of a product is remembered.
    pub(super) fn tuning_key(&self, direction: Direction) -> String {
        let Self { input, channels, size, stride, padding } = self;
        format!("conv2d {direction:?} {input} to {channels}, {size}/{stride}/{padding}")
    }

    pub(super) fn tile(&self, gpu: &Gpu, direction: Direction) -> ProductTile {
        let (outputs, width) = match direction {
            Direction::Forward => (self.channels, self.out().width),
            Direction::Backward => (self.input.channels * self.stride, self.input.width.div_ceil(self.stride)),
        };
        ProductTile::choose(gpu, &self.tuning_key(direction), outputs, width)
    }

    /// Whether the windows of so many neighbouring pixels reach outside the image.
    fn is_padded(&self, pixels: usize) -> bool {
        let last = self.out().width.next_multiple_of(pixels) - 1;
        self.padding > 0 || last * self.stride + self.size > self.input.width
    }

    /// How a product reads its weights.
    pub fn packing(&self, gpu: &Gpu, direction: Direction) -> Packing {
        let (of_output, of_input) = (self.weights().patches(), self.size * self.size); // strides in θ
        let Window { left, columns, segments, slices } = self.window(gpu, direction);
        let forward = Packing {
            outputs: self.channels,
            tile: self.tile(gpu, direction).outputs,
            phases: 1,
            channels: self.input.channels,
            lines: self.size * segments,
            segments,
            taps: slices * columns,
            columns,
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
                outputs: self.input.channels * self.stride,
                phases: self.stride,
                channels: self.channels,
                output_stride: of_input,
                channel_stride: of_output,
                first: self.padding as isize - self.stride as isize * left,
                tap_step: -(self.stride as isize), // the window slides against the filter
                biases: None,
                ..forward
            },
        }
    }

    /// y = g(w ∗ x), of which `second` is another (x, w) to add.
    fn product(
        &self,
        gpu: &Gpu,
        direction: Direction,
        [x, y]: [&Quads; 2],
        weights: &Quads,
        second: Option<(&Quads, &Quads)>,
        epilogue: &Epilogue,
    ) -> Result<Dispatch> {
        let is_backward = direction == Direction::Backward;
        let [input, output] = if is_backward { [self.out(), self.input] } else { [self.input, self.out()] };
        let (stride, phases) = if is_backward { (1, self.stride) } else { (self.stride, 1) };
        let blocks = x.len() / (input.len() * gpu.profile.block);
        let (tile, window, packing) =
            (self.tile(gpu, direction), self.window(gpu, direction), self.packing(gpu, direction));
        assert_eq!(weights.len(), packing.len());
        let is_padded = is_backward || self.is_padded(tile.pixels);
        let (derivative, found) = epilogue.outputs(gpu)?;
        let mut constants = vec![
            ("CI", input.channels),
            ("CO", output.channels),
            ("H", input.height),
            ("W", input.width),
            ("OH", output.height),
            ("OW", output.width),
            ("SIZE", self.size),
            ("STRIDE", stride),
            ("PADDING", self.padding),
            ("IS_PADDED", usize::from(is_padded)),
            ("PHASES", phases),
            ("LEFT", window.left as usize),
            ("BACKWARD", usize::from(is_backward)),
            ("SEGMENTS", window.segments),
            ("SLICES", window.slices),
            ("TILE_ROWS", packing.rows()),
            ("BIAS", usize::from(packing.biases.is_some())),
            ("SOURCES", 1 + usize::from(second.is_some())),
            ("LANES", gpu.profile.lanes()),
            ("ROWS", gpu.profile.rows),
        ];
        constants.extend(tile.constants(window.slices, window.columns, stride.min(window.columns)));
        constants.extend(epilogue.constants());
        let (tx, v) = second.unwrap_or((x, weights));
        let bindings = [
            x.into(),
            weights.into(),
            tx.into(),
            v.into(),
            Mask::binding(epilogue.mask.as_ref(), x),
            y.into(),
            (&derivative).into(),
            (&found).into(),
        ];
        let strips = output.height.div_ceil(phases) * (output.width.div_ceil(phases)).div_ceil(tile.pixels);
        let groups = [strips.div_ceil(gpu.profile.rows), packing.tiles() * phases, blocks];
        Dispatch::new(gpu, &CONV2D, &constants, &bindings, x.grid(groups, 2, 1))
    }
}

/// y = f(w ∗ x + b). `x` `[N/B][CI][H][W][B]`, `packed` as [`Conv2d::packing`] forward, `y` `[N/B][CO][OH][OW][B]`.
///
/// # Errors
/// As [`Dispatch::new`].
pub fn forward(
    gpu: &Gpu,
    conv: &Conv2d,
    x: &Quads,
    packed: &Quads,
    y: &Quads,
    epilogue: &Epilogue,
) -> Result<Dispatch> {
    conv.blocks(gpu, x, y);
    conv.product(gpu, Direction::Forward, [x, y], packed, None, epilogue)
}

/// ty = mask ⊙ (w ∗ tx + v ∗ x + v's biases) in one pass, without the first product when the input is constant: `x` comes with v,
/// `tx` with w, both packed as [`Conv2d::packing`] forward.
///
/// # Errors
/// As [`Dispatch::new`].
pub fn jvp(
    gpu: &Gpu,
    conv: &Conv2d,
    x: (&Quads, &Quads),
    tx: Option<(&Quads, &Quads)>,
    ty: &Quads,
    mask: Option<&Mask>,
) -> Result<Dispatch> {
    conv.blocks(gpu, x.0, ty);
    let epilogue = Epilogue::masked(mask);
    match tx {
        None => conv.product(gpu, Direction::Forward, [x.0, ty], x.1, None, &epilogue),
        Some((tx, packed)) => conv.product(gpu, Direction::Forward, [tx, ty], packed, Some(x), &epilogue),
    }
}

/// dx = mask ⊙ the transposed convolution of dy. `packed` as [`Conv2d::packing`] backward.
///
/// # Errors
/// As [`Dispatch::new`].
pub fn grad_input(
    gpu: &Gpu,
    conv: &Conv2d,
    dy: &Quads,
    packed: &Quads,
    dx: &Quads,
    mask: Option<&Mask>,
) -> Result<Dispatch> {
    conv.blocks(gpu, dx, dy);
    conv.product(gpu, Direction::Backward, [dy, dx], packed, None, &Epilogue::masked(mask))
}

/// The same in f64, on plain `[N][C][H][W]`.
pub mod reference {
    use super::Conv2d;

    /// Visits every (n, co, output pixel, ci, tap) with the offsets (x, y, w) it joins.
    fn for_each(conv: &Conv2d, examples: usize, mut visit: impl FnMut(usize, usize, usize)) {
        let (x, y) = (conv.input, conv.out());
        for n in 0..examples {
            for co in 0..y.channels {
                for oh in 0..y.height {
                    for ow in 0..y.width {
                        for ci in 0..x.channels {
                            for kh in 0..conv.size {
                                for kw in 0..conv.size {
                                    // wraps above H in the padding
                                    let ih = (oh * conv.stride + kh).wrapping_sub(conv.padding);
                                    let iw = (ow * conv.stride + kw).wrapping_sub(conv.padding);
                                    if ih < x.height && iw < x.width {
                                        visit(
                                            ((n * x.channels + ci) * x.height + ih) * x.width + iw,
                                            ((n * y.channels + co) * y.height + oh) * y.width + ow,
                                            ((co * x.channels + ci) * conv.size + kh) * conv.size + kw,
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

    /// y = w ∗ x + b; `theta` holds the weights, then the biases.
    pub fn forward(conv: &Conv2d, x: &[f64], theta: &[f64]) -> Vec<f64> {
        let (examples, out) = (x.len() / conv.input.len(), conv.out());
        let bias = &theta[conv.channels * conv.weights().patches()..];
        let mut y: Vec<f64> = (0..examples * out.len()).map(|i| bias[i / out.pixels() % out.channels]).collect();
        for_each(conv, examples, |at_x, at_y, at_w| y[at_y] += theta[at_w] * x[at_x]);
        y
    }

    /// dx, the gradient to the input.
    pub fn grad_input(conv: &Conv2d, dy: &[f64], theta: &[f64]) -> Vec<f64> {
        let examples = dy.len() / conv.out().len();
        let mut dx = vec![0.0; examples * conv.input.len()];
        for_each(conv, examples, |at_x, at_y, at_w| dx[at_x] += theta[at_w] * dy[at_y]);
        dx
    }

    /// The gradient to the weights, then to the biases.
    pub fn grad_weight(conv: &Conv2d, x: &[f64], dy: &[f64]) -> Vec<f64> {
        let (examples, out) = (x.len() / conv.input.len(), conv.out());
        let mut g = vec![0.0; conv.weights().len()];
        for_each(conv, examples, |at_x, at_y, at_w| g[at_w] += x[at_x] * dy[at_y]);
        let biases = conv.channels * conv.weights().patches();
        for (i, dy) in dy.iter().enumerate() {
            g[biases + i / out.pixels() % out.channels] += dy;
        }
        g
    }
}
