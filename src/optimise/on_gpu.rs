//! The space of parameter vectors on a device, and an objective as a problem in it.

use super::{Problem, Space};
use crate::device::{Buf, Gpu};
use crate::error::Result;
use crate::kernel::Program;
use crate::kernels::vector::{self, PARTIALS, SCRATCH};
use crate::objective::{Evaluation, Objective};

/// Inner products that one round trip takes.
const MAX_PAIRS: usize = 64;

/// Flat parameter vectors in device memory.
pub struct GpuSpace {
    gpu: Gpu,
    len: usize,
    coefficients: Buf,
    scratch: Buf,
    partials: Buf,
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
            program.clear(&self.partials);
            for (i, (x, y)) in pairs.iter().enumerate() {
                program.extend(vector::dot(&self.gpu, x, y, &self.scratch, &partials(i))?);
            }
            program.run(&self.gpu)?;
            let sums: Vec<f32> = self.gpu.read(&self.partials.prefix(pairs.len() * PARTIALS))?;
            products.extend(sums.chunks(PARTIALS).map(|part| part.iter().map(|&x| f64::from(x)).sum::<f64>()));
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
pub struct OnGpu {
    /// The loss over a subset.
    pub objective: Objective,
    /// Where its parameters live.
    pub space: GpuSpace,
    /// What the last evaluation found.
    pub last: Option<Evaluation>,
}

impl OnGpu {
    /// An objective and the space of its parameters.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::error::Error::OutOfMemory).
    pub fn new(objective: Objective) -> Result<Self> {
        let space = GpuSpace::new(objective.gpu(), objective.workspace().model.vector_len())?;
        Ok(Self { objective, space, last: None })
    }
}

impl Problem for OnGpu {
    type Space = GpuSpace;

    fn space(&self) -> &GpuSpace {
        &self.space
    }

    fn loss_and_gradient(&mut self, x: &Buf, gradient: &mut Buf) -> Result<f64> {
        let evaluation = self.objective.loss_and_gradient(x, gradient)?;
        let loss = evaluation.loss;
        self.last = Some(evaluation);
        Ok(loss)
    }
}
