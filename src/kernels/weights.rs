//! Weights between the flat parameter vector (PyTorch's order) and the tiles that products read and gradients write.

use super::grid::{elementwise_grid, looping_grid, turns};
use super::jobs::{ReduceJob, word};
use crate::device::{ALIGNMENT, Buf, Gpu, Quads};
use crate::error::Result;
use crate::program::{Dispatch, Shader, shader};
use std::ops::Range;

pub(super) const PACK: Shader = shader!("pack_weights");
pub(super) const REDUCE: Shader = shader!("reduce_partials");

/// Rows and columns of partial sums are padded to multiples of this.
pub const PARTIAL_MULTIPLE: usize = 8;

/// Words of partial sums that a layer splits into, and that are kept to be reduced together: 16 MiB.
pub const PARTIAL_WORDS: usize = 1 << 22;

/// Where a word of packed weights comes from that is no weight.
pub const NONE: u32 = u32::MAX;

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

    /// Parts into which so many `units`, such as batch blocks, are split for a weight gradient in so many `tiles`:
    /// enough workgroups to fill the device, at least one unit for each row of a workgroup, and no more than 16 MiB of
    /// partial sums.
    pub(super) fn splits(&self, gpu: &Gpu, tiles: usize, units: usize) -> usize {
        let room = (PARTIAL_WORDS / self.partial_len()).max(1);
        gpu.profile.workgroups.div_ceil(tiles).min(units.div_ceil(gpu.profile.rows)).min(room)
    }
}

/// The weights that a product reads: `[tile][row][o][tap]`, rows (channel, line) padded to whole vec4s, a tile ending
/// with a row of biases if `biases`. Strides are in words of θ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packing {
    /// Groups of outputs that meet the same channels.
    pub groups: usize,
    /// Outputs of the product in each group: `phases` of each channel that comes out.
    pub outputs: usize,
    /// Outputs of a tile, of one group.
    pub tile: usize,
    /// Outputs that differ only in which positions of a filter row they meet, each phase one further than the one
    /// before.
    pub phases: usize,
    /// Channels summed over, those of a group.
    pub channels: usize,
    /// Rows of a channel, `segments` to a filter row.
    pub lines: usize,
    /// Rows of a filter row.
    pub segments: usize,
    /// Terms of a row: so many columns of each of some channels.
    pub taps: usize,
    /// Neighbouring positions of one channel in a row.
    pub columns: usize,
    /// From a group to the next.
    pub group_stride: usize,
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

    /// Tiles of outputs, of one group after another.
    pub fn tiles(&self) -> usize {
        self.groups * self.outputs.div_ceil(self.tile)
    }

    /// Words that the packed weights take.
    #[expect(clippy::len_without_is_empty, reason = "there is always a weight")]
    pub fn len(&self) -> usize {
        self.tiles() * self.rows() * self.row_len()
    }

    /// Which word of a parameter vector each word is, or [`NONE`], where the layer's own begin at `start`.
    pub fn sources(&self, start: usize) -> Vec<u32> {
        let row_of = |(tile, row): (usize, usize)| (0..self.row_len()).map(move |e| (tile, row, e));
        let rows = (0..self.tiles()).flat_map(|tile| (0..self.rows()).map(move |row| (tile, row)));
        let source = |(tile, row, e)| self.source(tile, row, e).map_or(NONE, |at| word(start + at));
        rows.flat_map(row_of).map(source).collect()
    }

    /// The layer's words as they are packed, with zeros where there is no weight.
    pub fn pack<T: Copy + Default>(&self, theta: &[T]) -> Vec<T> {
        self.sources(0).iter().map(|&at| if at == NONE { T::default() } else { theta[at as usize] }).collect()
    }

    /// Which of the layer's words is word e of a row of a tile.
    fn source(&self, tile: usize, row: usize, e: usize) -> Option<usize> {
        let is_bias = row == self.weight_rows();
        let tiles = self.outputs.div_ceil(self.tile);
        let (group, tile) = (tile / tiles, tile % tiles);
        let output = tile * self.tile + if is_bias { e } else { e / self.taps };
        if e >= self.tile * if is_bias { 1 } else { self.taps } || output >= self.outputs {
            return None;
        }
        if is_bias {
            return self.biases.map(|biases| biases + group * self.outputs + output);
        }
        let (slice, line, tap) = (row / self.lines, row % self.lines, e % self.taps);
        let channel = slice * (self.taps / self.columns) + tap / self.columns;
        let column = line % self.segments * self.columns + tap % self.columns;
        let position = self.first + (output % self.phases) as isize + column as isize * self.tap_step;
        let is_inside = channel < self.channels && (0..self.positions as isize).contains(&position);
        is_inside.then(|| {
            group * self.group_stride
                + output / self.phases * self.output_stride
                + channel * self.channel_stride
                + line / self.segments * self.line_stride
                + position as usize * self.position_stride
        })
    }
}

/// The weights of several layers, each packed for a product: as many in one array as can be bound, and so packed at
/// once.
#[derive(Clone, Debug)]
pub struct PackedWeights {
    /// Of each array: where its words come from, and itself.
    arrays: Vec<(Buf, Quads)>,
    /// Of each packing: its array, and its words there.
    places: Vec<(usize, Range<usize>)>,
}

impl PackedWeights {
    /// Room for packings, each of the parameters that begin at a word of the vector.
    ///
    /// # Errors
    /// As [`Gpu::alloc_quads`].
    pub fn new(gpu: &Gpu, packings: &[(usize, Packing)]) -> Result<Self> {
        let most = gpu.max_binding_words().min(gpu.max_quads_words());
        let (mut sources, mut places): (Vec<Vec<u32>>, _) = (Vec::new(), Vec::new());
        for (first, packing) in packings {
            let len = packing.len().next_multiple_of(ALIGNMENT);
            if sources.last().is_none_or(|last| last.len() + len > most) {
                sources.push(Vec::new());
            }
            let at = sources.len() - 1;
            let start = sources[at].len();
            places.push((at, start..start + packing.len()));
            sources[at].extend(packing.sources(*first));
            sources[at].resize(start + len, NONE);
        }
        let array = |source: &Vec<u32>| {
            Ok((gpu.upload("packed.sources", source)?, gpu.alloc_quads("packed", source.len(), false)?))
        };
        Ok(Self { arrays: sources.iter().map(array).collect::<Result<_>>()?, places })
    }

    /// Room for the same packings of another vector.
    ///
    /// # Errors
    /// As [`Gpu::alloc_quads`].
    pub fn another(&self, gpu: &Gpu) -> Result<Self> {
        let array =
            |(source, packed): &(Buf, Quads)| Ok((source.clone(), gpu.alloc_quads("packed", packed.len(), false)?));
        Ok(Self { arrays: self.arrays.iter().map(array).collect::<Result<_>>()?, places: self.places.clone() })
    }

    /// Those of a packing.
    pub fn of(&self, i: usize) -> Quads {
        let (array, range) = &self.places[i];
        self.arrays[*array].1.view(range.clone())
    }

    /// The steps that pack a parameter vector.
    ///
    /// # Errors
    /// As [`Dispatch::new`].
    pub fn pack(&self, gpu: &Gpu, theta: &Buf) -> Result<Vec<Dispatch>> {
        self.arrays.iter().map(|(source, packed)| pack(gpu, source, theta, packed)).collect()
    }
}

/// packed\[i\] = theta\[source\[i\]\], or zero where that is [`NONE`].
///
/// # Errors
/// As [`Dispatch::new`].
pub fn pack(gpu: &Gpu, source: &Buf, theta: &Buf, packed: &Quads) -> Result<Dispatch> {
    assert_eq!(source.len(), packed.len());
    let bindings = [source.into(), theta.into(), packed.into()];
    Dispatch::new(gpu, &PACK, &[], &bindings, elementwise_grid(gpu, packed.len() / 4))
}

/// Partial sums of a layer's weight gradient, `[splits][patches+1 padded][outputs padded]` from a word of their room
/// on.
#[derive(Clone, Copy, Debug)]
pub struct Partials {
    /// Shape of the parameters.
    pub shape: WeightShape,
    /// Their first word in a parameter vector.
    pub start: usize,
    /// First word of the sums.
    pub first: usize,
    /// Splits.
    pub splits: usize,
}

impl Partials {
    /// Those of one layer that fill a room, its parameters being all of a vector.
    pub fn alone(shape: WeightShape, room: &Buf) -> Self {
        Self { shape, start: 0, first: 0, splits: room.len() / shape.partial_len() }
    }
}

/// What the sums of partial sums are added to.
#[derive(Clone, Copy, Debug)]
pub enum Base<'a> {
    /// The gradient that is there.
    Gradient,
    /// λ, a word on the device, times θ.
    Decay(&'a Buf, &'a Buf),
}

/// g = `base` + the sum over splits of the `partials` of some layers in a `room`, in the layout of the parameters;
/// other words of `g` stay as they are.
///
/// # Errors
/// As [`Dispatch::new`].
pub fn reduce_partials(gpu: &Gpu, partials: &[Partials], room: &Buf, base: Base<'_>, g: &Buf) -> Result<Dispatch> {
    let fits =
        |p: &Partials| p.start + p.shape.len() <= g.len() && p.first + p.splits * p.shape.partial_len() <= room.len();
    assert!(partials.iter().all(fits));
    let job = |p: &Partials| {
        let [g, partial, outputs, patches, splits] =
            [p.start, p.first, p.shape.outputs, p.shape.patches(), p.splits].map(word);
        ReduceJob { g, partial, outputs, patches, splits }
    };
    let jobs: Vec<ReduceJob> = partials.iter().map(job).collect();
    let most = |of: fn(&Partials) -> usize| partials.iter().map(of).max().unwrap_or(1);
    let [groups, _, _] = looping_grid(gpu, &REDUCE, most(|p| p.shape.len()), turns(most(|p| p.splits), 0))?;
    let (decays, decay, theta) = match base {
        Base::Decay(decay, theta) => (1, decay.clone(), theta.clone()),
        Base::Gradient => {
            let (_, unused) = gpu.placeholder()?;
            (0, unused.clone(), unused)
        }
    };
    let table = gpu.upload("reduce.jobs", &jobs)?;
    let bindings = [table.into(), room.into(), decay.into(), theta.into(), g.into()];
    Dispatch::new(gpu, &REDUCE, &[("DECAY", decays)], &bindings, [groups, jobs.len(), 1])
}

/// The same in f64.
pub mod reference {
    use crate::kernels::weights::{PARTIAL_MULTIPLE, Packing, WeightShape};

    /// The tiles of `theta`.
    pub fn pack(packing: &Packing, theta: &[f64]) -> Vec<f64> {
        packing.pack(theta)
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
