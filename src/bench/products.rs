//! The products that are measured, on the shapes of the networks that we train and of those that others publish.

use super::check::{Check, error_of};
use super::random::random_blocks;
use super::timed::Timed;
use crate::device::{Buf, Gpu, Quads};
use crate::error::Result;
use crate::kernels::conv2d::Conv2d;
use crate::kernels::epilogue::Epilogue;
use crate::kernels::matmul::Dense;
use crate::kernels::product::{Product, reference};
use crate::kernels::weights::{self, Base, Direction, Partials};
use crate::kernels::{from_blocks, tune};
use crate::program::{Dispatch, Program};
use crate::shape::Shape;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::fmt;
use std::sync::Arc;

/// Which product of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ProductKind {
    Forward,
    Jvp,
    GradInput,
    GradWeight,
}

impl ProductKind {
    fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Jvp => "jvp",
            Self::GradInput => "grad_input",
            Self::GradWeight => "grad_weight",
        }
    }

    /// Which way it goes through the layer: how it reads its weights, if it does.
    fn direction(self) -> Direction {
        if self == Self::GradInput { Direction::Backward } else { Direction::Forward }
    }
}

const PRODUCTS: [ProductKind; 4] =
    [ProductKind::Forward, ProductKind::Jvp, ProductKind::GradInput, ProductKind::GradWeight];

/// A product of a layer on a batch.
#[derive(Clone, Debug)]
pub struct ProductCase {
    /// `conv 3x3/1 16->32 @14`, `dense 64->10`
    layer: String,
    product: Arc<dyn Product>,
    kind: ProductKind,
    batch: usize,
}

/// Examples that a result is checked on: at least a block and a part, and full tiles of blocks where the reference
/// takes no longer than so many multiply-adds.
const CHECKED: usize = 72;
const REFERENCE: usize = 300_000_000;

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

/// (channels, image side, stride, batch) of depthwise 3×3 filters.
const DEPTHWISE: [(usize, usize, usize, usize); 3] = [(32, 16, 1, 512), (64, 16, 2, 512), (128, 4, 1, 2048)];

/// (inputs, outputs, batch)
const DENSE: [(usize, usize, usize); 6] =
    [(512, 512, 512), (1024, 1024, 1024), (144, 32, 32_768), (256, 40, 4096), (512, 64, 2048), (64, 10, 4096)];

impl ProductCase {
    /// Every product of every shape.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let conv = CONVOLUTIONS.map(|(channels, outputs, side, size, stride, padding, batch)| {
            let layer = format!("conv {size}x{size}/{stride} {channels}->{outputs} @{side}");
            let conv =
                Conv2d { input: Shape::new(channels, side, side), channels: outputs, size, stride, padding, groups: 1 };
            (layer, Arc::new(conv) as Arc<dyn Product>, batch)
        });
        let dense = DENSE.map(|(inputs, outputs, batch)| {
            let product: Arc<dyn Product> = Arc::new(Dense { inputs, outputs });
            (format!("dense {inputs}->{outputs}"), product, batch)
        });
        let depthwise = DEPTHWISE.map(|(channels, side, stride, batch)| {
            let input = Shape::new(channels, side, side);
            let conv = Conv2d { input, channels, size: 3, stride, padding: 1, groups: channels };
            (format!("depthwise 3x3/{stride} {channels} @{side}"), Arc::new(conv) as Arc<dyn Product>, batch)
        });
        conv.into_iter().chain(depthwise).chain(dense).flat_map(|(layer, product, batch)| {
            PRODUCTS.map(|kind| Self { layer: layer.clone(), product: product.clone(), kind, batch })
        })
    }

    /// Multiply-adds; a jvp has two products.
    pub(super) fn multiply_adds(&self) -> usize {
        let once = self.batch * self.product.multiply_adds();
        if self.kind == ProductKind::Jvp { 2 * once } else { once }
    }

    /// Words of every operand and of the result.
    pub(super) fn words(&self) -> usize {
        let ([inputs, outputs], weights) = (self.product.shapes().map(|shape| shape.len()), self.product.weights());
        let once = self.batch * (inputs + outputs) + weights.len();
        if self.kind == ProductKind::Jvp { once + self.batch * inputs + weights.len() } else { once }
    }

    /// The product on few examples against its reference: the largest error, as a share of the largest value. The
    /// number of batch blocks is in no constant, so what is checked is what is timed.
    pub(super) fn check(&self, gpu: &Gpu) -> Result<f64> {
        let most = 4 * gpu.profile.block + 8;
        let examples = (REFERENCE * self.batch / self.multiply_adds()).clamp(CHECKED, most);
        let setup = Setup::new(gpu, self, examples.min(self.batch))?;
        Ok(error_of(&setup.run(gpu)?, &setup.reference()))
    }

    /// The products of a layer on so many examples, that to its input where anyone asks for it.
    pub(super) fn of_layer(
        name: &str,
        product: &Arc<dyn Product>,
        examples: usize,
        with_input: bool,
    ) -> impl Iterator<Item = Self> {
        let case = move |kind| Self { layer: name.to_owned(), product: product.clone(), kind, batch: examples };
        PRODUCTS.into_iter().filter(move |&kind| kind != ProductKind::GradInput || with_input).map(case)
    }

    /// The product on so many examples, twice, against its reference.
    ///
    /// # Errors
    /// What the device reports.
    pub(super) fn compare(&self, gpu: &Gpu, examples: usize, tolerance: f64) -> Result<Check> {
        let setup = Setup::new(gpu, self, examples)?;
        let [first, again] = [setup.run(gpu)?, Setup::new(gpu, self, examples)?.run(gpu)?];
        let [input, output] = self.product.shapes();
        let shapes = format!("{input} -> {output} x{examples}");
        let what = format!("{} {}", self.layer, self.kind.name());
        Ok(Check::new(&what, shapes, tolerance, [&first, &again], &setup.reference()))
    }

    /// Times the candidate tiles of its shape and keeps the fastest.
    ///
    /// # Errors
    /// What the device reports.
    pub(super) fn tune(&self, gpu: &Gpu) -> Result<()> {
        let examples = self.batch.next_multiple_of(gpu.profile.block);
        match self.kind {
            ProductKind::GradWeight => Ok(()), // its tile decides the order of sums
            kind => tune::choose_tile(gpu, &*self.product, kind.direction(), examples),
        }
    }

    pub(super) fn prepare(&self, gpu: &Gpu) -> Result<Timed> {
        let setup = Setup::new(gpu, self, self.batch)?;
        Timed::new(gpu, || setup.record(gpu))
    }
}

impl fmt::Display for ProductCase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} x{} {}", self.layer, self.batch, self.kind.name())
    }
}

/// A case on the device.
struct Setup<'a> {
    case: &'a ProductCase,
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
    fn new(gpu: &Gpu, case: &'a ProductCase, examples: usize) -> Result<Self> {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let (product, direction) = (&*case.product, case.kind.direction());
        let ([inputs, outputs], shape) = (product.shapes().map(|shape| shape.len()), product.weights());
        let theta: Vec<f32> = (0..shape.len()).map(|_| rng.random_range(-1.0..1.0)).collect();
        let packing = product.packing(gpu, direction);
        let splits = product.splits(gpu, examples.div_ceil(gpu.profile.block));
        let theta_buf = gpu.upload("bench.theta", &theta)?;
        let mut pack = Program::default();
        let packed = gpu.alloc_quads("bench.packed", packing.len(), false)?;
        let sources = gpu.upload("bench.sources", &packing.sources(0))?;
        pack.push(weights::pack(gpu, &sources, &theta_buf, &packed)?);
        pack.run(gpu)?;
        let results = if direction == Direction::Backward { inputs } else { outputs };
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
        let (x, tx, dy, w, out) = (&self.x.1, &self.tx.1, &self.dy.1, &self.packed, &self.out);
        let product = &*self.case.product;
        Ok(match self.case.kind {
            ProductKind::Forward => vec![product.forward(gpu, (x, w), out, &Epilogue::default())?],
            // the direction is θ itself
            ProductKind::Jvp => vec![product.jvp(gpu, (x, w), Some((tx, w)), out, None)?],
            ProductKind::GradInput => vec![product.grad_input(gpu, (dy, w), out, None)?],
            ProductKind::GradWeight => vec![product.grad_weight(gpu, x, dy, &self.partial)?, self.reduce(gpu)?],
        })
    }

    fn reduce(&self, gpu: &Gpu) -> Result<Dispatch> {
        let partials = [Partials::alone(self.case.product.weights(), &self.partial)];
        weights::reduce_partials(gpu, &partials, &self.partial, Base::Gradient, &self.gradient)
    }

    /// Runs it once.
    fn run(&self, gpu: &Gpu) -> Result<Vec<f32>> {
        let mut program = Program::default();
        program.extend(self.record(gpu)?);
        program.run(gpu)?;
        if self.case.kind == ProductKind::GradWeight {
            gpu.read(&self.gradient)
        } else {
            let [input, output] = self.case.product.shapes();
            let shape = if self.case.kind == ProductKind::GradInput { input } else { output };
            Ok(from_blocks(&gpu.read_quads(&self.out)?, shape.len(), gpu.profile.block, self.examples))
        }
    }

    fn reference(&self) -> Vec<f64> {
        let (x, tx, dy, theta) = (&self.x.0, &self.tx.0, &self.dy.0, &self.theta);
        let product = &*self.case.product;
        match self.case.kind {
            ProductKind::Forward => reference::forward(product, x, theta),
            ProductKind::Jvp => reference::jvp(product, [x, tx], [theta, theta]),
            ProductKind::GradInput => reference::grad_input(product, dy, theta),
            ProductKind::GradWeight => reference::grad_weight(product, x, dy),
        }
    }
}
