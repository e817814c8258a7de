//! Weights between the flat parameter vector (PyTorch's order) and the tiles that products read and gradients write.

use super::{TILE, elementwise_grid};
use crate::device::{Buf, Gpu};
use crate::error::Result;
use crate::kernel::{Dispatch, Shader, shader};

pub(super) const PACK: Shader = shader!("pack_weights");
pub(super) const REDUCE: Shader = shader!("reduce_partials");

/// Parameters of one convolution or dense layer: `w[outputs][inputs][taps]`, then `b[outputs]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeightShape {
    /// Output channels or units.
    pub outputs: usize,
    /// Input channels or units.
    pub inputs: usize,
    /// Filter positions: 1 for a dense layer.
    pub taps: usize,
}

/// Which product the packed weights are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// y = w x + b: tiles of outputs, rows (input, tap), then a row of biases.
    Forward,
    /// dx = wᵀ dy: tiles of inputs, rows (output, tap).
    Backward,
}

impl WeightShape {
    /// Weights and biases.
    pub fn len(&self) -> usize {
        self.outputs * (self.patches() + 1)
    }

    /// Always false: a layer has at least a bias.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fan-in: inputs × taps.
    pub fn patches(&self) -> usize {
        self.inputs * self.taps
    }

    /// Words that the packed weights take.
    pub fn packed_len(&self, direction: Direction) -> usize {
        match direction {
            Direction::Forward => self.outputs.next_multiple_of(TILE) * (self.patches() + 1),
            Direction::Backward => self.inputs.next_multiple_of(TILE) * self.outputs * self.taps,
        }
    }

    /// Words that one split of the weight gradient takes: patches with the bias row × outputs, both padded to tiles.
    pub fn partial_len(&self) -> usize {
        (self.patches() + 1).next_multiple_of(TILE) * self.outputs.next_multiple_of(TILE)
    }

    /// Parts into which `blocks` batch blocks are split for the weight gradient: enough workgroups to fill the device, at
    /// least one block for each row of a workgroup, and no more than 16 MiB of partial sums.
    pub fn splits(&self, gpu: &Gpu, blocks: usize) -> usize {
        let tiles = self.partial_len() / (TILE * TILE);
        let room = ((1 << 22) / self.partial_len()).max(1);
        gpu.profile.workgroups.div_ceil(tiles).min(blocks.div_ceil(gpu.profile.rows as usize)).min(room)
    }
}

/// packed = tiles of `theta` for one direction.
///
/// # Errors
/// As [`Dispatch::new`].
pub fn pack(gpu: &Gpu, shape: &WeightShape, direction: Direction, theta: &Buf, packed: &Buf) -> Result<Dispatch> {
    assert_eq!(theta.len(), shape.len());
    assert_eq!(packed.len(), shape.packed_len(direction));
    let (of_output, of_input) = (shape.patches(), shape.taps); // strides in theta
    let (outputs, reduced, output_stride, reduced_stride) = match direction {
        Direction::Forward => (shape.outputs, shape.inputs, of_output, of_input),
        Direction::Backward => (shape.inputs, shape.outputs, of_input, of_output),
    };
    let constants = [
        ("OUTPUTS", outputs),
        ("REDUCED", reduced),
        ("TAPS", shape.taps),
        ("OUTPUT_STRIDE", output_stride),
        ("REDUCED_STRIDE", reduced_stride),
        ("BIAS", usize::from(direction == Direction::Forward)),
    ];
    Dispatch::new(gpu, &PACK, &constants, &[theta, packed], elementwise_grid(packed.len()))
}

/// g += the sum over splits of `partial[splits][patches+1 padded][outputs padded]`, in the layout of the parameters.
///
/// # Errors
/// As [`Dispatch::new`].
pub fn reduce_partials(gpu: &Gpu, shape: &WeightShape, partial: &Buf, g: &Buf) -> Result<Dispatch> {
    assert_eq!(g.len(), shape.len());
    assert!(partial.len().is_multiple_of(shape.partial_len()));
    let constants = [("OUTPUTS", shape.outputs), ("PATCHES", shape.patches())];
    Dispatch::new(gpu, &REDUCE, &constants, &[partial, g], elementwise_grid(g.len()))
}

/// The same in f64.
pub mod reference {
    use super::{Direction, TILE, WeightShape};

    /// Tiles of `theta` for one direction.
    pub fn pack(shape: &WeightShape, direction: Direction, theta: &[f64]) -> Vec<f64> {
        let weight = |o: usize, i: usize, tap: usize| theta[(o * shape.inputs + i) * shape.taps + tap];
        let bias = |o: usize| theta[shape.outputs * shape.patches() + o];
        let (tiled, reduced) = match direction {
            Direction::Forward => (shape.outputs, shape.inputs),
            Direction::Backward => (shape.inputs, shape.outputs),
        };
        let mut packed = Vec::new();
        for first in (0..tiled).step_by(TILE) {
            for r in 0..reduced {
                for tap in 0..shape.taps {
                    packed.extend((first..first + TILE).map(|t| match direction {
                        _ if t >= tiled => 0.0,
                        Direction::Forward => weight(t, r, tap),
                        Direction::Backward => weight(r, t, tap),
                    }));
                }
            }
            if direction == Direction::Forward {
                packed.extend((first..first + TILE).map(|t| if t < tiled { bias(t) } else { 0.0 }));
            }
        }
        packed
    }

    /// Sum over splits, in the layout of the parameters.
    pub fn reduce_partials(shape: &WeightShape, partial: &[f64]) -> Vec<f64> {
        let outputs8 = shape.outputs.next_multiple_of(TILE);
        let sum = |row: usize, o: usize| {
            partial.chunks_exact(shape.partial_len()).map(|split| split[row * outputs8 + o]).sum::<f64>()
        };
        let weights = (0..shape.outputs).flat_map(|o| (0..shape.patches()).map(move |row| (row, o)));
        let biases = (0..shape.outputs).map(|o| (shape.patches(), o));
        weights.chain(biases).map(|(row, o)| sum(row, o)).collect()
    }
}
