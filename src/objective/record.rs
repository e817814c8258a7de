//! Recording the programs of a pass: what runs before the chunks, for each chunk, and after them.

use super::footprint::partial_len;
use super::loss::Objective;
use super::pass::{Chunk, Forward, Normal, Pass};
use super::slots::{Along, Back, COTANGENT, Held, TANGENT};
use super::stage::Stage;
use crate::device::{ALIGNMENT, Buf, Quads};
use crate::error::Result;
use crate::kernels::epilogue::Epilogue;
use crate::kernels::softmax_xent;
use crate::kernels::sum::{Term, sum};
use crate::kernels::weights::{Base, Partials, reduce_partials};
use crate::kernels::{copy_quads, finite, vector};
use crate::model::{At, LayerWeights};
use crate::program::Program;
use std::ops::Range;

/// Partial sums of the gradients of some layers, and where the next ones may lie.
#[derive(Default)]
pub(super) struct PartialSums {
    jobs: Vec<Partials>,
    end: usize,
}

impl Objective {
    /// Packing, every chunk in order, sums.
    pub(super) fn record(&self, pass: Pass) -> Result<Program> {
        let mut program = Program::default();
        self.workspace.record_packing(&self.gpu, &mut program, pass.tangents())?;
        program.clear(&self.workspace.report.all);
        if pass.has_backward() {
            program.clear(&self.workspace.gradient);
        }
        if pass == Pass::Statistics {
            self.record_statistics(&mut program)?;
            return Ok(program);
        }
        for chunk in self.chunks() {
            self.record_chunk(&mut program, pass, &chunk, Base::Gradient)?;
        }
        self.record_end(&mut program, pass)?;
        Ok(program)
    }

    /// One chunk; a gradient is added to `base`.
    pub(super) fn record_chunk(&self, program: &mut Program, pass: Pass, chunk: &Chunk, base: Base<'_>) -> Result<()> {
        let (gpu, workspace) = (&self.gpu, &*self.workspace);
        let forward = self.record_losses(program, pass, chunk, None)?;
        let logits = &forward.x[forward.x.len() - 1];
        let [a, b] = [COTANGENT, TANGENT].map(|slot| workspace.passing[slot].prefix(logits.len()));
        let outputs = || {
            let (out, classes) =
                (self.outputs.as_ref().expect("allocated before the pass is recorded"), workspace.model.classes);
            out.view(chunk.range.start * classes..chunk.range.end * classes)
        };
        match pass {
            Pass::Loss => {}
            Pass::Statistics => unreachable!("it has no losses"),
            Pass::Logits => program.push(copy_quads(gpu, logits, &outputs())?),
            Pass::Tangent => {
                self.record_jvp(program, &workspace.weights, &forward, &b)?;
                program.push(copy_quads(gpu, &b, &outputs())?);
            }
            Pass::Gradient => {
                program.push(softmax_xent::gradient(gpu, logits, &chunk.targets, &a)?);
                self.record_vjp(program, &forward, PartialSums::default(), base)?;
            }
            Pass::GaussNewton => {
                self.record_jvp(program, &workspace.weights, &forward, &b)?;
                program.push(softmax_xent::hvp(gpu, logits, &b, &chunk.targets, &a)?);
                self.record_vjp(program, &forward, PartialSums::default(), base)?;
            }
            Pass::Curvature => {
                let first = workspace.logit_tangents.prefix(logits.len());
                self.record_jvp(program, &workspace.weights, &forward, &first)?;
                self.record_jvp(program, &workspace.second, &forward, &b)?;
                let products = chunk.curvature.as_ref().expect("allocated before the pass is recorded");
                let directions = [&first, &b];
                program.push(softmax_xent::curvature(gpu, logits, directions, &chunk.targets, products.each_ref())?);
            }
        }
        Ok(())
    }

    /// The forward pass, each example's loss and hit, and its score if asked for.
    pub(super) fn record_losses(
        &self,
        program: &mut Program,
        pass: Pass,
        chunk: &Chunk,
        score: Option<&Buf>,
    ) -> Result<Forward> {
        let forward = self.record_forward(program, pass, chunk)?;
        let logits = &forward.x[forward.x.len() - 1];
        let sums = [&chunk.loss, &chunk.correct];
        program.push(softmax_xent::loss(&self.gpu, logits, &chunk.targets, sums, score)?);
        Ok(forward)
    }

    /// Where a forward pass of these examples, padding included, leaves its values.
    pub(super) fn forward_views(&self, range: &Range<usize>) -> Forward {
        let workspace = &*self.workspace;
        let prefix = |quads: &Quads| quads.prefix(quads.len() / workspace.chunk * range.len());
        let x: Vec<Quads> = workspace.activations.iter().map(prefix).collect();
        let stages = workspace.stages.iter().zip(&workspace.derivatives).zip(&x[1..]);
        let masks = stages.map(|((stage, derivative), y)| stage.mask(y, derivative.as_ref().map(prefix).as_ref()));
        let normal = workspace.stages.iter().map(|stage| self.normal_views(stage, range)).collect();
        Forward { masks: masks.collect(), x, normal }
    }

    /// A stage at the values of a pass, with these weights.
    pub(super) fn at<'a>(&'a self, stage: usize, forward: &'a Forward, weights: &'a [Option<LayerWeights>]) -> At<'a> {
        let Stage { layer, x, .. } = self.workspace.stages[stage];
        let normalised = forward.normal[stage].as_ref().map(Normal::of_layer);
        let (weights, room) = (weights[layer].as_ref(), self.workspace.room.as_ref());
        At { gpu: &self.gpu, weights, x: &forward.x[x], normalised, room }
    }

    pub(super) fn record_forward(&self, program: &mut Program, pass: Pass, chunk: &Chunk) -> Result<Forward> {
        let (gpu, workspace) = (&self.gpu, &*self.workspace);
        let forward = self.forward_views(&chunk.range);
        let x = &forward.x;
        let scratch = workspace.passing[0].prefix(x[0].len());
        self.examples.record_gather(gpu, program, &chunk.index, [&x[0], &scratch])?;
        for (i, stage) in workspace.stages.iter().enumerate() {
            let derivative = workspace.derivatives[i].as_ref().map(|quads| quads.prefix(x[i + 1].len()));
            let overflows = stage.has_parameters || stage.is_sum;
            let epilogue = Epilogue {
                plus: stage.plus.map(|plus| x[plus].clone()),
                activation: stage.activation,
                derivative: derivative.filter(|_| pass.has_derivatives()),
                found: overflows.then(|| workspace.report.found[stage.layer].clone()),
                mask: None,
            };
            let layer = &workspace.model.layers()[stage.layer];
            program.extend(layer.forward(&self.at(i, &forward, &workspace.weights), &x[i + 1], &epilogue)?);
        }
        Ok(forward)
    }

    /// Tangents through all stages along the direction of `weights`, the logits' into `out`. Stages before the first
    /// parameters have none.
    fn record_jvp(
        &self,
        program: &mut Program,
        weights: &[Option<LayerWeights>],
        forward: &Forward,
        out: &Quads,
    ) -> Result<()> {
        let (gpu, workspace) = (&self.gpu, &*self.workspace);
        let last = workspace.stages.len() - 1;
        // a tangent of the value of this number, in its array
        let tangent = |slot: usize, value: usize| workspace.passing[slot].like(&forward.x[value]);
        let target = |slot: usize, stage: usize| {
            if stage == last && slot == TANGENT { out.clone() } else { tangent(slot, stage + 1) }
        };
        for step in &workspace.slots.along {
            match step {
                Along::Layer { stage: i, tx, ty, is_masked } => {
                    let stage = &workspace.stages[*i];
                    let layer = &workspace.model.layers()[stage.layer];
                    let mask = forward.masks[*i].as_ref().filter(|_| *is_masked);
                    let tx = tx.map(|tx| tangent(tx, stage.x));
                    program.extend(layer.jvp(&self.at(*i, forward, weights), tx.as_ref(), &target(*ty, *i), mask)?);
                }
                Along::Sum { stage: i, terms, ty } => {
                    let mask = Epilogue::masked(forward.masks[*i].as_ref());
                    let held: Vec<Quads> = terms.iter().map(|term| tangent(term.slot, term.like)).collect();
                    let shape = workspace.stages[*i].output;
                    program.push(sum(gpu, shape, two(terms, &held), &target(*ty, *i), &mask)?);
                }
            }
        }
        Ok(())
    }

    /// Cotangents from the logits' in the first passing array back to the first stage with parameters; the gradient of
    /// these is added to `base`. Those of some layers may be known already.
    pub(super) fn record_vjp(
        &self,
        program: &mut Program,
        forward: &Forward,
        mut known: PartialSums,
        base: Base<'_>,
    ) -> Result<()> {
        let done: Vec<usize> = known.jobs.iter().map(|job| job.start).collect();
        self.record_back(program, forward, &mut |program, stage, at, dy| {
            let range = self.workspace.model.ranges()[stage.layer].as_ref();
            if range.is_some_and(|range| done.contains(&range.start)) {
                return Ok(());
            }
            self.record_partial(program, stage, (at, dy), &mut known, base)
        })?;
        self.record_reduction(program, &mut known, base)
    }

    /// The partial sums of a stage's gradient, into what is left of the room for them. Normalisations have a place of
    /// their own, since the gradient to their input is made of these sums.
    pub(super) fn record_partial(
        &self,
        program: &mut Program,
        stage: &Stage,
        (at, dy): (&At<'_>, &Quads),
        sums: &mut PartialSums,
        base: Base<'_>,
    ) -> Result<()> {
        let (gpu, workspace) = (&self.gpu, &*self.workspace);
        let layer = &*workspace.model.layers()[stage.layer];
        let (Some(shape), Some(range)) = (layer.weights(), &workspace.model.ranges()[stage.layer]) else {
            return Ok(());
        };
        if let Some((room, normalised)) = workspace.norms[stage.layer].as_ref().zip(at.normalised) {
            program.extend(layer.grad_weight(at, dy, normalised.products)?);
            let splits = normalised.products.len() / shape.partial_len();
            sums.jobs.push(Partials { shape, start: range.start, first: room.products, splits });
            return Ok(());
        }
        let blocks = at.x.len() / (layer.input().len() * gpu.profile.block);
        let len = partial_len(gpu, layer, blocks);
        if sums.end + len > workspace.partial_words {
            self.record_reduction(program, sums, base)?;
        }
        let first = sums.end;
        program.extend(layer.grad_weight(at, dy, &workspace.partial.view(first..first + len))?);
        sums.jobs.push(Partials { shape, start: range.start, first, splits: layer.splits(gpu, blocks) });
        sums.end = (first + len).next_multiple_of(ALIGNMENT);
        Ok(())
    }

    /// Adds partial sums up, and to `base`.
    fn record_reduction(&self, program: &mut Program, sums: &mut PartialSums, base: Base<'_>) -> Result<()> {
        let PartialSums { jobs, .. } = std::mem::take(sums);
        if !jobs.is_empty() {
            program.push(reduce_partials(&self.gpu, &jobs, &self.workspace.partial, base, &self.workspace.gradient)?);
        }
        Ok(())
    }

    /// Cotangents back through the stages; `visit` sees each stage with parameters at its x, and its dy.
    pub(super) fn record_back(
        &self,
        program: &mut Program,
        forward: &Forward,
        visit: &mut dyn FnMut(&mut Program, &Stage, &At<'_>, &Quads) -> Result<()>,
    ) -> Result<()> {
        let (gpu, workspace) = (&self.gpu, &*self.workspace);
        let Forward { x, masks, .. } = forward;
        let cotangent = |slot: usize, value: usize| workspace.passing[slot].like(&x[value]);
        for step in &workspace.slots.back {
            match step {
                Back::Known { stage: i, dy } => {
                    let at = self.at(*i, forward, &workspace.weights);
                    visit(program, &workspace.stages[*i], &at, &cotangent(*dy, i + 1))?;
                }
                Back::Input { stage: i, dy, dx, is_masked } => {
                    let stage = &workspace.stages[*i];
                    let layer = &workspace.model.layers()[stage.layer];
                    let at = self.at(*i, forward, &workspace.weights);
                    let mask = masks[stage.x - 1].as_ref().filter(|_| *is_masked);
                    let [dy, dx] = [cotangent(*dy, i + 1), cotangent(*dx, stage.x)];
                    program.extend(layer.grad_input(&at, &dy, &dx, mask)?);
                }
                Back::Sum { value, parts, to, is_masked } => {
                    let mask = masks[value - 1].as_ref().filter(|_| *is_masked);
                    let held: Vec<Quads> = parts.iter().map(|part| cotangent(part.slot, part.like)).collect();
                    let (shape, to) = (workspace.stages[value - 1].output, cotangent(*to, *value));
                    program.push(sum(gpu, shape, two(parts, &held), &to, &Epilogue::masked(mask))?);
                }
            }
        }
        Ok(())
    }

    fn record_end(&self, program: &mut Program, pass: Pass) -> Result<()> {
        let (gpu, workspace) = (&self.gpu, &*self.workspace);
        let report = &workspace.report;
        if pass.has_backward() {
            let at = if pass == Pass::Gradient { &workspace.theta } else { &workspace.tangent };
            program.push(vector::axpby(gpu, &self.coefficients, at, &workspace.gradient)?);
            program.push(finite::check(gpu, &workspace.gradient, &report.found[report.found.len() - 1])?);
        }
        // The report was cleared, so partial sums that a stage does not fill are zeros.
        if pass == Pass::Curvature {
            for (products, sums) in self.curvature.iter().flatten().zip(&report.sums) {
                program.extend(vector::sum(gpu, products, &self.scratch, sums)?);
            }
            return Ok(());
        }
        let [loss, correct, theta_square] = &report.sums;
        program.extend(vector::sum(gpu, &self.loss, &self.scratch, loss)?);
        program.extend(vector::sum(gpu, &self.correct, &self.scratch, correct)?);
        program.extend(vector::dot(gpu, &workspace.theta, &workspace.theta, &self.scratch, theta_square)?);
        Ok(())
    }
}

/// One term or two, in these arrays.
fn two<'a>(terms: &[Held], arrays: &'a [Quads]) -> (Term<'a>, Option<Term<'a>>) {
    let mut terms = terms.iter().zip(arrays).map(|(term, x)| Term { x, shift: term.shift });
    (terms.next().expect("a sum has a term"), terms.next())
}
