//! The loss of a model over a list of examples, and its derivatives, chunk by chunk.

use super::evaluation::Evaluation;
use super::examples::Examples;
use super::pass::{Chunk, Pass};
use super::workspace::{SUMS, Workspace};
use crate::cost::{Cost, Yardstick};
use crate::device::{Buf, Gpu, Reader};
use crate::error::Result;
use crate::kernels::from_blocks;
use crate::kernels::gather::PADDING;
use crate::kernels::softmax_xent::Targets;
use crate::kernels::vector::{PARTIALS, SCRATCH};
use crate::program::{CopyPair, Program};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

/// What normalisations of an objective take mean and variance over.
pub(super) enum Over {
    /// Groups of so many blocks.
    Groups(usize),
    /// Moments that are known, by a look at these examples where there are any.
    Known(Option<Box<Objective>>),
}

/// The loss over some examples of a data set.
pub struct Objective {
    pub(super) gpu: Gpu,
    pub(super) workspace: Arc<Workspace>,
    pub(super) examples: Arc<Examples>,
    /// K, the number of examples.
    pub(super) len: usize,
    /// Their positions in the data set.
    pub(super) indices: Vec<u32>,
    /// λ
    pub(super) weight_decay: f64,
    /// s of the targets.
    pub(super) smoothing: f64,
    /// What each example of the data set counts, if not 1; and what these examples count on average.
    pub(super) weights: Option<Arc<[f64]>>,
    pub(super) weight: f64,
    pub(super) index: Buf,
    pub(super) targets: Targets,
    /// What is normalised over, and what each example counts there, `[K/B][B]`: 1, whatever a mini-batch weighs it
    /// with, and 0 on padding.
    pub(super) over: Over,
    pub(super) share: Buf,
    /// Loss and hit of each example, `[K/B][B]`.
    pub(super) loss: Buf,
    pub(super) correct: Buf,
    pub(super) scratch: Buf,
    /// The logits of all examples, or their tangents, `[K/B][M][B]`, once asked for.
    pub(super) outputs: Option<Buf>,
    /// What each example gives to the curvature along two directions, once asked for.
    pub(super) curvature: Option<[Buf; 3]>,
    /// λ and 1/K: g ← λ θ + (1/K) Σ, with λ v in place of λ θ for the product.
    pub(super) coefficients: Buf,
    pub(super) reader: Reader,
    pub(super) programs: HashMap<Pass, Program>,
    pub(super) cost: Cost,
}

impl Objective {
    /// The loss over the examples `indices`, or [copies](Examples::augmented), each with weight 1.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::error::Error::OutOfMemory), [`Error::Device`](crate::error::Error::Device).
    pub fn new(
        gpu: &Gpu,
        workspace: &Arc<Workspace>,
        examples: &Arc<Examples>,
        indices: &[u32],
        weight_decay: f64,
    ) -> Result<Self> {
        let blocks = workspace.group_blocks(gpu, indices.len())?;
        Self::over(gpu, workspace, examples, (indices, weight_decay), blocks)
    }

    /// The same, normalised over groups of so many blocks.
    pub(super) fn over(
        gpu: &Gpu,
        workspace: &Arc<Workspace>,
        examples: &Arc<Examples>,
        (indices, weight_decay): (&[u32], f64),
        blocks: usize,
    ) -> Result<Self> {
        assert!(!indices.is_empty() && indices.iter().all(|&i| i as usize / examples.len() <= examples.copies()));
        assert_eq!(examples.shape, workspace.model.input);
        let labels = indices.iter().map(|&i| examples.label(i));
        let ones = indices.iter().map(|_| 1f32.to_bits());
        let index = Examples::per_example(gpu, "subset.index", indices.iter().copied(), PADDING)?;
        let targets = Targets {
            label: Examples::per_example(gpu, "subset.label", labels, 0)?,
            weight: Examples::per_example(gpu, "subset.weight", ones, 0)?,
            smoothing: None,
        };
        let padded = index.len();
        Ok(Self {
            gpu: gpu.clone(),
            over: Over::Groups(blocks),
            share: targets.weight.clone(),
            workspace: workspace.clone(),
            examples: examples.clone(),
            len: indices.len(),
            indices: indices.to_vec(),
            weight_decay,
            smoothing: 0.0,
            weights: None,
            weight: 1.0,
            index,
            targets,
            loss: gpu.alloc("subset.loss", padded)?,
            correct: gpu.alloc("subset.correct", padded)?,
            scratch: gpu.alloc("subset.scratch", SCRATCH)?,
            outputs: None,
            curvature: None,
            coefficients: gpu
                .upload("subset.coefficients", &[weight_decay as f32, (1.0 / indices.len() as f64) as f32])?,
            reader: gpu.reader(SUMS * PARTIALS + workspace.report.found.len())?,
            programs: HashMap::new(),
            cost: Cost::default(),
        })
    }

    /// λ of the weight decay.
    pub fn weight_decay(&self) -> f64 {
        self.weight_decay
    }

    /// K, the number of examples.
    #[expect(clippy::len_without_is_empty, reason = "an objective always has an example")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The class of each example.
    pub fn labels(&self) -> Vec<u32> {
        self.indices.iter().map(|&i| self.examples.label(i)).collect()
    }

    /// Charges passes over all examples, forward, backward and tangent, and so many multiply-adds a parameter.
    pub(super) fn charge(&mut self, [forward, backward, tangent]: [u64; 3], of_vectors: u64) {
        let (examples, model) = (self.len as u64, &self.workspace.model);
        let passes = [forward, backward, tangent].map(|passes| passes * examples);
        self.cost += Cost { forward: passes[0], backward: passes[1], tangent: passes[2], ..Cost::default() };
        let yardstick = Yardstick::new(model.multiply_adds());
        self.cost += yardstick.cost(of_vectors * model.parameters() as u64);
        self.cost += yardstick.cost(self.examples.multiply_adds(&self.indices));
    }

    /// What this objective has cost so far.
    pub fn cost(&self) -> Cost {
        self.cost
    }

    /// The device it lives on.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// The data set that they are of.
    pub fn examples(&self) -> &Arc<Examples> {
        &self.examples
    }

    /// The workspace, and through it the model.
    pub fn workspace(&self) -> &Arc<Workspace> {
        &self.workspace
    }

    /// f(θ) and the accuracy. One forward pass.
    ///
    /// # Errors
    /// What the device reports.
    pub fn loss(&mut self, theta: &Buf) -> Result<Evaluation> {
        self.charge([1, 0, 0], 1);
        self.evaluate(Pass::Loss, theta, None, None)
    }

    /// The same, and every example's cross entropy, `[K]`, on the host: to look at them once, never inside a step.
    ///
    /// # Errors
    /// What the device reports.
    pub fn losses(&mut self, theta: &Buf) -> Result<(Evaluation, Vec<f32>)> {
        let evaluation = self.loss(theta)?;
        let mut losses = self.gpu.read(&self.loss)?;
        losses.truncate(self.len);
        Ok((evaluation, losses))
    }

    /// f(θ), the accuracy and ∇f(θ) into `gradient`. One forward and one backward pass.
    ///
    /// # Errors
    /// What the device reports.
    pub fn loss_and_gradient(&mut self, theta: &Buf, gradient: &Buf) -> Result<Evaluation> {
        self.charge([1, 1, 0], 3);
        self.evaluate(Pass::Gradient, theta, None, Some(gradient))
    }

    /// (G + λI) v into `product`, G the Gauss-Newton matrix (1/K) Σ JᵀHJ at θ: v → Jv → HJv → JᵀHJv
    /// (Schraudolph 2002, Neural Computation 14(7)). Activations are computed anew: a forward, a tangent and a backward
    /// pass.
    ///
    /// # Errors
    /// What the device reports.
    pub fn gauss_newton_product(&mut self, theta: &Buf, v: &Buf, product: &Buf) -> Result<Evaluation> {
        self.charge([1, 1, 1], 3);
        self.evaluate(Pass::GaussNewton, theta, Some(v), Some(product))
    }

    /// f(θ), and Jv, the derivative of every example's logits along v: `[K/B][M][B]`, overwritten by the next call.
    /// A forward and a tangent pass.
    ///
    /// # Errors
    /// What the device reports.
    pub fn tangent(&mut self, theta: &Buf, v: &Buf) -> Result<(Evaluation, Buf)> {
        self.charge([1, 0, 1], 1);
        let out = self.outputs()?;
        Ok((self.evaluate(Pass::Tangent, theta, Some(v), None)?, out))
    }

    /// Every example's logits, `[K][M]`, on the host: for a report, never inside a step. One forward pass.
    ///
    /// # Errors
    /// What the device reports.
    pub fn logits(&mut self, theta: &Buf) -> Result<Vec<f32>> {
        self.charge([1, 0, 0], 1);
        let out = self.outputs()?;
        self.evaluate(Pass::Logits, theta, None, None)?;
        let blocks: Vec<f32> = self.gpu.read(&out)?;
        Ok(from_blocks(&blocks, self.workspace.model.classes, self.gpu.profile.block, self.len))
    }

    /// \[uᵀGu, uᵀGv, vᵀGv\] with the Gauss-Newton matrix G of the cross entropy alone at θ. A forward and two tangent
    /// passes.
    ///
    /// # Errors
    /// What the device reports.
    pub fn curvature(&mut self, theta: &Buf, [u, v]: [&Buf; 2]) -> Result<[f64; 3]> {
        self.charge([1, 0, 2], 0);
        self.curvatures()?;
        self.recorded(Pass::Curvature)?;
        let workspace = &self.workspace;
        let before = [(theta, &workspace.theta), (u, &workspace.tangent), (v, &workspace.second_tangent)];
        let words = self.run(Pass::Curvature, &before, None)?;
        Ok(std::array::from_fn(|i| sum(&words, i) / self.len as f64))
    }

    /// Room for what each example gives to the curvature.
    fn curvatures(&mut self) -> Result<()> {
        if self.curvature.is_none() {
            let room = || self.gpu.alloc("subset.curvature", self.index.len());
            self.curvature = Some([room()?, room()?, room()?]);
        }
        Ok(())
    }

    /// Records every pass that a training makes, so that no evaluation has to, and lets their kernels be compiled.
    ///
    /// # Errors
    /// What the device reports.
    pub fn prepare(&mut self) -> Result<()> {
        self.outputs()?;
        self.curvatures()?;
        [Pass::Loss, Pass::Gradient, Pass::GaussNewton, Pass::Tangent, Pass::Curvature]
            .into_iter()
            .try_for_each(|pass| self.recorded(pass))
    }

    /// Room for the logits of all examples.
    fn outputs(&mut self) -> Result<Buf> {
        if let Some(out) = &self.outputs {
            return Ok(out.clone());
        }
        let out = self.gpu.alloc("subset.outputs", self.index.len() * self.workspace.model.classes)?;
        self.outputs = Some(out.clone());
        Ok(out)
    }

    pub(super) fn recorded(&mut self, pass: Pass) -> Result<()> {
        if !self.programs.contains_key(&pass) {
            let program = self.record(pass)?;
            self.programs.insert(pass, program);
        }
        Ok(())
    }

    /// Runs a pass, recorded at its first use, at θ and along v, with what it derives into `out`, and reads its sums:
    /// the only words that leave the device.
    fn evaluate(&mut self, pass: Pass, theta: &Buf, v: Option<&Buf>, out: Option<&Buf>) -> Result<Evaluation> {
        self.find_moments(theta)?;
        self.recorded(pass)?;
        let workspace = &self.workspace;
        let before = [Some((theta, &workspace.theta)), v.map(|v| (v, &workspace.tangent))];
        let words = self.run(pass, &before.into_iter().flatten().collect::<Vec<_>>(), out)?;
        Ok(self.evaluation(pass, &words))
    }

    /// Runs a recorded pass between copies, and reads its report.
    fn run(&self, pass: Pass, before: &[CopyPair<'_>], out: Option<&Buf>) -> Result<Vec<u32>> {
        let workspace = &self.workspace;
        let (report, staging) = (&workspace.report, self.reader.staging());
        // the marks without the gaps between them
        let marks: Vec<_> = (0..report.found.len()).map(|i| staging.word(SUMS * PARTIALS + i)).collect();
        let (sums, read_sums) = (report.all.prefix(SUMS * PARTIALS), staging.prefix(SUMS * PARTIALS));
        let mut after = vec![(&sums, &read_sums)];
        after.extend(report.found.iter().zip(&marks));
        after.extend(out.map(|out| (&workspace.gradient, out)));
        let start = Instant::now();
        workspace.stamp();
        self.programs[&pass].run_between(&self.gpu, before, &after)?;
        let words: Vec<u32> = self.reader.collect(&self.gpu)?;
        self.programs[&pass].took(start.elapsed().as_secs_f64());
        Ok(words)
    }

    /// What the sums and marks of a pass say.
    fn evaluation(&self, pass: Pass, words: &[u32]) -> Evaluation {
        let not_finite = self.not_finite(pass, words[SUMS * PARTIALS..].iter());
        let mean = |which| sum(words, which) / self.len as f64;
        Evaluation::new(mean(0), mean(1) / self.weight, self.weight_decay, sum(words, 2), not_finite)
    }

    /// The first tensor that its mark says held a value which was not finite.
    pub(super) fn not_finite<'a>(&self, pass: Pass, marks: impl Iterator<Item = &'a u32>) -> Option<String> {
        let layers = self.workspace.model.layers();
        marks.zip(0..).find(|(mark, _)| **mark != 0).map(|(_, i)| match layers.get(i) {
            Some(layer) => format!("the output of {}", layer.name()),
            None if pass == Pass::GaussNewton => "the Gauss-Newton product".to_owned(),
            None => "the gradient".to_owned(),
        })
    }

    pub(super) fn chunks(&self) -> impl Iterator<Item = Chunk> + '_ {
        let (padded, chunk) = (self.index.len(), self.workspace.chunk);
        (0..padded).step_by(chunk).map(move |start| {
            let range = start..(start + chunk).min(padded);
            Chunk {
                index: self.index.view(range.clone()),
                targets: Targets {
                    label: self.targets.label.view(range.clone()),
                    weight: self.targets.weight.view(range.clone()),
                    smoothing: self.targets.smoothing.clone(),
                },
                loss: self.loss.view(range.clone()),
                correct: self.correct.view(range.clone()),
                curvature: self
                    .curvature
                    .as_ref()
                    .map(|all| all.each_ref().map(|products| products.view(range.clone()))),
                range,
            }
        })
    }
}

/// One of a report's sums, finished in f64.
fn sum(words: &[u32], which: usize) -> f64 {
    words[which * PARTIALS..(which + 1) * PARTIALS].iter().map(|&bits| f64::from(f32::from_bits(bits))).sum()
}
