//! The space of parameter vectors on a device, and an objective as a problem in it.

use super::{Curved, Elementwise, Inclusion, Look, Method, Problem, Space, Stochastic};
use crate::device::{Buf, Gpu, lock};
use crate::error::Result;
use crate::kernels::update::{self, Adam, Momentum, Natural};
use crate::kernels::vector::{self, FOLDED, PARTIALS, SCRATCH};
use crate::objective::{Batch, Cost, Evaluation, Kronecker, Objective};
use crate::program::{Dispatch, Program};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

/// Inner products that one round trip takes: those of L-BFGS with its usual twenty pairs, and more.
const MAX_PAIRS: usize = 128;

/// Curvature is that of a quarter of the examples, of this many at least: fewer, and steps that a small loss
/// makes long go too far (a subset of 7,500 needed 26 passes to a loss of 0.001 with 512 examples, 20 with a quarter). The
/// full set's needs no more than so many: with a quarter of 60,000, `growing` and `full` cost a fifth more and got no further (docs/lab-notes.md).
const CURVATURE_SHARE: usize = 4;
const CURVATURE_EXAMPLES: [usize; 2] = [512, 4096];

/// Examples that the Kronecker factors are taken from.
const FACTOR_EXAMPLES: usize = 512;

/// Evaluations remembered: those of a step, and more.
const MAX_SEEN: usize = 64;

/// Updates remembered as recorded: those of one method, and more.
const MAX_RECORDED: usize = 4;

/// Flat parameter vectors in device memory.
pub struct GpuSpace {
    gpu: Gpu,
    len: usize,
    coefficients: Buf,
    scratch: Buf,
    partials: Buf,
    folded: Buf,
    /// Updates in the middle of a loop, by the vectors they are of.
    recorded: Mutex<Vec<Recorded>>,
}

/// An update that is replayed with other coefficients.
struct Recorded {
    vectors: Vec<Buf>,
    coefficients: Buf,
    program: Program,
}

impl GpuSpace {
    /// The space of vectors of `len` words, a multiple of 4.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::error::Error::OutOfMemory).
    pub fn new(gpu: &Gpu, len: usize) -> Result<Self> {
        Ok(Self {
            gpu: gpu.clone(),
            len,
            coefficients: gpu.alloc("space.coefficients", 2)?,
            scratch: gpu.alloc("space.scratch", SCRATCH)?,
            partials: gpu.alloc("space.partials", MAX_PAIRS * PARTIALS)?,
            folded: gpu.alloc("space.folded", MAX_PAIRS * FOLDED)?,
            recorded: Mutex::default(),
        })
    }

    /// A vector of this space from host memory.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::error::Error::OutOfMemory).
    pub fn upload(&self, values: &[f32]) -> Result<Buf> {
        assert_eq!(values.len(), self.len);
        self.gpu.upload("vector", values)
    }

    /// Submits the update of these vectors with these coefficients, recorded at its first use. How many vectors there are tells updates
    /// apart.
    fn replay<const N: usize>(
        &self,
        words: &[f32],
        vectors: [&Buf; N],
        record: impl FnOnce(&Gpu, &Buf) -> Result<Vec<Dispatch>>,
    ) -> Result<()> {
        let mut recorded = lock(&self.recorded);
        let is_same = |known: &[Buf]| known.len() == N && known.iter().zip(vectors).all(|(a, b)| a.is(b));
        let at = match recorded.iter().position(|update| is_same(&update.vectors)) {
            Some(at) => at,
            None => {
                let coefficients = self.gpu.alloc("update.coefficients", words.len())?;
                let mut program = Program::default();
                program.extend(record(&self.gpu, &coefficients)?);
                if recorded.len() == MAX_RECORDED {
                    recorded.remove(0);
                }
                recorded.push(Recorded { vectors: vectors.map(Buf::clone).to_vec(), coefficients, program });
                recorded.len() - 1
            }
        };
        self.gpu.write(&recorded[at].coefficients, words);
        recorded[at].program.run(&self.gpu)
    }

    /// A vector of this space in host memory: for weight files and checkpoints, never inside a step.
    ///
    /// # Errors
    /// What the device reports.
    pub fn download(&self, vector: &Buf) -> Result<Vec<f32>> {
        self.gpu.read(vector)
    }
}

impl Space for GpuSpace {
    type Vector = Buf;

    fn zeros(&self) -> Result<Buf> {
        self.gpu.alloc("vector", self.len)
    }

    fn axpby(&self, alpha: f64, x: &Buf, beta: f64, y: &mut Buf) -> Result<()> {
        self.gpu.write(&self.coefficients, &[alpha as f32, beta as f32]);
        let mut program = Program::default();
        program.push(vector::axpby(&self.gpu, &self.coefficients, x, y)?);
        program.run(&self.gpu)
    }

    fn copy(&self, from: &Buf, to: &mut Buf) -> Result<()> {
        self.gpu.copy(from, to);
        self.gpu.check()
    }

    fn inner_products(&self, pairs: &[(&Buf, &Buf)]) -> Result<Vec<f64>> {
        let partials = |i: usize| self.partials.view(i * PARTIALS..(i + 1) * PARTIALS);
        let mut products = Vec::with_capacity(pairs.len());
        for pairs in pairs.chunks(MAX_PAIRS) {
            let mut program = Program::default();
            let unfolded = self.partials.prefix(pairs.len() * PARTIALS);
            let folded = self.folded.prefix(pairs.len() * FOLDED);
            program.clear(&unfolded);
            for (i, (x, y)) in pairs.iter().enumerate() {
                program.extend(vector::dot(&self.gpu, x, y, &self.scratch, &partials(i))?);
            }
            program.push(vector::fold(&self.gpu, &unfolded, &folded)?);
            program.run(&self.gpu)?;
            let sums: Vec<f32> = self.gpu.read(&folded)?;
            products.extend(sums.chunks(FOLDED).map(|part| part.iter().map(|&x| f64::from(x)).sum::<f64>()));
        }
        Ok(products)
    }

    fn combine(&self, terms: &[(f64, &Buf)], out: &mut Buf) -> Result<()> {
        let mut beta = 0.0; // the first term overwrites
        for (alpha, x) in terms {
            self.axpby(*alpha, x, beta, out)?;
            beta = 1.0;
        }
        Ok(())
    }
}

/// An objective as something to minimise.
pub struct SubsetProblem {
    /// The loss over a subset.
    pub objective: Objective,
    /// Where its parameters live.
    pub space: GpuSpace,
    /// How likely each of its examples is to be one of an epoch's, where not all are.
    pub inclusion: Option<Arc<Inclusion>>,
    /// What the last evaluation found.
    pub last: Option<Evaluation>,
    /// What those before it found, latest last.
    seen: VecDeque<Evaluation>,
    /// Examples that tell the curvature, once asked for.
    curvature: Option<Objective>,
    kronecker: Option<Kronecker>,
}

impl SubsetProblem {
    /// An objective and the space of its parameters.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::error::Error::OutOfMemory).
    pub fn new(objective: Objective) -> Result<Self> {
        let space = GpuSpace::new(objective.gpu(), objective.workspace().model.vector_len())?;
        Ok(Self {
            objective,
            space,
            inclusion: None,
            last: None,
            seen: VecDeque::new(),
            curvature: None,
            kronecker: None,
        })
    }

    /// What the evaluation with this loss found: a step may end at another point than the last it tried.
    pub fn found(&self, loss: f64) -> Option<&Evaluation> {
        self.last.iter().chain(self.seen.iter().rev()).find(|evaluation| evaluation.loss == loss)
    }

    /// Records what the method will run, so that its kernels are compiled while others run.
    ///
    /// # Errors
    /// What the device reports.
    pub fn prepare(&mut self, method: &Method) -> Result<()> {
        if let Some(training) = method.training() {
            self.objective.prepare_minibatches(training.batch_of(self.objective.len()), training.select)?;
        }
        if matches!(method, Method::Sweep(_)) {
            self.kronecker()?;
        }
        Ok(())
    }

    /// The examples that tell the curvature (Martens 2010, section 4.5, takes it from a sample as well).
    fn curvature_sample(&mut self) -> Result<&mut Objective> {
        if self.curvature.is_none() {
            let all = self.objective.len();
            let [least, most] = CURVATURE_EXAMPLES;
            let some = (all / CURVATURE_SHARE).clamp(least, most).min(all);
            self.curvature = Some(self.objective.sample(some)?);
        }
        Ok(self.curvature.as_mut().expect("just made"))
    }

    fn kronecker(&mut self) -> Result<&mut Kronecker> {
        if self.kronecker.is_none() {
            self.kronecker = Some(Kronecker::new(&self.objective, FACTOR_EXAMPLES)?);
        }
        Ok(self.kronecker.as_mut().expect("just made"))
    }

    /// What all of it has cost so far.
    pub fn cost(&self) -> Cost {
        let curvature = self.curvature.as_ref().map_or(Cost::default(), Objective::cost);
        let kronecker = self.kronecker.as_ref().map_or(Cost::default(), Kronecker::cost);
        self.objective.cost() + curvature + kronecker
    }
}

impl Problem for SubsetProblem {
    type Space = GpuSpace;

    fn space(&self) -> &GpuSpace {
        &self.space
    }

    fn loss_and_gradient(&mut self, x: &Buf, gradient: &mut Buf) -> Result<f64> {
        let evaluation = self.objective.loss_and_gradient(x, gradient)?;
        let loss = evaluation.loss;
        self.seen.extend(self.last.replace(evaluation));
        if self.seen.len() > MAX_SEEN {
            self.seen.pop_front();
        }
        Ok(loss)
    }

    fn memory(&self) -> Vec<(String, Buf)> {
        self.kronecker.as_ref().map_or(Vec::new(), Kronecker::factors)
    }

    fn remember(&mut self, memory: &[(String, Buf)]) -> Result<()> {
        if memory.is_empty() { Ok(()) } else { self.kronecker()?.restore(memory) }
    }
}

impl Curved for SubsetProblem {
    fn gauss_newton_product(&mut self, x: &Buf, v: &Buf, product: &mut Buf) -> Result<()> {
        self.curvature_sample()?.gauss_newton_product(x, v, product).map(|_| ())
    }

    fn curvature(&mut self, x: &Buf, directions: [&Buf; 2], gram: [f64; 3]) -> Result<[f64; 3]> {
        let sample = self.curvature_sample()?;
        let of_cross_entropy = sample.curvature(x, directions)?;
        let decay = sample.weight_decay();
        Ok(std::array::from_fn(|i| of_cross_entropy[i] + decay * gram[i]))
    }

    fn update_preconditioner(&mut self, x: &Buf, look: Look) -> Result<()> {
        self.kronecker()?;
        let Self { objective, kronecker: Some(kronecker), .. } = self else { unreachable!("just made") };
        let minibatch = objective.last_minibatch().filter(|_| look.at_minibatch);
        match minibatch {
            Some(minibatch) => kronecker.update_at(minibatch, look.seed, look.keep),
            None => kronecker.update(x, look.seed, look.keep),
        }
    }

    fn precondition(&mut self, damping: f64, v: &Buf, out: &mut Buf) -> Result<()> {
        let lambda = damping + self.objective.weight_decay();
        self.kronecker.as_mut().expect("looked at before").precondition(lambda, v, out)
    }

    fn precondition_diagonally(&mut self, damping: f64, v: &Buf, out: &mut Buf) -> Result<()> {
        let lambda = damping + self.objective.weight_decay();
        self.kronecker.as_mut().expect("looked at before").precondition_diagonally(lambda, v, out)
    }
}

/// Updates are recorded once and replayed, without a wait.
impl Elementwise for GpuSpace {
    fn adam(&self, by: &Adam, gradient: &Buf, [m, v]: [&mut Buf; 2], x: &mut Buf) -> Result<()> {
        let (m, v, x) = (&*m, &*v, &*x);
        self.replay(&by.words(), [gradient, m, v, x], |gpu, by| Ok(vec![update::adam(gpu, by, gradient, [m, v], x)?]))
    }

    fn momentum(&self, by: &Momentum, gradient: &Buf, velocity: &mut Buf, x: &mut Buf) -> Result<()> {
        let (v, x) = (&*velocity, &*x);
        self.replay(&by.words(), [gradient, v, x], |gpu, by| Ok(vec![update::momentum(gpu, by, gradient, v, x)?]))
    }

    fn natural(&self, by: &Natural, gradient: &Buf, direction: &Buf, v: &mut Buf, x: &mut Buf) -> Result<()> {
        let (v, x) = (&*v, &*x);
        self.replay(&by.words(), [gradient, direction, v, x, x], |gpu, by| {
            let (mut steps, slope) = vector::dot_on_device(gpu, gradient, direction)?;
            steps.push(update::natural(gpu, by, &slope, direction, v, x)?);
            Ok(steps)
        })
    }

    fn average(&self, weight: f64, x: &Buf, mean: &mut Buf) -> Result<()> {
        let (mean, weights) = (&*mean, [weight, 1.0 - weight].map(|weight| weight as f32));
        self.replay(&weights, [x, mean], |gpu, by| Ok(vec![vector::axpby(gpu, by, x, mean)?]))
    }
}

impl Stochastic for SubsetProblem {
    fn examples(&self) -> usize {
        self.objective.len()
    }

    fn inclusion(&self) -> Option<Arc<Inclusion>> {
        self.inclusion.clone()
    }

    fn minibatch_gradient(&mut self, x: &Buf, batch: Batch<'_>, gradient: &mut Buf) -> Result<()> {
        self.objective.minibatch_gradient(x, batch, gradient)
    }

    fn take_minibatch_loss(&mut self) -> Result<f64> {
        let evaluation = self.objective.take_minibatch_loss()?;
        let loss = evaluation.loss;
        self.last = Some(evaluation);
        Ok(loss)
    }

    fn units(&self) -> f64 {
        self.cost().units()
    }
}
