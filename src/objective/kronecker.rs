//! A Kronecker-factored approximation of the Gauss-Newton matrix, and products with its damped inverse (K-FAC: Martens and Grosse
//! 2015, arXiv 1503.05671; Grosse and Martens 2016, arXiv 1602.01407, for convolutions).

use super::record::{Chunk, Forward, Pass};
use super::{Cost, Objective};
use crate::device::{Buf, Gpu, Quads};
use crate::error::{Error, Result};
use crate::kernel::Program;
use crate::kernels::blocks::Blocks;
use crate::kernels::conv2d::Conv2d;
use crate::kernels::kronecker::{Factor, damping, diagonal};
use crate::kernels::softmax_xent;
use std::collections::HashMap;

/// Examples of a mini-batch that a look takes, about.
const MINIBATCH_EXAMPLES: usize = 64;

/// Both factors of every layer from a sample of an objective's examples, and what is needed to divide by them.
pub struct Kronecker {
    gpu: Gpu,
    sample: Objective,
    layers: HashMap<usize, LayerFactors>,
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
}

/// Examples of a mini-batch that a look at it takes: whole blocks.
fn of_minibatch(gpu: &Gpu) -> usize {
    MINIBATCH_EXAMPLES.next_multiple_of(gpu.profile.block)
}

/// A of the inputs and G of the outputs of one layer.
struct LayerFactors {
    a: Factor,
    g: Factor,
    /// δ_A and δ_G, which share λ.
    deltas: [Buf; 2],
    /// Room for the inverses.
    rooms: [Blocks; 2],
}

impl LayerFactors {
    fn new(gpu: &Gpu, patches: Conv2d) -> Result<Self> {
        let out = patches.output().expect("checked when the layer was made: the filter fits");
        // every pixel of every channel is a patch of its own
        let pixels = Conv2d { input: out, channels: 1, size: 1, stride: 1, padding: 0 };
        let (a, g) = (Factor::new(gpu, patches, true)?, Factor::new(gpu, pixels, false)?);
        let deltas = [gpu.alloc("delta", 1)?, gpu.alloc("delta", 1)?];
        let rooms = [Blocks::new(gpu, a.side(), g.side())?, Blocks::new(gpu, g.side(), a.side())?];
        Ok(Self { a, g, deltas, rooms })
    }

    /// What the next sums over so many examples are scaled with, and how much is kept of those before.
    fn weigh(&self, gpu: &Gpu, examples: usize, keep: f64) {
        let pixels = self.g.patches.input.pixels();
        let count = (examples * pixels) as f32;
        let share = 1.0 - keep;
        gpu.write(&self.a.coefficients, &[keep as f32, (share / examples as f64) as f32, count]);
        gpu.write(&self.g.coefficients, &[keep as f32, (share / (examples * pixels) as f64) as f32, count]);
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

    /// (A + δ_A I)⁻¹ and (G + δ_G I)⁻¹.
    fn record_inversion(&self, gpu: &Gpu, lambda: &Buf, program: &mut Program) -> Result<()> {
        program.push(damping(gpu, [&self.a, &self.g], lambda, self.deltas.each_ref())?);
        for ((factor, room), delta) in [&self.a, &self.g].into_iter().zip(&self.rooms).zip(&self.deltas) {
            program.extend(room.invert(gpu, &factor.matrix, delta)?);
        }
        Ok(())
    }

    /// G⁻¹ V A⁻¹ of a layer's part of a parameter vector.
    fn record_product(&self, gpu: &Gpu, [from, to]: [&Buf; 2], program: &mut Program) -> Result<()> {
        let [a, g] = &self.rooms;
        program.push(a.load_gradient(gpu, from, self.g.side())?);
        program.push(a.multiply(gpu)?);
        program.push(a.transpose_into(gpu, g)?);
        program.push(g.multiply(gpu)?);
        program.push(g.store_direction(gpu, self.a.side() - 1, to)?);
        Ok(())
    }
}

impl Kronecker {
    /// Factors from about `examples` of those of `objective`.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::error::Error::OutOfMemory) when the factors do not fit.
    pub fn new(objective: &Objective, examples: usize) -> Result<Self> {
        let (gpu, workspace) = (objective.gpu.clone(), &objective.workspace);
        // Whole blocks of real examples in one chunk: a padded one would count.
        let block = gpu.profile.block;
        let examples = examples.min(objective.len()).next_multiple_of(block).min(workspace.chunk / block * block);
        let sample = objective.sample(examples)?;
        let mut layers = HashMap::new();
        for (i, layer) in workspace.model.layers().iter().enumerate() {
            if let Some(patches) = layer.patches() {
                layers.insert(i, LayerFactors::new(&gpu, patches)?);
            }
        }
        let most = [examples, of_minibatch(&gpu)].map(|examples| examples / block);
        let of_layer = |l: &LayerFactors| most.map(|n| l.a.partial_len(&gpu, n).max(l.g.partial_len(&gpu, n)));
        let partials = layers.values().flat_map(of_layer).max();
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
            gpu,
            sample,
            layers,
        };
        kronecker.record()?;
        Ok(kronecker)
    }

    fn record(&mut self) -> Result<()> {
        let Self { gpu, sample, layers, lambda, gradient, direction, invert, apply, apply_diagonal, .. } = self;
        let ranges = sample.workspace.model.ranges().to_vec();
        for (i, range) in ranges.into_iter().enumerate() {
            let (Some(layer), Some(range)) = (layers.get(&i), range) else { continue };
            layer.record_inversion(gpu, lambda, invert)?;
            let [from, to] = [&*gradient, &*direction].map(|vector| vector.view(range.clone()));
            layer.record_product(gpu, [&from, &to], apply)?;
            apply_diagonal.push(diagonal(gpu, [&layer.a, &layer.g], lambda, &from, &to)?);
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
        of.record_back(program, forward, &mut |program, stage, x, dy| match self.layers.get(&stage.layer) {
            Some(layer) => layer.record_sums(gpu, [x, dy], blocks, &self.partial, program),
            None => Ok(()),
        })
    }

    fn prepare(&mut self, seed: u64, keep: f64, examples: usize) {
        self.gpu.write(&self.seed, &[seed as u32]);
        self.layers.values().for_each(|layer| layer.weigh(&self.gpu, examples, keep));
        self.inverted = None;
    }

    /// Factors at θ, with new random signs; so much is `kept` of those before, 0 to 1.
    ///
    /// # Errors
    /// What the device reports; so for the other.
    pub fn update(&mut self, theta: &Buf, seed: u64, keep: f64) -> Result<()> {
        let examples = self.sample.len;
        self.prepare(seed, keep, examples);
        self.update.run_between(&self.gpu, &[(theta, &self.sample.workspace.theta)], &[])?;
        self.sample.cost.forward += examples as u64;
        self.sample.cost.backward += examples as u64;
        Ok(())
    }

    /// The same from some examples of a mini-batch whose forward pass was the last on the workspace, at its θ: backward only.
    ///
    /// # Errors
    /// What the device reports.
    pub fn update_at(&mut self, minibatch: &Objective, seed: u64, keep: f64) -> Result<()> {
        let examples = of_minibatch(&self.gpu).min(minibatch.len / self.gpu.profile.block * self.gpu.profile.block);
        if self.at_minibatch.as_ref().is_none_or(|(index, _)| !index.is(&minibatch.index)) {
            let mut program = Program::default();
            let forward = minibatch.forward_views(examples);
            self.record_sums(&mut program, minibatch, &minibatch.index.prefix(examples), &forward)?;
            self.at_minibatch = Some((minibatch.index.clone(), program));
        }
        self.prepare(seed, keep, examples);
        if let Some((_, program)) = &self.at_minibatch {
            program.run(&self.gpu)?;
        }
        self.sample.cost.backward += examples as u64;
        Ok(())
    }

    /// Every factor by name.
    pub fn factors(&self) -> Vec<(String, Buf)> {
        let mut layers: Vec<_> = self.layers.iter().collect();
        layers.sort_by_key(|(i, _)| **i);
        let named = |(i, layer): (&usize, &LayerFactors)| {
            let model = &self.sample.workspace.model;
            let name = model.layers()[*i].name().to_owned();
            [(format!("{name}.inputs"), layer.a.matrix.clone()), (format!("{name}.outputs"), layer.g.matrix.clone())]
        };
        layers.into_iter().flat_map(named).collect()
    }

    /// Takes over [`Kronecker::factors`] of the same model.
    ///
    /// # Errors
    /// [`Error::Data`] when one is missing or of another size.
    pub fn restore(&mut self, factors: &[(String, Buf)]) -> Result<()> {
        for (name, matrix) in self.factors() {
            let saved = factors.iter().find(|(other, saved)| *other == name && saved.len() == matrix.len());
            let (_, saved) = saved.ok_or_else(|| Error::data(format!("a state without the factor {name}")))?;
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
        self.apply.run_between(&self.gpu, &[(v, &self.gradient)], &[(&self.direction, out)])
    }

    /// out ← (diag K + λ)⁻¹ v.
    ///
    /// # Errors
    /// What the device reports.
    pub fn precondition_diagonally(&mut self, lambda: f64, v: &Buf, out: &Buf) -> Result<()> {
        self.gpu.write(&self.lambda, &[lambda as f32]);
        self.inverted = None; // for the inverses, λ is another one now
        self.apply_diagonal.run_between(&self.gpu, &[(v, &self.gradient)], &[(&self.direction, out)])
    }

    /// What the looks at the sample have cost.
    pub fn cost(&self) -> Cost {
        self.sample.cost
    }
}
