//! Two-dimensional convolution (cross-correlation, as PyTorch's): which pixels and weights meet; the sums over them are
//! files below.

mod grouped;
mod outer;
mod product;

use super::tile::MOST_TAPS;
use super::weights::{Direction, WeightShape};
use crate::device::{Gpu, Variant};
use crate::program::{Shader, shader};
use crate::shape::Shape;

pub(super) const CONV2D: Shader = shader!("conv2d");
pub(super) const GRAD_WEIGHT: Shader = shader!("conv2d_grad_weight");
pub(super) const GROUPED_GRAD_WEIGHT: Shader = shader!("grouped_grad_weight");

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
    /// G, which divides CI and CO: output channels of one of so many equal parts meet the inputs of the same part. As
    /// many as channels make a depthwise convolution.
    pub groups: usize,
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
        Self { input: Shape::vector(inputs), channels: outputs, size: 1, stride: 1, padding: 0, groups: 1 }
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
        WeightShape { outputs: self.channels, inputs: self.of_group().input.channels, taps: self.size * self.size }
    }

    /// The convolution that each group is by itself.
    pub fn of_group(&self) -> Self {
        let [inputs, channels] = [self.input.channels, self.channels].map(|channels| channels / self.groups);
        Self { input: Shape { channels: inputs, ..self.input }, channels, groups: 1, ..*self }
    }

    /// Channels of a group that are summed over, and that come out.
    fn sides(&self, direction: Direction) -> [usize; 2] {
        let group = self.of_group();
        match direction {
            Direction::Forward => [group.input.channels, group.channels],
            Direction::Backward => [group.channels, group.input.channels],
        }
    }

    /// Backward, pixels p = 0 … stride-1 of dx meet columns (p + padding - k) / stride of dy, with 0 ≤ k < size the
    /// filter's column.
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
        let [channels, _] = self.sides(direction);
        let most = if gpu.profile.variant == Variant::Software && segments == 1 { MOST_TAPS / columns } else { 1 };
        let slices = (1..=most).rev().find(|&slices| channels.is_multiple_of(slices)).unwrap_or(1);
        Window { left, columns, segments, slices }
    }

    /// Whether the windows of so many neighbouring pixels reach outside the image.
    fn is_padded(&self, pixels: usize) -> bool {
        let last = self.out().width.next_multiple_of(pixels) - 1;
        self.padding > 0 || last * self.stride + self.size > self.input.width
    }
}
