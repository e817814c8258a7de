//! What a workspace takes, and so how many examples a chunk may have.

use super::slots::Slots;
use super::stage::Stage;
use crate::device::{ALIGNMENT, Gpu};
use crate::error::{MemoryError, Result};
use crate::kernels::batch_norm::BatchNorm;
use crate::kernels::weights::{Direction, PARTIAL_WORDS};
use crate::model::{Layer, Model};

/// Multiply-adds of one dispatch, at most: a tenth of a second on a GPU of 400 GF/s.
const DISPATCH: usize = 20_000_000_000;

/// Device memory of one model's workspace: what it has once, and what each example of a chunk adds.
pub(super) struct Footprint {
    /// Values of an example in each activation, its input first.
    pub features: Vec<usize>,
    /// In each array between which tangents and cotangents pass.
    pub passing: Vec<usize>,
    /// The most of them.
    largest: usize,
    /// Bytes of vectors, packed weights and partial sums.
    fixed: usize,
    /// Bytes of an example's activations, derivatives and tangents.
    of_example: usize,
}

impl Footprint {
    pub(super) fn new(gpu: &Gpu, model: &Model, stages: &[Stage], slots: &Slots) -> Self {
        let features: Vec<usize> =
            std::iter::once(model.input.len()).chain(stages.iter().map(|stage| stage.output.len())).collect();
        let with_derivative = stages.iter().filter(|stage| stage.has_derivative()).map(|stage| stage.output.len());
        let largest = features.iter().copied().max().unwrap_or(1);
        // the first two hold other things, too, and are as large as any
        let passing: Vec<usize> =
            (0..).zip(&slots.sizes).map(|(i, size)| if i < 2 { largest } else { *size }).collect();
        // of θ and of two directions, and where the words of θ and of a direction come from
        let packed =
            5 * packed_words(gpu, model, Direction::Forward) + 2 * packed_words(gpu, model, Direction::Backward);
        let fixed = 4 * (4 * model.vector_len() + packed + partial_words(gpu, model, gpu.profile.chunk));
        let passed = passing.iter().sum::<usize>()
            + model.norms().map(|(_, norm)| of_group(gpu, norm)).sum::<usize>() / model.group()
            + Self::room(model).iter().sum::<usize>();
        let of_example = 4 * (features.iter().sum::<usize>() + with_derivative.sum::<usize>() + passed + model.classes);
        Self { features, passing, largest, fixed, of_example }
    }

    /// Words of an example in each part of the room that layers work in.
    pub(super) fn room(model: &Model) -> [usize; 2] {
        [0, 1].map(|part| model.layers().iter().map(|layer| layer.room()[part]).max().unwrap_or(0))
    }

    /// Chunks are multiples of so many examples: they start where a view may start.
    pub(super) fn unit(gpu: &Gpu) -> usize {
        gpu.profile.block.max(ALIGNMENT)
    }

    /// Examples of a chunk, as many as the device profile, the binding limit, the time of a dispatch and `memory`
    /// bytes allow, and at most `most`.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::error::Error::OutOfMemory) when not even one block fits.
    pub(super) fn chunk(&self, gpu: &Gpu, model: &Model, memory: u64, most: usize) -> Result<usize> {
        let unit = Self::unit(gpu);
        let room = memory.saturating_sub(self.fixed as u64) / self.of_example as u64;
        let heaviest = model.layers().iter().map(|layer| layer.multiply_adds()).max().unwrap_or(1).max(1);
        let work = (DISPATCH / heaviest).max(unit);
        let most = most.min(gpu.profile.chunk).min(gpu.max_quads_words() / self.largest).min(work);
        let chunk = (room as usize).min(most) / unit * unit;
        let group = model.group().next_multiple_of(unit);
        let is_grouped = model.normalises() && chunk >= group;
        let chunk = if is_grouped { chunk / group * group } else { chunk };
        if chunk > 0 {
            return Ok(chunk);
        }
        Err(MemoryError::Chunk {
            model: model.name.clone(),
            examples: unit,
            bytes: (self.of_example * unit) as u64,
            budget: memory,
            adapter: gpu.info.name.clone(),
        }
        .into())
    }
}

/// Words of the sums of one group.
fn of_group(gpu: &Gpu, norm: BatchNorm) -> usize {
    norm.statistics_len(gpu, 1) + norm.partial_len(gpu, 1)
}

/// Words of all weights, packed for a direction.
fn packed_words(gpu: &Gpu, model: &Model, direction: Direction) -> usize {
    let packings = model.layers().iter().filter_map(|layer| layer.packing(gpu, direction));
    packings.map(|packing| packing.len()).sum()
}

/// Words of partial sums of weight gradients over so many examples: of all layers where these are few, and of any.
pub(super) fn partial_words(gpu: &Gpu, model: &Model, examples: usize) -> usize {
    let blocks = examples / gpu.profile.block;
    let words = |layer: &dyn Layer| partial_len(gpu, layer, blocks).next_multiple_of(ALIGNMENT);
    let words = || model.layers().iter().map(|layer| words(&**layer));
    words().sum::<usize>().min(PARTIAL_WORDS).max(words().max().unwrap_or(1)).max(1)
}

/// Words of a layer's partial sums over so many blocks; those of a normalisation are apart.
pub(super) fn partial_len(gpu: &Gpu, layer: &dyn Layer, blocks: usize) -> usize {
    let is_apart = layer.norm().is_some();
    layer.weights().filter(|_| !is_apart).map_or(0, |shape| layer.splits(gpu, blocks) * shape.partial_len())
}
