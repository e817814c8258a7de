//! A Kronecker-factored approximation of the Gauss-Newton matrix, and products with its damped inverse (K-FAC: Martens
//! and Grosse 2015, arXiv 1503.05671; Grosse and Martens 2016, arXiv 1602.01407, for convolutions).

use super::examples::Examples;
use super::factor_work::FactorCost;
use super::factors::{Inputs, LayerFactors, LookAt, groups, shapes};
use super::inverses::Room;
use super::loss::Objective;
use super::minibatches::Activations;
use super::norm_factors::NormFactors;
use super::pass::{Chunk, Forward, Pass};
use super::slots::COTANGENT;
use crate::batch::{Looks, Share};
use crate::cost::Cost;
use crate::device::{Buf, Gpu};
use crate::error::{Result, RunError};
use crate::kernels::blocks::Part;
use crate::kernels::kronecker::diagonal;
use crate::kernels::softmax_xent;
use crate::model::Model;
use crate::program::Program;

/// Both factors of every layer from a sample of an objective's examples, and what is needed to divide by them.
pub struct Kronecker {
    gpu: Gpu,
    sample: Objective,
    looks: Looks,
    layers: Vec<LayerFactors>,
    norms: NormFactors,
    /// The factors' memory and that of their inverses: as many layers together as a binding holds.
    groups: Vec<Room>,
    /// λ, and the seed of the random signs: words that are rewritten.
    lambda: Buf,
    seed: Buf,
    /// Room for v and K⁻¹v.
    gradient: Buf,
    direction: Buf,
    update: Program,
    /// A look at the activations of mini-batches, by the index list that these share.
    at_minibatch: Option<(Buf, Program)>,
    partial: Buf,
    invert: Program,
    apply: Program,
    apply_diagonal: Program,
    /// The λ that the inverses hold for.
    inverted: Option<f64>,
    /// What the looks, the inverses and the products have cost.
    spent: FactorCost,
}

impl Kronecker {
    /// Whether every layer of a model that has parameters has factors, which the device can bind.
    ///
    /// # Errors
    /// [`Error::Usage`](crate::error::Error::Usage) naming a layer that has none,
    /// [`Error::OutOfMemory`](crate::error::Error::OutOfMemory) naming one whose are too large.
    pub fn check(gpu: &Gpu, model: &Model, looks: &Looks) -> Result<()> {
        let layers = model.layers();
        shapes(layers, looks)?.iter().try_for_each(|shapes| shapes.check(gpu, layers[shapes.layer].name(), looks))
    }

    /// Factors from about as many of the examples of `objective` as the looks say.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::error::Error::OutOfMemory) when the factors do not fit; as [`Kronecker::check`].
    pub fn new(objective: &Objective, looks: Looks) -> Result<Self> {
        let sample = objective.sample_in_blocks(looks.first)?;
        Self::of_sample(sample, looks)
    }

    /// The same from a share of the examples that are looked at; none where there is nothing in it.
    ///
    /// # Errors
    /// As [`Kronecker::new`].
    pub(crate) fn shared(objective: &Objective, looks: Looks, share: Share) -> Result<Option<Self>> {
        if share == Share::ALL {
            return Self::new(objective, looks).map(Some);
        }
        let block = objective.gpu.profile.block;
        let Some(sample) = objective.sample_in_blocks(looks.first)?.share(share)? else { return Ok(None) };
        let examples = share.count(looks.examples.next_multiple_of(block), block);
        Self::of_sample(sample, Looks { examples, ..looks }).map(Some)
    }

    fn of_sample(sample: Objective, looks: Looks) -> Result<Self> {
        let (gpu, workspace) = (sample.gpu.clone(), &sample.workspace);
        Self::check(&gpu, &workspace.model, &looks)?;
        let (mut layers, mut rooms) = (Vec::new(), Vec::new());
        for group in groups(&gpu, shapes(workspace.model.layers(), &looks)?, &looks) {
            let room = Room::new(&gpu, &group, &looks)?;
            for (i, shapes) in group.iter().enumerate() {
                let range =
                    workspace.model.ranges()[shapes.layer].as_ref().expect("a layer with patches has parameters");
                layers.push(LayerFactors::new(&gpu, shapes, range.start, room.of(i), looks)?);
            }
            rooms.push(room);
        }
        let most = [sample.len, looks.examples].map(|examples| examples.div_ceil(gpu.profile.block));
        let partials = layers.iter().flat_map(|layer| most.map(|blocks| layer.partial_len(&gpu, blocks))).max();
        let partial = gpu.alloc("factor.partial", partials.unwrap_or(1))?;
        let vector = |label| gpu.alloc(label, workspace.model.vector_len());
        let mut kronecker = Self {
            lambda: gpu.alloc("lambda", 1)?,
            seed: gpu.alloc("seed", 1)?,
            gradient: vector("kronecker.gradient")?,
            direction: vector("kronecker.direction")?,
            update: Program::default(),
            at_minibatch: None,
            partial,
            invert: Program::default(),
            apply: Program::default(),
            apply_diagonal: Program::default(),
            inverted: None,
            spent: FactorCost::new(&workspace.model, looks),
            norms: NormFactors::new(&gpu, &workspace.model)?,
            gpu,
            sample,
            looks,
            layers,
            groups: rooms,
        };
        kronecker.record()?;
        Ok(kronecker)
    }

    fn record(&mut self) -> Result<()> {
        let Self {
            gpu, sample, layers, norms, groups, lambda, gradient, direction, invert, apply, apply_diagonal, ..
        } = self;
        let mut rest = &layers[..];
        for room in groups {
            let (these, others) = rest.split_at(room.layers());
            rest = others;
            invert.extend(room.damping(gpu, lambda)?);
            invert.extend(room.blocks.invert(gpu)?);
            let parts: Vec<Part> = these.iter().map(|layer| layer.part).collect();
            apply.extend(room.apply(gpu, &parts, gradient, direction)?);
        }
        for factors in layers.iter().filter(|factors| factors.are_whole()) {
            let LayerFactors { layer, a: Inputs::Full(a), g, .. } = factors else { continue };
            let range = sample.workspace.model.ranges()[*layer].clone().expect("a layer with factors has parameters");
            let [from, to] = [&*gradient, &*direction].map(|vector| vector.view(range.clone()));
            apply_diagonal.push(diagonal(gpu, [a, g], lambda, &from, &to)?);
        }
        for program in [apply, apply_diagonal] {
            program.extend(norms.apply(gpu, lambda, [&*gradient, &*direction])?);
        }

        let mut update = Program::default();
        sample.workspace.record_packing(gpu, &mut update, 0)?;
        update.clear(&sample.workspace.report.all);
        let chunk: Chunk = sample.chunks().next().expect("a sample is one chunk");
        let forward = sample.record_forward(&mut update, Pass::Gradient, &chunk)?;
        self.record_sums(&mut update, &self.sample, &chunk.index, self.sample.len, &forward)?;
        self.update = update;
        Ok(())
    }

    /// The sums of every layer over the examples that went `forward`, so many and padding: back from a random root of
    /// the loss Hessian.
    fn record_sums(
        &self,
        program: &mut Program,
        of: &Objective,
        index: &Buf,
        examples: usize,
        forward: &Forward,
    ) -> Result<()> {
        let Self { gpu, layers, norms, seed, partial, .. } = self;
        let is_padded = examples < index.len();
        let words = layers.iter().map(|layer| layer.patch_words(is_padded)).max().filter(|&words| words > 0);
        let patches = words.map(|words| gpu.alloc_quads("factor.patches", index.len() * words, false)).transpose()?;
        let look = LookAt { index, seed, partial, patches: patches.as_ref(), is_padded };
        let logits = &forward.x[forward.x.len() - 1];
        let dz = of.workspace.passing[COTANGENT].like(logits);
        program.push(softmax_xent::root(gpu, logits, index, seed, &dz)?);
        of.record_back(program, forward, &mut |program, stage, at, dy| {
            norms.record_sums((stage.layer, &*of.workspace.model.layers()[stage.layer]), (at, dy), program)?;
            let mut of_layer = layers.iter().filter(|factors| factors.layer == stage.layer);
            of_layer.try_for_each(|factors| factors.record_sums(gpu, &look, [at.x, dy], program))
        })
    }

    fn prepare(&mut self, seed: u64, keep: f64, examples: usize) {
        self.gpu.write(&self.seed, &[seed as u32]);
        self.layers.iter().for_each(|layer| layer.weigh(&self.gpu, examples, keep));
        self.norms.weigh(&self.gpu, examples, keep);
        self.inverted = None;
        self.spent.look(examples);
    }

    /// Examples of a mini-batch of so many that [`Kronecker::update_at`] looks at, if it finds its activations.
    pub fn looks_at(of: &Objective, looks: Looks, minibatch: usize) -> Option<usize> {
        let examples = looks.examples.next_multiple_of(of.gpu.profile.block).min(minibatch);
        (minibatch <= of.workspace.chunk).then_some(examples)
    }

    /// Factors at θ, with new random signs; so much is `kept` of those before, 0 to 1. Says how many examples were
    /// looked at.
    ///
    /// # Errors
    /// What the device reports; so for the other.
    pub fn update(&mut self, theta: &Buf, seed: u64, keep: f64) -> Result<usize> {
        let examples = self.sample.len;
        self.prepare(seed, keep, examples);
        self.sample.workspace.stamp();
        self.update.run_between(&self.gpu, &[(theta, &self.sample.workspace.theta)], &[])?;
        self.sample.charge([1, 0, 0], 0);
        Ok(examples)
    }

    /// The same from some examples of a mini-batch, at its θ and from the activations it left: backward only.
    ///
    /// # Errors
    /// What the device reports.
    pub fn update_at(&mut self, activations: &Activations<'_>, seed: u64, keep: f64) -> Result<usize> {
        let (minibatch, block) = (activations.batch(), self.gpu.profile.block);
        let examples = self.looks.examples.next_multiple_of(block).min(minibatch.len);
        if examples == 0 {
            return Ok(0); // those that are looked at are of other ranks
        }
        if self.at_minibatch.as_ref().is_none_or(|(index, _)| !index.is(&minibatch.index)) {
            let mut program = Program::default();
            let padded = examples.next_multiple_of(block);
            let mut forward = activations.forward(padded);
            // these stand for all of the mini-batch
            let each = (minibatch.len as f32 / examples as f32).to_bits();
            let share = Examples::per_example(&self.gpu, "norm.share", (0..examples).map(|_| each), 0)?;
            for normal in forward.normal.iter_mut().flatten() {
                (normal.examples, normal.share) = (examples, share.clone());
            }
            self.record_sums(&mut program, minibatch, &minibatch.index.prefix(padded), examples, &forward)?;
            self.at_minibatch = Some((minibatch.index.clone(), program));
        }
        self.prepare(seed, keep, examples);
        if let Some((_, program)) = &self.at_minibatch {
            program.run(&self.gpu)?;
        }
        Ok(examples)
    }

    /// Every factor by name.
    pub fn factors(&self) -> Vec<(String, Buf)> {
        let named = |factors: &LayerFactors| {
            let LayerFactors { layer, a, g, .. } = factors;
            let name = factors.name(self.sample.workspace.model.layers()[*layer].name());
            [(format!("{name}.inputs"), a.words().clone()), (format!("{name}.outputs"), g.matrix.clone())]
        };
        self.layers.iter().flat_map(named).chain(self.norms.named(&self.sample.workspace.model)).collect()
    }

    /// Takes over [`Kronecker::factors`] of the same model.
    ///
    /// # Errors
    /// [`Error::Data`](crate::error::Error::Data) when one is missing or of another size.
    pub fn restore(&mut self, factors: &[(String, Buf)]) -> Result<()> {
        for (name, matrix) in self.factors() {
            let saved = factors.iter().find(|(other, saved)| *other == name && saved.len() == matrix.len());
            let (_, saved) =
                saved.ok_or_else(|| RunError::State { lacks: format!("the factor {name}"), source: None })?;
            self.gpu.copy(saved, &matrix);
        }
        self.inverted = None;
        self.gpu.check()
    }

    /// The words of every factor, one after the other, on the host.
    ///
    /// # Errors
    /// What the device reports.
    pub(crate) fn values(&self) -> Result<Vec<f32>> {
        let mut all = Vec::new();
        for (_, matrix) in self.factors() {
            all.extend(self.gpu.read::<f32>(&matrix)?);
        }
        Ok(all)
    }

    /// Takes these in their place.
    ///
    /// # Panics
    /// When there are fewer.
    pub(crate) fn set_values(&mut self, mut values: &[f32]) {
        for (_, matrix) in self.factors() {
            let (these, others) = values.split_at(matrix.len());
            self.gpu.write(&matrix, these);
            values = others;
        }
        self.inverted = None;
    }

    /// out ← (K + λ)⁻¹ v, λ shared out between the factors of each layer.
    ///
    /// # Errors
    /// What the device reports.
    pub fn precondition(&mut self, lambda: f64, v: &Buf, out: &Buf) -> Result<()> {
        if self.inverted != Some(lambda) {
            self.gpu.write(&self.lambda, &[lambda as f32]);
            self.invert.run(&self.gpu)?;
            self.inverted = Some(lambda);
        }
        self.spent.product(lambda);
        self.apply.run_between(&self.gpu, &[(v, &self.gradient)], &[(&self.direction, out)])
    }

    /// out ← (diag K + λ)⁻¹ v.
    ///
    /// # Errors
    /// What the device reports.
    ///
    /// # Panics
    /// Where of the inputs only the moments are known, or of the outputs only blocks.
    pub fn precondition_diagonally(&mut self, lambda: f64, v: &Buf, out: &Buf) -> Result<()> {
        let are_whole = self.layers.iter().all(LayerFactors::are_whole);
        assert!(are_whole, "the diagonal of a factor that is not there");
        self.gpu.write(&self.lambda, &[lambda as f32]);
        self.inverted = None; // for the inverses, λ is another one now
        self.spent.diagonal_product();
        self.apply_diagonal.run_between(&self.gpu, &[(v, &self.gradient)], &[(&self.direction, out)])
    }

    /// What it has cost so far.
    pub fn cost(&self) -> Cost {
        self.sample.cost + self.spent.cost()
    }

    /// The λ whose inverses were charged since the factors were made anew, if any.
    pub fn paid_for(&self) -> Option<f64> {
        self.spent.paid_for
    }

    /// Takes over [`Kronecker::paid_for`] of the run that goes on: it makes these inverses again, and is not charged.
    pub fn set_paid_for(&mut self, lambda: Option<f64>) {
        self.spent.paid_for = lambda;
    }
}
