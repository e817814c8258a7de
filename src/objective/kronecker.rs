//! A Kronecker-factored approximation of the Gauss-Newton matrix, and products with its damped inverse (K-FAC: Martens
//! and Grosse 2015, arXiv 1503.05671; Grosse and Martens 2016, arXiv 1602.01407, for convolutions).

use super::factor_work::FactorCost;
use super::loss::Objective;
use super::minibatches::Activations;
use super::pass::{Chunk, Forward, Pass};
use crate::cost::Cost;
use crate::device::{Buf, Gpu, Quads};
use crate::error::{MemoryError, ModelError, Result, RunError};
use crate::kernels::blocks::{Blocks, Part};
use crate::kernels::conv2d::Conv2d;
use crate::kernels::kronecker::{Factor, damping, diagonal, factor_side, factor_words};
use crate::kernels::softmax_xent;
use crate::model::{Layer, Model};
use crate::program::Program;

#[cfg(test)]
mod tests;

/// Examples of a mini-batch that a look takes, about.
const MINIBATCH_EXAMPLES: usize = 64;

/// Both factors of every layer from a sample of an objective's examples, and what is needed to divide by them.
pub struct Kronecker {
    gpu: Gpu,
    sample: Objective,
    layers: Vec<LayerFactors>,
    /// The factors' memory and that of their inverses: as many layers together as a binding holds.
    groups: Vec<Blocks>,
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

/// Examples of a mini-batch that a look at it takes: whole blocks.
fn of_minibatch(gpu: &Gpu) -> usize {
    MINIBATCH_EXAMPLES.next_multiple_of(gpu.profile.block)
}

/// A of the inputs and G of the outputs of one layer.
struct LayerFactors {
    /// Which layer of the model, and its part of a parameter vector.
    layer: usize,
    part: Part,
    a: Factor,
    g: Factor,
}

/// What the factors of a layer are made of: its patches and a bias, and every pixel of every output, a patch of its
/// own.
#[derive(Clone, Copy)]
struct Shapes {
    layer: usize,
    patches: Conv2d,
    pixels: Conv2d,
}

impl Shapes {
    fn of(layer: usize, patches: Conv2d) -> Self {
        let out = patches.output().expect("checked when the layer was made: the filter fits");
        Self { layer, patches, pixels: Conv2d { input: out, channels: 1, size: 1, stride: 1, padding: 0 } }
    }

    /// Rows of each factor, and of what is multiplied with its inverse.
    fn sizes(&self) -> [[usize; 2]; 2] {
        let (a, g) = (factor_side(&self.patches, true), factor_side(&self.pixels, false));
        [[a, g], [g, a]]
    }

    /// Whether the device binds both factors of the layer of this name, and what their inverses are made in.
    fn check(&self, gpu: &Gpu, layer: &str) -> Result<()> {
        let [[a, g], _] = self.sizes();
        let binding = gpu.max_binding_words();
        let refuse = |rows: usize, words: usize, limit: usize| {
            let [bytes, limit] = [words, limit].map(|words| (words as u64).saturating_mul(4));
            MemoryError::Factor { layer: layer.to_owned(), rows, bytes, limit, adapter: gpu.info.name.clone() }
        };
        for (rows, words) in [(a, factor_words(&self.patches, true)), (g, factor_words(&self.pixels, false))] {
            if words > binding {
                return Err(refuse(rows, words, binding).into());
            }
        }
        let (words, most) = (Blocks::words(&self.sizes()), gpu.max_quads_words());
        if words > most {
            return Err(refuse(a.max(g), words, most).into());
        }
        Ok(())
    }
}

/// What the factors of each layer with parameters are made of.
fn shapes(layers: &[Box<dyn Layer>]) -> Result<Vec<Shapes>> {
    let with_parameters = layers.iter().enumerate().filter(|(_, layer)| layer.weights().is_some());
    let shapes = with_parameters.map(|(i, layer)| match layer.patches() {
        Some(patches) => Ok(Shapes::of(i, patches)),
        // left out of every direction, its parameters would never move
        None => Err(ModelError::NoFactors { layer: layer.name().to_owned() }.into()),
    });
    shapes.collect()
}

/// Layers whose factors share an array, in order: as many as it holds.
fn groups(gpu: &Gpu, layers: Vec<Shapes>) -> Vec<Vec<Shapes>> {
    let mut groups: Vec<Vec<Shapes>> = Vec::new();
    for shapes in layers {
        let fits = |group: &&mut Vec<Shapes>| {
            let sizes: Vec<_> = group.iter().chain([&shapes]).flat_map(Shapes::sizes).collect();
            Blocks::words(&sizes) <= gpu.max_quads_words()
        };
        match groups.last_mut().filter(fits) {
            Some(group) => group.push(shapes),
            None => groups.push(vec![shapes]),
        }
    }
    groups
}

impl LayerFactors {
    fn new(gpu: &Gpu, shapes: &Shapes, start: usize, [a, g]: [Buf; 2]) -> Result<Self> {
        let a = Factor::new(gpu, shapes.patches, true, a)?;
        let g = Factor::new(gpu, shapes.pixels, false, g)?;
        let part = Part { start, outputs: g.side(), patches: a.side() - 1 };
        Ok(Self { layer: shapes.layer, part, a, g })
    }

    /// What the next sums over so many examples are scaled with, and how much is kept of those before.
    fn weigh(&self, gpu: &Gpu, examples: usize, keep: f64) {
        let (pixels, share) = (self.g.patches.input.pixels(), 1.0 - keep);
        self.a.weigh(gpu, keep, share / examples as f64, examples);
        self.g.weigh(gpu, keep, share / (examples * pixels) as f64, examples);
    }

    /// Adds a stage's x and dy to the sums.
    fn record_sums(
        &self,
        gpu: &Gpu,
        [x, dy]: [&Quads; 2],
        blocks: usize,
        partial: &Buf,
        program: &mut Program,
    ) -> Result<()> {
        for (factor, of) in [(&self.a, x), (&self.g, dy)] {
            program.extend(factor.accumulate(gpu, of, &partial.prefix(factor.partial_len(gpu, blocks)))?);
        }
        Ok(())
    }
}

impl Kronecker {
    /// Whether every layer of a model that has parameters has factors, which the device can bind.
    ///
    /// # Errors
    /// [`Error::Usage`](crate::error::Error::Usage) naming a layer that has none,
    /// [`Error::OutOfMemory`](crate::error::Error::OutOfMemory) naming one whose are too large.
    pub fn check(gpu: &Gpu, model: &Model) -> Result<()> {
        let layers = model.layers();
        shapes(layers)?.iter().try_for_each(|shapes| shapes.check(gpu, layers[shapes.layer].name()))
    }

    /// Factors from about `examples` of those of `objective`.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::error::Error::OutOfMemory) when the factors do not fit; as [`Kronecker::check`].
    pub fn new(objective: &Objective, examples: usize) -> Result<Self> {
        let (gpu, workspace) = (objective.gpu.clone(), &objective.workspace);
        Self::check(&gpu, &workspace.model)?;
        let sample = objective.sample_in_blocks(examples)?;
        let (mut layers, mut rooms) = (Vec::new(), Vec::new());
        for group in groups(&gpu, shapes(workspace.model.layers())?) {
            let blocks = Blocks::new(&gpu, &group.iter().flat_map(Shapes::sizes).collect::<Vec<_>>())?;
            for (i, shapes) in group.iter().enumerate() {
                let range =
                    workspace.model.ranges()[shapes.layer].as_ref().expect("a layer with patches has parameters");
                let matrices = [blocks.matrix(2 * i), blocks.matrix(2 * i + 1)];
                layers.push(LayerFactors::new(&gpu, shapes, range.start, matrices)?);
            }
            rooms.push(blocks);
        }
        let most = [sample.len, of_minibatch(&gpu)].map(|examples| examples / gpu.profile.block);
        let of_layer = |l: &LayerFactors| most.map(|n| l.a.partial_len(&gpu, n).max(l.g.partial_len(&gpu, n)));
        let partials = layers.iter().flat_map(of_layer).max();
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
            spent: FactorCost::new(&workspace.model),
            gpu,
            sample,
            layers,
            groups: rooms,
        };
        kronecker.record()?;
        Ok(kronecker)
    }

    fn record(&mut self) -> Result<()> {
        let Self { gpu, sample, layers, groups, lambda, gradient, direction, invert, apply, apply_diagonal, .. } = self;
        let mut rest = &layers[..];
        for blocks in groups {
            let (these, others) = rest.split_at(blocks.count() / 2);
            rest = others;
            invert.extend(damping(gpu, blocks, lambda)?);
            invert.extend(blocks.invert(gpu)?);
            let parts: Vec<Part> = these.iter().map(|layer| layer.part).collect();
            apply.extend(blocks.apply_inverse(gpu, &parts, gradient, direction)?);
        }
        for LayerFactors { layer, a, g, .. } in layers {
            let range = sample.workspace.model.ranges()[*layer].clone().expect("a layer with factors has parameters");
            let [from, to] = [&*gradient, &*direction].map(|vector| vector.view(range.clone()));
            apply_diagonal.push(diagonal(gpu, [a, g], lambda, &from, &to)?);
        }

        let mut update = Program::default();
        sample.workspace.record_packing(gpu, &mut update, true, 0)?;
        update.clear(&sample.workspace.report.all);
        let chunk: Chunk = sample.chunks().next().expect("a sample is one chunk");
        let forward = sample.record_forward(&mut update, Pass::Gradient, &chunk)?;
        self.record_sums(&mut update, &self.sample, &chunk.index, &forward)?;
        self.update = update;
        Ok(())
    }

    /// The sums of every layer over the examples that went `forward`: back from a random root of the loss Hessian.
    fn record_sums(&self, program: &mut Program, of: &Objective, index: &Buf, forward: &Forward) -> Result<()> {
        let (gpu, blocks) = (&self.gpu, index.len() / self.gpu.profile.block);
        let logits = &forward.x[forward.x.len() - 1];
        let dz = of.workspace.passing[0].like(logits);
        program.push(softmax_xent::root(gpu, logits, index, &self.seed, &dz)?);
        of.record_back(program, forward, &mut |program, stage, x, dy| match self.of_layer(stage.layer) {
            Some(layer) => layer.record_sums(gpu, [x, dy], blocks, &self.partial, program),
            None => Ok(()),
        })
    }

    fn of_layer(&self, layer: usize) -> Option<&LayerFactors> {
        self.layers.iter().find(|factors| factors.layer == layer)
    }

    fn prepare(&mut self, seed: u64, keep: f64, examples: usize) {
        self.gpu.write(&self.seed, &[seed as u32]);
        self.layers.iter().for_each(|layer| layer.weigh(&self.gpu, examples, keep));
        self.inverted = None;
        self.spent.look(examples);
    }

    /// Examples of a mini-batch of so many that [`Kronecker::update_at`] looks at, if it finds its activations.
    pub fn looks_at(of: &Objective, minibatch: usize) -> Option<usize> {
        let block = of.gpu.profile.block;
        let examples = of_minibatch(&of.gpu).min(minibatch / block * block);
        (examples > 0 && minibatch <= of.workspace.chunk).then_some(examples)
    }

    /// Factors at θ, with new random signs; so much is `kept` of those before, 0 to 1.
    ///
    /// # Errors
    /// What the device reports; so for the other.
    pub fn update(&mut self, theta: &Buf, seed: u64, keep: f64) -> Result<()> {
        let examples = self.sample.len;
        self.prepare(seed, keep, examples);
        self.sample.workspace.stamp();
        self.update.run_between(&self.gpu, &[(theta, &self.sample.workspace.theta)], &[])?;
        self.sample.charge([1, 0, 0], 0);
        Ok(())
    }

    /// The same from some examples of a mini-batch, at its θ and from the activations it left: backward only.
    ///
    /// # Errors
    /// What the device reports.
    pub fn update_at(&mut self, activations: &Activations<'_>, seed: u64, keep: f64) -> Result<()> {
        let minibatch = activations.batch();
        let examples = of_minibatch(&self.gpu).min(minibatch.len / self.gpu.profile.block * self.gpu.profile.block);
        if self.at_minibatch.as_ref().is_none_or(|(index, _)| !index.is(&minibatch.index)) {
            let mut program = Program::default();
            let forward = activations.forward(examples);
            self.record_sums(&mut program, minibatch, &minibatch.index.prefix(examples), &forward)?;
            self.at_minibatch = Some((minibatch.index.clone(), program));
        }
        self.prepare(seed, keep, examples);
        if let Some((_, program)) = &self.at_minibatch {
            program.run(&self.gpu)?;
        }
        Ok(())
    }

    /// Every factor by name.
    pub fn factors(&self) -> Vec<(String, Buf)> {
        let named = |LayerFactors { layer, a, g, .. }: &LayerFactors| {
            let name = self.sample.workspace.model.layers()[*layer].name();
            [(format!("{name}.inputs"), a.matrix.clone()), (format!("{name}.outputs"), g.matrix.clone())]
        };
        self.layers.iter().flat_map(named).collect()
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
    pub fn precondition_diagonally(&mut self, lambda: f64, v: &Buf, out: &Buf) -> Result<()> {
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
