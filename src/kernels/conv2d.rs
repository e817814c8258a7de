//! Two-dimensional convolution (cross-correlation, as PyTorch's): forward, gradient to the input, gradient to the weights.

use super::TILE;
use super::weights::{Direction, WeightShape};
use crate::device::{Buf, Gpu};
use crate::error::Result;
use crate::kernel::{Dispatch, Shader, shader};
use crate::shape::Shape;

pub(super) const FORWARD: Shader = shader!("conv2d_forward");
pub(super) const GRAD_INPUT: Shader = shader!("conv2d_grad_input");
pub(super) const GRAD_WEIGHT: Shader = shader!("conv2d_grad_weight");

/// Neighbouring pixels of one register tile.
const PIXELS: usize = 4;

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

/// What a forward product does beyond the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Epilogue {
    /// y = w x + b
    Bias,
    /// y += w x
    Accumulate,
    /// y = w x
    Store,
}

impl Epilogue {
    pub(super) fn constants(self) -> [(&'static str, usize); 2] {
        [("BIAS", usize::from(self == Self::Bias)), ("ACCUMULATE", usize::from(self == Self::Accumulate))]
    }
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

    fn constants(&self, gpu: &Gpu) -> Vec<(&'static str, usize)> {
        let out = self.out();
        vec![
            ("CI", self.input.channels),
            ("CO", self.channels),
            ("H", self.input.height),
            ("W", self.input.width),
            ("OH", out.height),
            ("OW", out.width),
            ("SIZE", self.size),
            ("STRIDE", self.stride),
            ("PADDING", self.padding),
            ("LANES", gpu.profile.lanes()),
            ("ROWS", gpu.profile.rows as usize),
        ]
    }

    /// Batch blocks of an input `x` and an output `y`, whose lengths must agree.
    fn blocks(&self, gpu: &Gpu, x: &Buf, y: &Buf) -> usize {
        let blocks = x.len() / (self.input.len() * gpu.profile.block);
        assert_eq!(x.len(), blocks * self.input.len() * gpu.profile.block);
        assert_eq!(y.len(), blocks * self.out().len() * gpu.profile.block);
        blocks
    }
}

/// y (+)= w ∗ x (+ b). `x` `[N/B][CI][H][W][B]`, `packed` from [`pack`](super::weights::pack) forward, `y` `[N/B][CO][OH][OW][B]`.
///
/// # Errors
/// As [`Dispatch::new`].
pub fn forward(gpu: &Gpu, conv: &Conv2d, epilogue: Epilogue, x: &Buf, packed: &Buf, y: &Buf) -> Result<Dispatch> {
    let blocks = conv.blocks(gpu, x, y);
    assert_eq!(packed.len(), conv.weights().packed_len(Direction::Forward));
    let mut constants = conv.constants(gpu);
    constants.extend(epilogue.constants());
    let strips = conv.out().height * conv.out().width.div_ceil(PIXELS);
    let groups = strips.div_ceil(gpu.profile.rows as usize);
    Dispatch::new(gpu, &FORWARD, &constants, &[x, packed, y], [groups, conv.channels.div_ceil(TILE), blocks])
}

/// dx = the transposed convolution of dy. `packed` from [`pack`](super::weights::pack) backward.
///
/// # Errors
/// As [`Dispatch::new`].
pub fn grad_input(gpu: &Gpu, conv: &Conv2d, dy: &Buf, packed: &Buf, dx: &Buf) -> Result<Dispatch> {
    let blocks = conv.blocks(gpu, dx, dy);
    assert_eq!(packed.len(), conv.weights().packed_len(Direction::Backward));
    let phases = conv.stride * conv.stride;
    let strips = conv.input.height.div_ceil(conv.stride) * conv.input.width.div_ceil(conv.stride).div_ceil(PIXELS);
    let grid = [strips.div_ceil(gpu.profile.rows as usize), conv.input.channels.div_ceil(TILE) * phases, blocks];
    Dispatch::new(gpu, &GRAD_INPUT, &conv.constants(gpu), &[dy, packed, dx], grid)
}

/// partial\[s\] = the weight and bias gradient of split s; [`reduce_partials`](super::weights::reduce_partials) sums them.
/// `partial` holds [`WeightShape::splits`] × [`WeightShape::partial_len`] words.
///
/// # Errors
/// As [`Dispatch::new`].
pub fn grad_weight(gpu: &Gpu, conv: &Conv2d, x: &Buf, dy: &Buf, partial: &Buf) -> Result<Dispatch> {
    let shape = conv.weights();
    let splits = shape.splits(gpu, conv.blocks(gpu, x, dy));
    assert_eq!(partial.len(), splits * shape.partial_len());
    let grid = [shape.outputs.div_ceil(TILE), (shape.patches() + 1).div_ceil(TILE), splits];
    Dispatch::new(gpu, &GRAD_WEIGHT, &conv.constants(gpu), &[x, dy, partial], grid)
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
