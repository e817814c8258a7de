//! A Kronecker-factored approximation of the Gauss-Newton matrix, and products with its damped inverse (K-FAC: Martens and Grosse
//! 2015, arXiv 1503.05671; Grosse and Martens 2016, arXiv 1602.01407, for convolutions).

use super::record::{Chunk, Pass};
use super::{Cost, Objective};
use crate::device::{Buf, Gpu};
use crate::error::Result;
use crate::kernel::Program;
use crate::kernels::blocks::Blocks;
use crate::kernels::conv2d::Conv2d;
use crate::kernels::kronecker::{Factor, damping, diagonal};
use crate::kernels::softmax_xent;
use std::collections::HashMap;

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
    invert: Program,
    apply: Program,
    apply_diagonal: Program,
    /// The λ that the inverses hold for.
    inverted: Option<f64>,
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
    fn new(gpu: &Gpu, patches: Conv2d, examples: usize) -> Result<Self> {
        let out = patches.output().expect("checked when the layer was made: the filter fits");
        // every pixel of every channel is a patch of its own
        let pixels = Conv2d { input: out, channels: 1, size: 1, stride: 1, padding: 0 };
        let (a, g) = (Factor::new(gpu, patches, true)?, Factor::new(gpu, pixels, false)?);
        let count = (examples * out.pixels()) as f32;
        gpu.write(&a.coefficients, &[0.0, 1.0 / examples as f32, count]);
        gpu.write(&g.coefficients, &[0.0, 1.0 / count, count]);
        let deltas = [gpu.alloc("delta", 1)?, gpu.alloc("delta", 1)?];
        let rooms = [Blocks::new(gpu, a.side(), g.side())?, Blocks::new(gpu, g.side(), a.side())?];
        Ok(Self { a, g, deltas, rooms })
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
                layers.insert(i, LayerFactors::new(&gpu, patches, examples)?);
            }
        }
        let blocks = examples / block;
        let partials = layers.values().flat_map(|l| [&l.a, &l.g].map(|f| f.partial_len(&gpu, blocks)));
        let partial = gpu.alloc("factor.partial", partials.max().unwrap_or(1))?;
        let vector = |label| gpu.alloc(label, workspace.model.vector_len());
        let mut kronecker = Self {
            lambda: gpu.alloc("lambda", 1)?,
            seed: gpu.alloc("seed", 1)?,
            gradient: vector("kronecker.gradient")?,
            direction: vector("kronecker.direction")?,
            update: Program::default(),
            invert: Program::default(),
            apply: Program::default(),
            apply_diagonal: Program::default(),
            inverted: None,
            gpu,
            sample,
            layers,
        };
        kronecker.record(&partial)?;
        Ok(kronecker)
    }

    fn record(&mut self, partial: &Buf) -> Result<()> {
        let Self {
            gpu, sample, layers, lambda, seed, gradient, direction, update, invert, apply, apply_diagonal, ..
        } = self;
        let ranges = sample.workspace.model.ranges().to_vec();
        for (i, range) in ranges.into_iter().enumerate() {
            let (Some(layer), Some(range)) = (layers.get(&i), range) else { continue };
            layer.record_inversion(gpu, lambda, invert)?;
            let [from, to] = [&*gradient, &*direction].map(|vector| vector.view(range.clone()));
            layer.record_product(gpu, [&from, &to], apply)?;
            apply_diagonal.push(diagonal(gpu, [&layer.a, &layer.g], lambda, &from, &to)?);
        }

        sample.workspace.record_packing(gpu, update, true, 0)?;
        update.clear(&sample.workspace.report.all);
        let chunk: Chunk = sample.chunks().next().expect("a sample is one chunk");
        let forward = sample.record_forward(update, Pass::Gradient, &chunk)?;
        let logits = &forward.x[forward.x.len() - 1];
        let dz = sample.workspace.passing[0].prefix(logits.len());
        update.push(softmax_xent::root(gpu, logits, &chunk.index, seed, &dz)?);
        let blocks = sample.len() / gpu.profile.block;
        sample.record_back(update, &forward, &mut |update, stage, x, dy| {
            if let Some(layer) = layers.get(&stage.layer) {
                for (factor, of) in [(&layer.a, x), (&layer.g, dy)] {
                    update.extend(factor.accumulate(gpu, of, &partial.prefix(factor.partial_len(gpu, blocks)))?);
                }
            }
            Ok(())
        })
    }

    /// Factors at θ, with new random signs.
    ///
    /// # Errors
    /// What the device reports; so for the other.
    pub fn update(&mut self, theta: &Buf, seed: u64) -> Result<()> {
        self.gpu.write(&self.seed, &[seed as u32]);
        self.update.run_between(&self.gpu, &[(theta, &self.sample.workspace.theta)], &[])?;
        self.sample.cost.forward += self.sample.len as u64;
        self.sample.cost.backward += self.sample.len as u64;
        self.inverted = None;
        Ok(())
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

    /// Leaves out what the looks so far have cost.
    pub fn forget_cost(&mut self) {
        self.sample.cost = Cost::default();
    }

    /// What the looks at the sample have cost.
    pub fn cost(&self) -> Cost {
        self.sample.cost
    }
}
