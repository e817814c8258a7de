//! The space of parameter vectors on a device.

use super::matrices::hidden_weights;
use crate::cost::{Cost, Yardstick};
use crate::device::{Buf, Gpu, lock};
use crate::error::Result;
use crate::kernels::muon::MuonRoom;
use crate::kernels::vector::{self, FOLDED, PARTIALS, SCRATCH};
use crate::kernels::{newton_schulz, update};
use crate::model::Model;
use crate::optimise::{Elementwise, Space};
use crate::program::{Dispatch, Program};
use crate::update::{AdamUpdate, Matrix, MomentumUpdate, MuonUpdate, NaturalUpdate};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Inner products that one round trip takes: those of L-BFGS with its usual twenty pairs, and more.
const MAX_PAIRS: usize = 128;

/// Steps of an update of Muon that go over vectors, and not over squares of a matrix's shorter side.
const OF_VECTORS: usize = 5;

/// Updates remembered as recorded: those of one method, and more.
const MAX_RECORDED: usize = 4;

/// Flat parameter vectors in device memory. Whatever a method does to them is counted here, by the formula: padding is
/// left out, and copies are nothing.
pub struct GpuSpace {
    gpu: Gpu,
    len: usize,
    /// P
    parameters: usize,
    /// Words at the beginning that stay as they are.
    frozen: usize,
    /// The weights of hidden layers.
    matrices: Vec<Matrix>,
    yardstick: Yardstick,
    /// What it has cost, in thousandths of a forward pass.
    spent: AtomicU64,
    coefficients: Buf,
    scratch: Buf,
    partials: Buf,
    folded: Buf,
    /// Updates in the middle of a loop, by the vectors they are of.
    recorded: Mutex<Vec<Recorded>>,
}

/// An update that is replayed with other coefficients.
struct Recorded {
    kind: UpdateKind,
    vectors: Vec<Buf>,
    coefficients: Buf,
    program: Program,
}

/// Which update it is: with the vectors, what tells recorded ones apart.
#[derive(Clone, Copy, PartialEq, Eq)]
enum UpdateKind {
    Adam,
    Momentum,
    Natural,
    /// With the matrices held at their first norms, or not.
    Muon {
        hold: bool,
    },
    Average,
}

impl GpuSpace {
    /// The space of the parameters of a model.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::error::Error::OutOfMemory).
    pub fn new(gpu: &Gpu, model: &Model) -> Result<Self> {
        Ok(Self {
            gpu: gpu.clone(),
            len: model.vector_len(),
            parameters: model.parameters(),
            frozen: model.frozen_words(),
            matrices: hidden_weights(model),
            yardstick: Yardstick::new(model.multiply_adds()),
            spent: AtomicU64::default(),
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

    /// Clears what a derivative says of parameters that stay as they are.
    ///
    /// # Errors
    /// What the device reports.
    pub fn freeze(&self, derivative: &Buf) -> Result<()> {
        if self.frozen == 0 {
            return Ok(());
        }
        let mut program = Program::default();
        program.clear(&derivative.prefix(self.frozen));
        program.run(&self.gpu)
    }

    /// The parameters with all that do not stay as they are multiplied by a factor.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::error::Error::OutOfMemory), and what the device reports.
    pub fn shrunk(&self, factor: f64, parameters: &Buf) -> Result<Buf> {
        let shrunk = self.scaled(factor, parameters)?;
        if self.frozen > 0 {
            self.gpu.copy(&parameters.prefix(self.frozen), &shrunk.prefix(self.frozen));
        }
        self.gpu.check().map(|()| shrunk)
    }

    /// What the operations so far have cost.
    pub fn cost(&self) -> Cost {
        Cost { besides: self.spent.load(Ordering::Relaxed), ..Cost::default() }
    }

    /// Charges so many multiply-adds an element.
    fn charge(&self, multiply_adds: usize) {
        self.charge_once(multiply_adds as u64 * self.parameters as u64);
    }

    /// Charges so many multiply-adds.
    fn charge_once(&self, multiply_adds: u64) {
        let cost = self.yardstick.cost(multiply_adds);
        self.spent.fetch_add(cost.besides, Ordering::Relaxed);
    }

    /// Seconds that so many operations on two vectors take, at most: a CPU moves half a gigabyte.
    fn seconds(&self, operations: usize) -> f64 {
        (operations * 12 * self.len) as f64 / 0.5e9
    }

    /// The same of an update of so many steps.
    fn seconds_of(&self, kind: UpdateKind, steps: usize) -> f64 {
        match kind {
            UpdateKind::Muon { .. } => {
                let products = newton_schulz::multiply_adds(&self.matrices) as f64;
                self.seconds(OF_VECTORS) + products / 5e9
            }
            _ => self.seconds(steps),
        }
    }

    fn record_axpby(&self, alpha: f64, x: &Buf, beta: f64, y: &Buf) -> Result<()> {
        self.gpu.write(&self.coefficients, &[alpha as f32, beta as f32]);
        let mut program = Program::default();
        program.push(vector::axpby(&self.gpu, &self.coefficients, x, y)?);
        program.took(self.seconds(1));
        program.run(&self.gpu)
    }

    /// Submits the update of these vectors with these coefficients, recorded at its first use.
    fn replay(
        &self,
        kind: UpdateKind,
        words: &[f32],
        vectors: &[&Buf],
        record: impl FnOnce(&Gpu, &Buf) -> Result<Vec<Dispatch>>,
    ) -> Result<()> {
        let mut recorded = lock(&self.recorded);
        let is_same = |update: &Recorded| {
            update.kind == kind
                && update.vectors.len() == vectors.len()
                && update.vectors.iter().zip(vectors).all(|(a, b)| a.is(b))
        };
        let at = match recorded.iter().position(is_same) {
            Some(at) => at,
            None => {
                let coefficients = self.gpu.alloc("update.coefficients", words.len())?;
                let mut program = Program::default();
                let steps = record(&self.gpu, &coefficients)?;
                let seconds = self.seconds_of(kind, steps.len());
                program.extend(steps);
                program.took(seconds);
                if recorded.len() == MAX_RECORDED {
                    recorded.remove(0);
                }
                let vectors = vectors.iter().map(|&vector| vector.clone()).collect();
                recorded.push(Recorded { kind, vectors, coefficients, program });
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
        self.charge(if beta == 0.0 { 1 } else { 2 });
        self.record_axpby(alpha, x, beta, y)
    }

    fn copied(&self, x: &Buf) -> Result<Buf> {
        let mut copy = self.zeros()?;
        self.copy(x, &mut copy)?;
        Ok(copy)
    }

    fn copy(&self, from: &Buf, to: &mut Buf) -> Result<()> {
        self.gpu.copy(from, to);
        self.gpu.check()
    }

    fn inner_products(&self, pairs: &[(&Buf, &Buf)]) -> Result<Vec<f64>> {
        self.charge(pairs.len());
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
            program.took(self.seconds(pairs.len()));
            program.run(&self.gpu)?;
            let sums: Vec<f32> = self.gpu.read(&folded)?;
            products.extend(sums.chunks(FOLDED).map(|part| part.iter().map(|&x| f64::from(x)).sum::<f64>()));
        }
        Ok(products)
    }

    fn combine(&self, terms: &[(f64, &Buf)], out: &mut Buf) -> Result<()> {
        self.charge(terms.len());
        let mut beta = 0.0; // the first term overwrites
        for (alpha, x) in terms {
            self.record_axpby(*alpha, x, beta, out)?;
            beta = 1.0;
        }
        Ok(())
    }
}

/// Updates are recorded once and replayed, without a wait.
impl Elementwise for GpuSpace {
    fn adam(&self, by: &AdamUpdate, gradient: &Buf, [m, v]: [&mut Buf; 2], x: &mut Buf) -> Result<()> {
        self.charge(AdamUpdate::MULTIPLY_ADDS);
        let (m, v, x) = (&*m, &*v, &*x);
        let record = |gpu: &Gpu, by: &Buf| Ok(vec![update::adam(gpu, by, gradient, [m, v], x)?]);
        self.replay(UpdateKind::Adam, &by.words(), &[gradient, m, v, x], record)
    }

    fn momentum(&self, by: &MomentumUpdate, gradient: &Buf, velocity: &mut Buf, x: &mut Buf) -> Result<()> {
        self.charge(MomentumUpdate::MULTIPLY_ADDS);
        let (v, x) = (&*velocity, &*x);
        let record = |gpu: &Gpu, by: &Buf| Ok(vec![update::momentum(gpu, by, gradient, v, x)?]);
        self.replay(UpdateKind::Momentum, &by.words(), &[gradient, v, x], record)
    }

    fn natural(
        &self,
        by: &NaturalUpdate,
        gradient: &Buf,
        direction: &Buf,
        [velocity, slopes]: [&mut Buf; 2],
        x: &mut Buf,
    ) -> Result<()> {
        self.charge(NaturalUpdate::MULTIPLY_ADDS);
        let (v, slopes, x) = (&*velocity, &*slopes, &*x);
        self.replay(UpdateKind::Natural, &by.words(), &[gradient, direction, v, slopes, x], |gpu, by| {
            let (mut steps, slope) = vector::dot_on_device(gpu, gradient, direction)?;
            steps.push(update::natural(gpu, by, [&slope, slopes], direction, [v, x])?);
            Ok(steps)
        })
    }

    fn norms(&self, x: &Buf, norms: &mut Buf) -> Result<()> {
        self.charge(1);
        if self.matrices.is_empty() {
            return Ok(());
        }
        let x: Vec<f64> = self.download(x)?.into_iter().map(f64::from).collect();
        let found: Vec<f32> = self.matrices.iter().map(|matrix| matrix.norm(&x) as f32).collect();
        self.gpu.write(norms, &found);
        Ok(())
    }

    fn muon(&self, by: &MuonUpdate, gradient: &Buf, memory: [&mut Buf; 3], x: &mut Buf) -> Result<()> {
        self.charge(MuonUpdate::MULTIPLY_ADDS);
        self.charge_once(newton_schulz::multiply_adds(&self.matrices));
        let ([v, s, norms], x) = (memory.map(|vector| &*vector), &*x);
        let kind = UpdateKind::Muon { hold: by.hold };
        self.replay(kind, &by.words(), &[gradient, v, s, norms, x], |gpu, words| {
            let room = MuonRoom::new(gpu, &self.matrices, x.len())?;
            room.update(gpu, words, gradient, [v, s, norms], x, by.hold)
        })
    }

    fn average(&self, weight: f64, x: &Buf, mean: &mut Buf) -> Result<()> {
        self.charge(2);
        let (mean, weights) = (&*mean, [weight, 1.0 - weight].map(|weight| weight as f32));
        // the mean of what stays is the same but for rounding
        let moving = self.frozen..self.len;
        let record =
            |gpu: &Gpu, by: &Buf| Ok(vec![vector::axpby(gpu, by, &x.view(moving.clone()), &mean.view(moving))?]);
        self.replay(UpdateKind::Average, &weights, &[x, mean], record)
    }
}
