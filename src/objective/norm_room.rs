//! Device memory of layers that normalise over examples, and over which examples they do.

use crate::cost::Cost;
use crate::device::{ALIGNMENT, Buf, Gpu};
use crate::error::Result;
use crate::kernels::batch_norm::BatchNorm;
use crate::model::Model;

/// Training examples whose statistics stand for all: a sixteenth, but so many at least and at most; and how many of
/// them are a group, at most.
const SEEN: [usize; 2] = [512, 2048];
pub(super) const SEEN_GROUP: usize = 512;

/// What moments from so many training examples cost at one θ, at most.
pub(crate) fn cost_of_moments(model: &Model, training: usize) -> Cost {
    if !model.normalises() {
        return Cost::default();
    }
    Cost { forward: seen_of(training).next_multiple_of(SEEN_GROUP) as u64, ..Cost::default() }
}

pub(super) fn seen_of(training: usize) -> usize {
    let [least, most] = SEEN;
    (training / 16).clamp(least, most).min(training)
}

/// Device memory of one normalisation.
#[derive(Debug)]
pub(super) struct NormRoom {
    pub norm: BatchNorm,
    /// Statistics of the groups of a chunk.
    pub sums: Buf,
    /// Running mean and variance.
    pub moments: Buf,
    /// Where its sums over cotangents are in the room for partial sums.
    pub products: usize,
}

impl NormRoom {
    /// For each layer of a model that normalises, in chunks of so many groups; the partial sums begin at `start`.
    pub(super) fn of_layers(gpu: &Gpu, model: &Model, groups: usize, start: usize) -> Result<Vec<Option<Self>>> {
        let mut rooms: Vec<Option<Self>> = model.layers().iter().map(|_| None).collect();
        let mut products = start;
        for (layer, norm) in model.norms() {
            let sums = gpu.alloc("norm.statistics", norm.statistics_len(gpu, groups))?;
            let moments = gpu.alloc("norm.moments", norm.weights().len())?;
            rooms[layer] = Some(Self { norm, sums, moments, products });
            products += norm.partial_len(gpu, groups).next_multiple_of(ALIGNMENT);
        }
        Ok(rooms)
    }

    /// Words of the partial sums of all normalisations.
    pub(super) fn partial_words(gpu: &Gpu, model: &Model, groups: usize) -> usize {
        model.norms().map(|(_, norm)| norm.partial_len(gpu, groups).next_multiple_of(ALIGNMENT)).sum()
    }
}
