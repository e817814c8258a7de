//! Weights between the flat parameter vector (PyTorch's order) and the tiles that products read and gradients write.

use super::grid::{elementwise_grid, looping_grid, turns};
use crate::device::{Buf, Gpu, Quads};
use crate::error::Result;
use crate::program::{Dispatch, Shader, shader};

pub(super) const PACK: Shader = shader!("pack_weights");
pub(super) const REDUCE: Shader = shader!("reduce_partials");

/// Rows and columns of partial sums are padded to multiples of this.
pub const PARTIAL_MULTIPLE: usize = 8;

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
    /// y = w x + b
    Forward,
    /// dx = wᵀ dy
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

    /// Words that one split of the weight gradient takes: patches with the bias row × outputs, both padded.
    pub fn partial_len(&self) -> usize {
        (self.patches() + 1).next_multiple_of(PARTIAL_MULTIPLE) * self.outputs.next_multiple_of(PARTIAL_MULTIPLE)
    }

    /// Parts into which `blocks` batch blocks are split for a weight gradient in so many `tiles`: enough workgroups to
    /// fill the device, at least one block for each row of a workgroup, and no more than 16 MiB of partial sums.
    pub(super) fn splits(&self, gpu: &Gpu, tiles: usize, blocks: usize) -> usize {
        let room = ((1 << 22) / self.partial_len()).max(1);
        gpu.profile.workgroups.div_ceil(tiles).min(blocks.div_ceil(gpu.profile.rows)).min(room)
    }
}

/// The weights that a product reads: `[tile][row][o][tap]`, rows (channel, line) padded to whole vec4s, a tile ending
/// with a row of biases if `biases`. Strides are in words of θ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packing {
    /// Outputs of the product: `phases` of each channel that comes out.
    pub outputs: usize,
    /// Outputs of a tile.
    pub tile: usize,
    /// Outputs that differ only in which positions of a filter row they meet, each phase one further than the one
    /// before.
    pub phases: usize,
    /// Channels summed over.
    pub channels: usize,
    /// Rows of a channel, `segments` to a filter row.
    pub lines: usize,
    /// Rows of a filter row.
    pub segments: usize,
    /// Terms of a row: so many columns of each of some channels.
    pub taps: usize,
    /// Neighbouring positions of one channel in a row.
    pub columns: usize,
    /// From a channel that comes out to the next.
    pub output_stride: usize,
    /// From a channel summed over to the next.
    pub channel_stride: usize,
    /// From a filter row to the next.
    pub line_stride: usize,
    /// From a position in a filter row to the next.
    pub position_stride: usize,
    /// Position of the first tap of phase 0; where it or another falls outside the filter row, the weight is zero.
    pub first: isize,
    /// Positions from a tap to the next.
    pub tap_step: isize,
    /// Positions of a filter row.
    pub positions: usize,
    /// Where the biases begin.
    pub biases: Option<usize>,
}

impl Packing {
    /// Rows of a tile.
    pub fn rows(&self) -> usize {
        self.weight_rows() + usize::from(self.biases.is_some())
    }

    fn weight_rows(&self) -> usize {
        self.channels.div_ceil(self.taps / self.columns) * self.lines
    }

    fn row_len(&self) -> usize {
        (self.tile * self.taps).next_multiple_of(4)
    }

    /// Tiles of outputs.
    pub fn tiles(&self) -> usize {
        self.outputs.div_ceil(self.tile)
    }

    /// Words that the packed weights take.
    #[expect(clippy::len_without_is_empty, reason = "there is always a weight")]
    pub fn len(&self) -> usize {
        self.tiles() * self.rows() * self.row_len()
    }
}

/// packed = the tiles of `theta`.
///
/// # Errors
/// As [`Dispatch::new`].
pub fn pack(gpu: &Gpu, packing: &Packing, theta: &Buf, packed: &Quads) -> Result<Dispatch> {
    assert_eq!(packed.len(), packing.len());
    let constants = [
        ("OUTPUTS", packing.outputs),
        ("TILE", packing.tile),
        ("PHASES", packing.phases),
        ("CHANNELS", packing.channels),
        ("LINES", packing.lines),
        ("SEGMENTS", packing.segments),
        ("TAPS", packing.taps),
        ("COLUMNS", packing.columns),
        ("OUTPUT_STRIDE", packing.output_stride),
        ("CHANNEL_STRIDE", packing.channel_stride),
        ("LINE_STRIDE", packing.line_stride),
        ("POSITION_STRIDE", packing.position_stride),
        ("FIRST", packing.first as usize),
        ("TAP_STEP", packing.tap_step as usize),
        ("POSITIONS", packing.positions),
        ("BIAS", usize::from(packing.biases.is_some())),
        ("BIASES", packing.biases.unwrap_or(0)),
    ];
    let quads = packed.len() / 4;
    let bindings = [theta.into(), gpu.uniform(quads)?.into(), packed.into()];
    Dispatch::new(gpu, &PACK, &constants, &bindings, elementwise_grid(gpu, quads))
}

/// g += the sum over splits of `partial[splits][patches+1 padded][outputs padded]`, in the layout of the parameters.
///
/// # Errors
/// As [`Dispatch::new`].
pub fn reduce_partials(gpu: &Gpu, shape: &WeightShape, partial: &Buf, g: &Buf) -> Result<Dispatch> {
    assert_eq!(g.len(), shape.len());
    assert!(partial.len().is_multiple_of(shape.partial_len()));
    let constants = [("OUTPUTS", shape.outputs), ("PATCHES", shape.patches())];
    let of_splits = turns(partial.len() / shape.partial_len(), 0);
    let grid = looping_grid(gpu, &REDUCE, g.len(), of_splits)?;
    Dispatch::new(gpu, &REDUCE, &constants, &[partial.into(), g.into()], grid)
}

/// The same in f64.
pub mod reference {
    use crate::kernels::weights::{PARTIAL_MULTIPLE, Packing, WeightShape};

    /// The tiles of `theta`.
    pub fn pack(packing: &Packing, theta: &[f64]) -> Vec<f64> {
        let mut packed = Vec::new();
        for tile in 0..packing.tiles() {
            for row in 0..packing.rows() {
                let (slice, line) = (row / packing.lines, row % packing.lines);
                let mut words = vec![0.0; packing.row_len()];
                for o in (0..packing.tile).filter(|o| tile * packing.tile + o < packing.outputs) {
                    let output = tile * packing.tile + o;
                    match packing.biases {
                        Some(biases) if row == packing.weight_rows() => words[o] = theta[biases + output],
                        _ => {
                            for tap in 0..packing.taps {
                                let channel = slice * (packing.taps / packing.columns) + tap / packing.columns;
                                let column = line % packing.segments * packing.columns + tap % packing.columns;
                                let position = packing.first
                                    + (output % packing.phases) as isize
                                    + column as isize * packing.tap_step;
                                if channel < packing.channels && (0..packing.positions as isize).contains(&position) {
                                    let at = output / packing.phases * packing.output_stride
                                        + channel * packing.channel_stride
                                        + line / packing.segments * packing.line_stride
                                        + position as usize * packing.position_stride;
                                    words[o * packing.taps + tap] = theta[at];
                                }
                            }
                        }
                    }
                }
                packed.extend(words);
            }
        }
        packed
    }

    /// Sum over splits, in the layout of the parameters.
    pub fn reduce_partials(shape: &WeightShape, partial: &[f64]) -> Vec<f64> {
        let stride = shape.outputs.next_multiple_of(PARTIAL_MULTIPLE);
        let sum = |row: usize, o: usize| {
            partial.chunks_exact(shape.partial_len()).map(|split| split[row * stride + o]).sum::<f64>()
        };
        let weights = (0..shape.outputs).flat_map(|o| (0..shape.patches()).map(move |row| (row, o)));
        let biases = (0..shape.outputs).map(|o| (shape.patches(), o));
        weights.chain(biases).map(|(row, o)| sum(row, o)).collect()
    }
}
