//! Device memory shared by all objectives of one model: activations of one chunk, packed weights, the flat vectors.

use super::stage::{Stage, stages};
use crate::device::{ALIGNMENT, Buf, Gpu, Quads};
use crate::error::{MemoryError, Result, UsageError};
use crate::kernels::vector::PARTIALS;
use crate::kernels::weights::{Direction, Packing, pack};
use crate::model::{Layer, LayerWeights, Model};
use crate::program::Program;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Memory for activations unless the user says otherwise, in bytes.
pub const DEFAULT_MEMORY: u64 = 2 << 30;

/// Multiply-adds of one dispatch, at most: a tenth of a second on a GPU of 400 GF/s.
const DISPATCH: usize = 20_000_000_000;

/// Buffers for one chunk of examples of one model. Chunks run one after another, so objectives share them.
#[derive(Debug)]
pub struct Workspace {
    /// The model.
    pub model: Arc<Model>,
    /// Examples of a whole chunk, a multiple of the block.
    pub chunk: usize,
    /// The model's layers as they run.
    pub(super) stages: Vec<Stage>,
    /// x of each stage, and last the logits: `[chunk/B][features][B]`.
    pub(super) activations: Vec<Quads>,
    /// f' of each stage's activation, where its outputs do not tell it.
    pub(super) derivatives: Vec<Option<Quads>>,
    /// Two arrays as large as the largest activation, between which tangents and cotangents pass from stage to stage.
    pub(super) passing: [Quads; 2],
    pub(super) theta: Buf,
    pub(super) tangent: Buf,
    pub(super) gradient: Buf,
    pub(super) weights: Vec<Option<LayerWeights>>,
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
    /// Allocates for chunks as large as the device profile, the binding limit and `memory` bytes allow.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::error::Error::OutOfMemory) when not even one block fits.
    pub fn new(gpu: &Gpu, model: Arc<Model>, memory: u64) -> Result<Self> {
        let block = gpu.profile.block;
        let unit = block.max(ALIGNMENT); // chunks start where a view may start
        check_bindings(gpu, &model)?;
        let stages = stages(&model);
        let features: Vec<usize> =
            std::iter::once(model.input.len()).chain(stages.iter().map(|stage| stage.outputs)).collect();
        let with_derivative = stages.iter().filter(|stage| stage.has_derivative()).map(|stage| stage.outputs);
        let largest = features.iter().copied().max().unwrap_or(1);
        let vector = model.vector_len();
        let packings = |direction| model.layers().iter().flat_map(move |layer| layer.packing(gpu, direction));
        let packed = |direction| packings(direction).map(|packing: Packing| packing.len());
        let partials = |examples: usize| {
            let partial =
                |layer: &dyn Layer| Some(layer.splits(gpu, examples / block) * layer.weights()?.partial_len());
            model.layers().iter().filter_map(|layer| partial(&**layer)).max().unwrap_or(1)
        };
        let all_packed: usize =
            3 * packed(Direction::Forward).sum::<usize>() + packed(Direction::Backward).sum::<usize>();
        let fixed = 4 * vector + all_packed + partials(gpu.profile.chunk);
        let of_example =
            4 * (features.iter().sum::<usize>() + with_derivative.sum::<usize>() + 2 * largest + model.classes);
        let room = memory.saturating_sub(4 * fixed as u64) / of_example as u64;
        let heaviest = model.layers().iter().map(|layer| layer.multiply_adds()).max().unwrap_or(1).max(1);
        let work = (DISPATCH / heaviest).max(unit);
        let most = gpu.profile.chunk.min(gpu.max_quads_words() / largest).min(work);
        let chunk = (room as usize).min(most) / unit * unit;
        if chunk == 0 {
            return Err(MemoryError::Chunk {
                model: model.name.clone(),
                examples: unit,
                bytes: (of_example * unit) as u64,
                budget: memory,
                adapter: gpu.info.name.clone(),
            }
            .into());
        }
        let first = model.layers().iter().position(|layer| layer.weights().is_some()).unwrap_or(0);
        tune(gpu, &model, first, chunk)?;
        let alloc = |label: &str, len: usize| gpu.alloc(label, len);
        let quads = |label: &str, len: usize| gpu.alloc_quads(label, len, false);
        let activations = features.iter().map(|f| quads("activation", f * chunk)).collect::<Result<_>>()?;
        let derivatives = stages.iter().map(|stage| stage.alloc_derivative(gpu, chunk)).collect::<Result<_>>()?;
        let passing = [quads("passing.0", largest * chunk)?, quads("passing.1", largest * chunk)?];
        let (theta, tangent, gradient) =
            (alloc("theta", vector)?, alloc("tangent", vector)?, alloc("gradient", vector)?);

        let partial = alloc("partial", partials(chunk))?;
        let weights = model.layers().iter().zip(model.ranges()).enumerate().map(|(i, (layer, range))| {
            let Some(range) = range else { return Ok(None) };
            let packed =
                |label: &str, direction| quads(label, layer.packing(gpu, direction).map_or(0, |packing| packing.len()));
            Ok(Some(LayerWeights {
                theta: theta.view(range.clone()),
                tangent: tangent.view(range.clone()),
                gradient: gradient.view(range.clone()),
                forward: packed("packed.forward", Direction::Forward)?,
                backward: (i != first).then(|| packed("packed.backward", Direction::Backward)).transpose()?,
                forward_tangent: packed("packed.tangent", Direction::Forward)?,
                partial: partial.clone(),
            }))
        });
        let weights: Vec<Option<LayerWeights>> = weights.collect::<Result<_>>()?;
        let second_tangent = alloc("second tangent", vector)?;
        let with_second =
            |(weights, range): (&Option<LayerWeights>, &Option<Range<usize>>)| -> Result<Option<LayerWeights>> {
                let (Some(weights), Some(range)) = (weights, range) else { return Ok(None) };
                let forward_tangent = quads("packed.tangent", weights.forward_tangent.len())?;
                Ok(Some(LayerWeights {
                    tangent: second_tangent.view(range.clone()),
                    forward_tangent,
                    ..weights.clone()
                }))
            };
        let second = weights.iter().zip(model.ranges()).map(with_second).collect::<Result<_>>()?;
        let logit_tangents = quads("logit tangents", model.classes * chunk)?;
        let report = Report::new(gpu, model.layers().len() + 1)?;
        Ok(Self {
            model,
            chunk,
            stages,
            activations,
            derivatives,
            passing,
            theta,
            tangent,
            gradient,
            weights,
            second_tangent,
            second,
            logit_tangents,
            report,
            passes: AtomicU64::new(0),
        })
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
        Err(UsageError::Choice { examples, room: self.chunk }.into())
    }

    /// Appends the steps that pack θ, and so many `tangents` (directions), into the tiles that the products read.
    pub(super) fn record_packing(
        &self,
        gpu: &Gpu,
        program: &mut Program,
        with_backward: bool,
        tangents: usize,
    ) -> Result<()> {
        for ((layer, weights), second) in self.model.layers().iter().zip(&self.weights).zip(&self.second) {
            let Some(w) = weights else { continue };
            let mut push = |direction, theta: &Buf, packed: &Quads| -> Result<()> {
                let packing = layer.packing(gpu, direction).expect("a layer with weights packs them");
                program.push(pack(gpu, &packing, theta, packed)?);
                Ok(())
            };
            push(Direction::Forward, &w.theta, &w.forward)?;
            if let Some(packed) = w.backward.as_ref().filter(|_| with_backward) {
                push(Direction::Backward, &w.theta, packed)?;
            }
            for w in [weights, second].into_iter().flatten().take(tangents) {
                push(Direction::Forward, &w.tangent, &w.forward_tangent)?;
            }
        }
        Ok(())
    }
}

/// Whether the model's vectors, packed weights and partial sums can be bound at all.
fn check_bindings(gpu: &Gpu, model: &Model) -> Result<()> {
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

/// Lets the layers find their tiles on so many examples, the most expensive first.
fn tune(gpu: &Gpu, model: &Model, first: usize, examples: usize) -> Result<()> {
    if !gpu.may_tune() {
        return Ok(());
    }
    let mut layers: Vec<_> = model.layers().iter().enumerate().collect();
    layers.sort_by_key(|(_, layer)| std::cmp::Reverse(layer.multiply_adds()));
    layers.iter().try_for_each(|(i, layer)| layer.tune(gpu, *i != first, examples))?;
    gpu.remember_tuning();
    Ok(())
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
