//! Device memory shared by all objectives of one model: activations of one chunk, packed weights, the flat vectors.

use super::footprint::{Footprint, partial_words};
use super::norm_room::NormRoom;
use super::slots::{Slots, arrays};
use super::stage::{Stage, stages};
use crate::device::{ALIGNMENT, Buf, Gpu, Quads};
use crate::error::{MemoryError, Result, UsageError};
use crate::kernels::vector::PARTIALS;
use crate::kernels::weights::{Direction, PackedWeights};
use crate::kernels::{check_turns, softmax_xent};
use crate::model::{LayerWeights, Model};
use crate::program::Program;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Memory for activations unless the user says otherwise, in bytes.
pub const DEFAULT_MEMORY: u64 = 2 << 30;

/// Buffers for one chunk of examples of one model. Chunks run one after another, so objectives share them.
#[derive(Debug)]
pub struct Workspace {
    /// The model.
    pub model: Arc<Model>,
    /// Examples of a whole chunk, a multiple of the block.
    pub chunk: usize,
    /// Those of one that no memory bounds.
    largest_chunk: usize,
    /// The model's layers as they run.
    pub(super) stages: Vec<Stage>,
    /// The values, the examples' first and the logits last: `[chunk/B][features][B]`.
    pub(super) activations: Vec<Quads>,
    /// f' of each stage's activation, where its outputs do not tell it.
    pub(super) derivatives: Vec<Option<Quads>>,
    /// How tangents and cotangents pass from stage to stage, and the arrays between which they do, two of them as large
    /// as the largest activation.
    pub(super) slots: Slots,
    pub(super) passing: Vec<Quads>,
    pub(super) theta: Buf,
    pub(super) tangent: Buf,
    pub(super) gradient: Buf,
    packed: Packed,
    pub(super) weights: Vec<Option<LayerWeights>>,
    /// Room for the partial sums of weight gradients, the first words of any layers, …
    pub(super) partial: Buf,
    pub(super) partial_words: usize,
    /// … the others of those that normalise; and what else these need.
    pub(super) norms: Vec<Option<NormRoom>>,
    /// What layers of a chunk work with, one after another.
    pub(super) room: Option<[Buf; 2]>,
    /// A second direction, the weights with it in place of the first, and room for its logit tangents.
    pub(super) second_tangent: Buf,
    pub(super) second: Vec<Option<LayerWeights>>,
    pub(super) logit_tangents: Quads,
    /// What the host reads of an evaluation.
    pub(super) report: Report,
    /// Forward passes so far: the stamp of the latest.
    passes: AtomicU64,
}

/// Sums in a [`Report`].
pub(super) const SUMS: usize = 3;

/// Sums and marks read back together after an evaluation, each at its own aligned offset.
#[derive(Debug)]
pub(super) struct Report {
    pub all: Buf,
    /// Partial sums of the loss, of the hits, and of ‖θ‖²; or of the curvature along two directions.
    pub sums: [Buf; SUMS],
    /// The words of `found`, one an alignment.
    pub marks: Buf,
    /// A word a layer, and one for the gradient: 1 when a value was not finite.
    pub found: Vec<Buf>,
}

impl Workspace {
    /// The last stage, if it is a product.
    pub(super) fn head(&self) -> Option<&Stage> {
        self.stages.last().filter(|stage| self.model.layers()[stage.layer].is_product())
    }

    /// Multiply-adds of one example's part in the gradient of its weights.
    pub(super) fn head_multiply_adds(&self) -> u64 {
        self.head().map_or(0, |stage| self.model.layers()[stage.layer].multiply_adds() as u64)
    }

    /// Allocates for chunks as large as the device profile, the binding limit and `memory` bytes allow.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::error::Error::OutOfMemory) when not even one block fits.
    pub fn new(gpu: &Gpu, model: Arc<Model>, memory: u64) -> Result<Self> {
        Self::of_chunks(gpu, model, memory, usize::MAX)
    }

    /// The same for chunks of at most so many examples.
    ///
    /// # Errors
    /// As [`Workspace::new`].
    pub fn of_chunks(gpu: &Gpu, model: Arc<Model>, memory: u64, most: usize) -> Result<Self> {
        Self::check(gpu, &model)?;
        let stages = stages(&model);
        let slots = Slots::new(&stages);
        let footprint = Footprint::new(gpu, &model, &stages, &slots);
        let chunk = footprint.chunk(gpu, &model, memory, most)?;
        let largest_chunk = footprint.chunk(gpu, &model, u64::MAX, usize::MAX)?;
        let is_needed = model.is_input_gradient_needed();
        tune(gpu, &model, &is_needed, chunk)?;
        let vector = |label: &str| gpu.alloc(label, model.vector_len());
        let quads = |label: &str, features: usize| gpu.alloc_quads(label, features * chunk, false);
        let activations = activations(gpu, &stages, &footprint.features, chunk)?;
        let derivatives = derivatives(gpu, &stages, chunk)?;
        let passing = footprint.passing.iter().map(|&values| quads("passing", values)).collect::<Result<_>>()?;
        let (theta, tangent, gradient) = (vector("theta")?, vector("tangent")?, vector("gradient")?);
        let (partial_words, groups) =
            (partial_words(gpu, &model, chunk).next_multiple_of(ALIGNMENT), chunk.div_ceil(model.group()));
        let partial = gpu.alloc("partial", partial_words + NormRoom::partial_words(gpu, &model, groups))?;
        let norms = NormRoom::of_layers(gpu, &model, groups, partial_words)?;
        let room = room(gpu, &model, chunk)?;
        let packed = Packed::new(gpu, &model, &is_needed)?;
        let weights = layer_weights(&model, &packed, &is_needed, [&theta, &tangent]);
        let second_tangent = vector("second tangent")?;
        let second = with_tangent(&model, &packed, &weights, &second_tangent);
        let logit_tangents = quads("logit tangents", model.classes)?;
        let report = Report::new(gpu, model.layers().len() + 1)?;
        Ok(Self {
            model,
            chunk,
            largest_chunk,
            stages,
            activations,
            derivatives,
            slots,
            passing,
            theta,
            tangent,
            gradient,
            packed,
            weights,
            partial,
            partial_words,
            norms,
            room,
            second_tangent,
            second,
            logit_tangents,
            report,
            passes: AtomicU64::new(0),
        })
    }

    /// Sets the running mean and variance of each channel of each normalisation, in the order of the layers: what an
    /// evaluation works with that has no training examples.
    ///
    /// # Panics
    /// When there are not as many as the model has.
    pub fn set_moments(&self, gpu: &Gpu, mut moments: &[f32]) {
        for room in self.norms.iter().flatten() {
            let (these, others) = moments.split_at(room.moments.len());
            gpu.write(&room.moments, these);
            moments = others;
        }
        assert!(moments.is_empty(), "{} moments too many", moments.len());
    }

    /// Those that the last evaluation found.
    ///
    /// # Errors
    /// What the device reports.
    pub fn moments(&self, gpu: &Gpu) -> Result<Vec<f32>> {
        let of = |room: &NormRoom| gpu.read::<f32>(&room.moments);
        Ok(self.norms.iter().flatten().map(of).collect::<Result<Vec<_>>>()?.concat())
    }

    /// Chunks are multiples of so many examples.
    pub fn unit(gpu: &Gpu) -> usize {
        Footprint::unit(gpu)
    }

    /// Examples of a chunk that [`Workspace::of_chunks`] would have.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::error::Error::OutOfMemory) when not even one block fits.
    pub fn chunk_of(gpu: &Gpu, model: &Model, memory: u64, most: usize) -> Result<usize> {
        let stages = stages(model);
        Footprint::new(gpu, model, &stages, &Slots::new(&stages)).chunk(gpu, model, memory, most)
    }

    /// Whether the model's vectors, packed weights and partial sums can be bound at all, and its sums made.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::error::Error::OutOfMemory) where they cannot.
    pub fn check(gpu: &Gpu, model: &Model) -> Result<()> {
        model.layers().iter().try_for_each(|layer| check_turns(gpu, layer.name(), layer.turns(gpu)))?;
        check_turns(gpu, "the loss", softmax_xent::turns(model.classes))?;
        let fits = model.layers().iter().all(|layer| {
            let packings = [Direction::Forward, Direction::Backward].map(|direction| layer.packing(gpu, direction));
            packings.iter().flatten().all(|packing| packing.len() <= gpu.max_quads_words())
                && layer.weights().is_none_or(|w| w.partial_len() <= gpu.max_binding_words())
        });
        if fits && model.vector_len() <= gpu.max_binding_words() {
            return Ok(());
        }
        Err(MemoryError::Parameters {
            model: model.name.clone(),
            parameters: model.parameters(),
            limit: 4 * gpu.max_binding_words() as u64,
            adapter: gpu.info.name.clone(),
        }
        .into())
    }

    /// The stamp of a forward pass that is about to overwrite the activations.
    pub(super) fn stamp(&self) -> u64 {
        self.passes.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Whether no forward pass has run since the one of this stamp, so that its activations are still there.
    pub(super) fn is_latest(&self, stamp: u64) -> bool {
        self.passes.load(Ordering::Relaxed) == stamp
    }

    /// Whether a choice among so many examples is possible: it needs the activations of all of them at once.
    ///
    /// # Errors
    /// [`Error::Usage`](crate::error::Error::Usage) when there is room for fewer.
    pub fn check_choice(&self, examples: usize) -> Result<()> {
        if examples <= self.chunk {
            return Ok(());
        }
        Err(UsageError::Choice { examples, room: self.chunk, most: self.largest_chunk }.into())
    }

    /// Blocks of a group that is normalised together, in a loss over so many examples.
    ///
    /// # Errors
    /// [`Error::Usage`](crate::error::Error::Usage) when chunks are no whole groups.
    pub(super) fn group_blocks(&self, gpu: &Gpu, examples: usize) -> Result<usize> {
        let (group, chunk, block) = (self.model.group(), self.chunk, gpu.profile.block);
        let is_divided = chunk.is_multiple_of(group) && group.is_multiple_of(block);
        if !self.model.normalises() || is_divided || examples <= chunk.min(group) {
            return Ok(group.div_ceil(block));
        }
        Err(UsageError::Group { group, chunk, block }.into())
    }

    /// Whether a mini-batch of so many examples can go through normalisations, which need all of it at once.
    ///
    /// # Errors
    /// [`Error::Usage`](crate::error::Error::Usage) when there is room for fewer.
    pub fn check_one_piece(&self, examples: usize) -> Result<()> {
        if self.model.normalises() { self.check_choice(examples) } else { Ok(()) }
    }

    /// Appends the steps that pack θ, and so many `tangents` (directions), into the tiles that the products read.
    pub(super) fn record_packing(&self, gpu: &Gpu, program: &mut Program, tangents: usize) -> Result<()> {
        let Self { theta, tangent, second_tangent, packed, .. } = self;
        program.extend(packed.theta.pack(gpu, theta)?);
        for (packed, tangent) in packed.tangents.iter().zip([tangent, second_tangent]).take(tangents) {
            program.extend(packed.pack(gpu, tangent)?);
        }
        Ok(())
    }
}

/// Lets the layers find their tiles on so many examples, the most expensive first.
fn tune(gpu: &Gpu, model: &Model, is_needed: &[bool], examples: usize) -> Result<()> {
    if !gpu.may_tune() {
        return Ok(());
    }
    let mut layers: Vec<_> = model.layers().iter().enumerate().collect();
    layers.sort_by_key(|(_, layer)| std::cmp::Reverse(layer.multiply_adds()));
    layers.iter().try_for_each(|(i, layer)| layer.tune(gpu, is_needed[*i], examples))?;
    gpu.remember_tuning();
    Ok(())
}

/// Values of a chunk, in a few arrays: a kernel reads some and writes another, which it may not in the same array.
fn activations(gpu: &Gpu, stages: &[Stage], features: &[usize], chunk: usize) -> Result<Vec<Quads>> {
    let numbers = arrays(stages);
    let count = numbers.iter().max().map_or(0, |most| most + 1);
    let of_array = |array: usize| -> Result<std::vec::IntoIter<Quads>> {
        let these = features.iter().zip(&numbers).filter(|(_, number)| **number == array);
        let lens: Vec<usize> = these.map(|(features, _)| features * chunk).collect();
        Ok(gpu.alloc_quads_together("activations", &lens)?.into_iter())
    };
    let mut all = (0..count).map(of_array).collect::<Result<Vec<_>>>()?;
    Ok(numbers.iter().map_while(|&number| all[number].next()).collect())
}

/// What layers of a chunk work with.
fn room(gpu: &Gpu, model: &Model, chunk: usize) -> Result<Option<[Buf; 2]>> {
    let words = Footprint::room(model).map(|words| words * chunk);
    if words.contains(&0) {
        return Ok(None);
    }
    Ok(Some([gpu.alloc("layer.room", words[0])?, gpu.alloc("layer.room", words[1])?]))
}

/// f' of a chunk, for the stages that store it.
fn derivatives(gpu: &Gpu, stages: &[Stage], chunk: usize) -> Result<Vec<Option<Quads>>> {
    let stored = stages.iter().filter(|stage| stage.has_derivative());
    let lens: Vec<usize> = stored.map(|stage| stage.output.len() * chunk).collect();
    let mut derivatives = gpu.alloc_quads_together("derivatives", &lens)?.into_iter();
    Ok(stages.iter().map(|stage| stage.has_derivative().then(|| derivatives.next()).flatten()).collect())
}

/// Packed weights: of θ forward and backward, and of two directions forward.
#[derive(Debug)]
pub(super) struct Packed {
    theta: PackedWeights,
    tangents: [PackedWeights; 2],
}

impl Packed {
    /// For all layers in order, backward those of which the gradient to the input `is_needed`.
    fn new(gpu: &Gpu, model: &Model, is_needed: &[bool]) -> Result<Self> {
        let of = |direction| {
            let layers = model.layers().iter().zip(model.ranges()).zip(is_needed);
            layers.filter_map(move |((layer, range), is_needed)| {
                let packing =
                    layer.packing(gpu, direction).filter(|_| direction == Direction::Forward || *is_needed)?;
                Some((range.as_ref()?.start, packing))
            })
        };
        let forward: Vec<_> = of(Direction::Forward).collect();
        let both: Vec<_> = forward.iter().copied().chain(of(Direction::Backward)).collect();
        let tangent = PackedWeights::new(gpu, &forward)?;
        let second = tangent.another(gpu)?;
        Ok(Self { theta: PackedWeights::new(gpu, &both)?, tangents: [tangent, second] })
    }
}

/// The parameters of each layer: views of the flat vectors, and its packed weights.
fn layer_weights(
    model: &Model,
    packed: &Packed,
    is_needed: &[bool],
    [theta, tangent]: [&Buf; 2],
) -> Vec<Option<LayerWeights>> {
    // those packed backward come after those packed forward
    let (mut forward, mut backward) = (0, model.layers().iter().filter(|layer| layer.is_product()).count());
    let layers = model.layers().iter().zip(model.ranges()).zip(is_needed);
    let weights = layers.map(|((layer, range), is_needed)| {
        let range = range.as_ref()?;
        let (theta, tangent) = (theta.view(range.clone()), tangent.view(range.clone()));
        if !layer.is_product() {
            return Some(LayerWeights { theta, tangent, forward: None, backward: None, forward_tangent: None });
        }
        forward += 1;
        backward += usize::from(*is_needed);
        Some(LayerWeights {
            theta,
            tangent,
            forward: Some(packed.theta.of(forward - 1)),
            backward: is_needed.then(|| packed.theta.of(backward - 1)),
            forward_tangent: Some(packed.tangents[0].of(forward - 1)),
        })
    });
    weights.collect()
}

/// The same parameters with the second direction.
fn with_tangent(
    model: &Model,
    packed: &Packed,
    weights: &[Option<LayerWeights>],
    tangent: &Buf,
) -> Vec<Option<LayerWeights>> {
    let mut number = 0;
    let with_tangent = weights.iter().zip(model.ranges()).map(|(weights, range)| {
        let (weights, range) = (weights.as_ref()?, range.as_ref()?);
        let forward_tangent = weights.forward_tangent.as_ref().map(|_| {
            number += 1;
            packed.tangents[1].of(number - 1)
        });
        Some(LayerWeights { tangent: tangent.view(range.clone()), forward_tangent, ..weights.clone() })
    });
    with_tangent.collect()
}

impl Report {
    fn new(gpu: &Gpu, tensors: usize) -> Result<Self> {
        let all = gpu.alloc("report", SUMS * PARTIALS + tensors * ALIGNMENT)?;
        let sums = std::array::from_fn(|i| all.view(i * PARTIALS..(i + 1) * PARTIALS));
        let mark = |i: usize| SUMS * PARTIALS + i * ALIGNMENT;
        let found = (0..tensors).map(|i| all.view(mark(i)..mark(i) + 1)).collect();
        let marks = all.view(SUMS * PARTIALS..all.len());
        Ok(Self { sums, marks, found, all })
    }
}
