//! The kernels that are measured, on the shapes of the networks that we train and of those that others publish.

use super::{Timed, random_blocks};
use crate::device::{Buf, Gpu, Quads};
use crate::error::{DeviceError, Result};
use crate::kernels::conv2d::{self, Conv2d};
use crate::kernels::epilogue::Epilogue;
use crate::kernels::weights::{self, Direction, WeightShape};
use crate::kernels::{from_blocks, matmul, tune};
use crate::program::{Dispatch, Program};
use crate::shape::Shape;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::fmt;

/// Which product of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ProductKind {
    Forward,
    Jvp,
    GradInput,
    GradWeight,
}

const PRODUCTS: [ProductKind; 4] =
    [ProductKind::Forward, ProductKind::Jvp, ProductKind::GradInput, ProductKind::GradWeight];

#[derive(Clone, Copy, Debug)]
enum Operation {
    Conv(Conv2d),
    Dense(WeightShape),
}

/// A product of a layer on a batch.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    operation: Operation,
    product: ProductKind,
    batch: usize,
}

/// Examples that a result is checked on: at least a block and a part, and full tiles of blocks where the reference takes no longer
/// than so many multiply-adds.
const CHECKED: usize = 72;
const REFERENCE: usize = 300_000_000;

/// Errors beyond this share of the largest value are faults.
const TOLERANCE: f64 = 2e-5;

/// (input channels, output channels, image side, filter, stride, padding, batch)
const CONVOLUTIONS: [(usize, usize, usize, usize, usize, usize, usize); 14] = [
    (16, 32, 14, 3, 1, 1, 256),
    (32, 64, 16, 3, 1, 1, 128),
    (1, 16, 28, 3, 1, 1, 512),
    (3, 32, 32, 3, 1, 1, 128),
    (1, 8, 28, 5, 2, 0, 1024),
    (8, 16, 12, 5, 2, 0, 1024),
    (3, 12, 32, 3, 2, 1, 512),
    (12, 24, 16, 3, 2, 1, 512),
    (24, 32, 8, 3, 2, 1, 1024),
    // what the strided ones are compared with
    (1, 8, 28, 3, 1, 1, 512),
    (8, 16, 12, 3, 1, 1, 1024),
    (3, 12, 32, 3, 1, 1, 256),
    (12, 24, 16, 3, 1, 1, 512),
    (24, 32, 8, 3, 1, 1, 1024),
];

/// (inputs, outputs, batch)
const DENSE: [(usize, usize, usize); 6] =
    [(512, 512, 512), (1024, 1024, 1024), (144, 32, 32_768), (256, 40, 4096), (512, 64, 2048), (64, 10, 4096)];

impl Case {
    /// Every product of every shape whose name contains `filter`.
    pub fn all(filter: &str) -> Vec<Self> {
        let conv = CONVOLUTIONS.map(|(channels, outputs, side, size, stride, padding, batch)| {
            let input = Shape::new(channels, side, side);
            (Operation::Conv(Conv2d { input, channels: outputs, size, stride, padding }), batch)
        });
        let dense =
            DENSE.map(|(inputs, outputs, batch)| (Operation::Dense(WeightShape { outputs, inputs, taps: 1 }), batch));
        let cases = conv
            .into_iter()
            .chain(dense)
            .flat_map(|(operation, batch)| PRODUCTS.map(|product| Self { operation, product, batch }));
        cases.filter(|case| case.to_string().contains(filter)).collect()
    }

    fn weights(&self) -> WeightShape {
        match self.operation {
            Operation::Conv(conv) => conv.weights(),
            Operation::Dense(shape) => shape,
        }
    }

    /// Values of an example going in and coming out of the layer.
    fn features(&self) -> (usize, usize) {
        match self.operation {
            Operation::Conv(conv) => (conv.input.len(), conv.output().expect("the filters of the table fit").len()),
            Operation::Dense(shape) => (shape.inputs, shape.outputs),
        }
    }

    /// Multiply-adds; a jvp has two products.
    pub fn multiply_adds(&self) -> usize {
        let (_, outputs) = self.features();
        let pixels = outputs / self.weights().outputs;
        let once = self.batch * pixels * self.weights().outputs * self.weights().patches();
        if self.product == ProductKind::Jvp { 2 * once } else { once }
    }

    /// Words of every operand and of the result.
    pub fn words(&self) -> usize {
        let (inputs, outputs) = self.features();
        let once = self.batch * (inputs + outputs) + self.weights().len();
        if self.product == ProductKind::Jvp { once + self.batch * inputs + self.weights().len() } else { once }
    }

    /// The product on few examples against its reference: the largest error, as a share of the largest value. The number of
    /// batch blocks is in no constant, so what is checked is what is timed.
    pub(super) fn check(&self, gpu: &Gpu) -> Result<f64> {
        let most = 4 * gpu.profile.block + 8;
        let examples = (REFERENCE * self.batch / self.multiply_adds()).clamp(CHECKED, most);
        let setup = Setup::new(gpu, self, examples.min(self.batch))?;
        let mut program = Program::default();
        program.extend(setup.record(gpu)?);
        program.run(gpu)?;
        let (got, want) = (setup.result(gpu)?, setup.reference());
        let scale = want.iter().fold(1e-30f64, |scale, w| scale.max(w.abs()));
        // NaN counts as the largest of errors
        let error =
            got.iter().zip(&want).map(|(g, w)| (g - w).abs() / scale).fold(0.0, |a: f64, b| if b <= a { a } else { b });
        if error <= TOLERANCE {
            Ok(error)
        } else {
            Err(DeviceError::Wrong { adapter: gpu.info.name.clone(), what: self.to_string(), error }.into())
        }
    }

    /// Times the candidate tiles of its shape and keeps the fastest.
    ///
    /// # Errors
    /// What the device reports.
    pub fn tune(&self, gpu: &Gpu) -> Result<()> {
        let examples = self.batch.next_multiple_of(gpu.profile.block);
        let direction = match self.product {
            ProductKind::Forward | ProductKind::Jvp => Direction::Forward,
            ProductKind::GradInput => Direction::Backward,
            ProductKind::GradWeight => return Ok(()), // its tile decides the order of sums
        };
        match &self.operation {
            Operation::Conv(conv) => tune::conv2d(gpu, conv, direction, examples),
            Operation::Dense(shape) => tune::matmul(gpu, shape, direction, examples),
        }
    }

    pub(super) fn prepare(&self, gpu: &Gpu) -> Result<Timed> {
        let setup = Setup::new(gpu, self, self.batch)?;
        Timed::new(gpu, || setup.record(gpu))
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let product = match self.product {
            ProductKind::Forward => "forward",
            ProductKind::Jvp => "jvp",
            ProductKind::GradInput => "grad_input",
            ProductKind::GradWeight => "grad_weight",
        };
        match self.operation {
            Operation::Conv(c) => write!(
                f,
                "conv {0}x{0}/{1} {2}->{3} @{4} x{5} {product}",
                c.size, c.stride, c.input.channels, c.channels, c.input.width, self.batch
            ),
            Operation::Dense(w) => write!(f, "dense {}->{} x{} {product}", w.inputs, w.outputs, self.batch),
        }
    }
}

/// A case on the device.
struct Setup<'a> {
    case: &'a Case,
    examples: usize,
    x: (Vec<f64>, Quads),
    tx: (Vec<f64>, Quads),
    dy: (Vec<f64>, Quads),
    theta: Vec<f64>,
    packed: Quads,
    out: Quads,
    partial: Buf,
    gradient: Buf,
}

impl<'a> Setup<'a> {
    fn new(gpu: &Gpu, case: &'a Case, examples: usize) -> Result<Self> {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let ((inputs, outputs), shape) = (case.features(), case.weights());
        let theta: Vec<f32> = (0..shape.len()).map(|_| rng.random_range(-1.0..1.0)).collect();
        let direction = if case.product == ProductKind::GradInput { Direction::Backward } else { Direction::Forward };
        let blocks = examples.div_ceil(gpu.profile.block);
        let (packing, splits) = match case.operation {
            Operation::Conv(conv) => (conv.packing(gpu, direction), conv.splits(gpu, blocks)),
            Operation::Dense(w) => (matmul::packing(gpu, &w, direction), matmul::splits(gpu, &w, blocks)),
        };
        let theta_buf = gpu.upload("bench.theta", &theta)?;
        let mut pack = Program::default();
        let packed = gpu.alloc_quads("bench.packed", packing.len(), false)?;
        pack.push(weights::pack(gpu, &packing, &theta_buf, &packed)?);
        pack.run(gpu)?;
        let results = if case.product == ProductKind::GradInput { inputs } else { outputs };
        let blank = vec![f32::NAN; examples.next_multiple_of(gpu.profile.block) * results];
        Ok(Self {
            case,
            examples,
            x: random_blocks(gpu, &mut rng, examples, inputs)?,
            tx: random_blocks(gpu, &mut rng, examples, inputs)?,
            dy: random_blocks(gpu, &mut rng, examples, outputs)?,
            theta: theta.into_iter().map(f64::from).collect(),
            packed,
            out: gpu.upload_quads("bench.output", &blank, false)?,
            partial: gpu.alloc("bench.partial", splits * shape.partial_len())?,
            gradient: gpu.alloc("bench.gradient", shape.len())?,
        })
    }

    fn record(&self, gpu: &Gpu) -> Result<Vec<Dispatch>> {
        let (x, tx, dy, w) = (&self.x.1, &self.tx.1, &self.dy.1, &self.packed);
        let reduce = || weights::reduce_partials(gpu, &self.case.weights(), &self.partial, &self.gradient);
        let end = Epilogue::default();
        Ok(vec![match (self.case.operation, self.case.product) {
            (Operation::Conv(conv), ProductKind::Forward) => conv2d::forward(gpu, &conv, x, w, &self.out, &end)?,
            // the direction is θ itself
            (Operation::Conv(conv), ProductKind::Jvp) => {
                conv2d::jvp(gpu, &conv, (x, w), Some((tx, w)), &self.out, None)?
            }
            (Operation::Conv(conv), ProductKind::GradInput) => conv2d::grad_input(gpu, &conv, dy, w, &self.out, None)?,
            (Operation::Conv(conv), ProductKind::GradWeight) => {
                return Ok(vec![conv2d::grad_weight(gpu, &conv, x, dy, &self.partial)?, reduce()?]);
            }
            (Operation::Dense(s), ProductKind::Forward) => matmul::forward(gpu, &s, x, w, &self.out, &end)?,
            (Operation::Dense(s), ProductKind::Jvp) => matmul::jvp(gpu, &s, (x, w), Some((tx, w)), &self.out, None)?,
            (Operation::Dense(s), ProductKind::GradInput) => matmul::grad_input(gpu, &s, dy, w, &self.out, None)?,
            (Operation::Dense(s), ProductKind::GradWeight) => {
                return Ok(vec![matmul::grad_weight(gpu, &s, x, dy, &self.partial)?, reduce()?]);
            }
        }])
    }

    fn result(&self, gpu: &Gpu) -> Result<Vec<f64>> {
        let (inputs, outputs) = self.case.features();
        let floats: Vec<f32> = match self.case.product {
            ProductKind::GradWeight => gpu.read(&self.gradient)?,
            ProductKind::GradInput => {
                from_blocks(&gpu.read_quads(&self.out)?, inputs, gpu.profile.block, self.examples)
            }
            _ => from_blocks(&gpu.read_quads(&self.out)?, outputs, gpu.profile.block, self.examples),
        };
        Ok(floats.into_iter().map(f64::from).collect())
    }

    fn reference(&self) -> Vec<f64> {
        let (x, tx, dy, theta) = (&self.x.0, &self.tx.0, &self.dy.0, &self.theta);
        let forward = |x: &[f64], theta: &[f64]| match &self.case.operation {
            Operation::Conv(conv) => conv2d::reference::forward(conv, x, theta),
            Operation::Dense(shape) => matmul::reference::forward(shape, x, theta),
        };
        match (&self.case.operation, self.case.product) {
            (_, ProductKind::Forward) => forward(x, theta),
            (_, ProductKind::Jvp) => {
                let shape = self.case.weights();
                let mut linear = theta.clone();
                linear[shape.outputs * shape.patches()..].fill(0.0);
                forward(tx, &linear).iter().zip(forward(x, theta)).map(|(a, b)| a + b).collect()
            }
            (Operation::Conv(conv), ProductKind::GradInput) => conv2d::reference::grad_input(conv, dy, theta),
            (Operation::Conv(conv), ProductKind::GradWeight) => conv2d::reference::grad_weight(conv, x, dy),
            (Operation::Dense(shape), ProductKind::GradInput) => matmul::reference::grad_input(shape, dy, theta),
            (Operation::Dense(shape), ProductKind::GradWeight) => matmul::reference::grad_weight(shape, x, dy),
        }
    }
}
