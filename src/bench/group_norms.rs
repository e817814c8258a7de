//! Group normalisation with the ReLU, step by step.

use super::check::error_of;
use super::random::random_blocks;
use super::timed::Timed;
use crate::device::{Buf, Gpu, Quads};
use crate::error::Result;
use crate::kernels::activation::Activation;
use crate::kernels::epilogue::Epilogue;
use crate::kernels::from_blocks;
use crate::kernels::group_norm::{ExampleSums, GroupNorm, reference};
use crate::program::{Dispatch, Program};
use crate::shape::Shape;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::fmt;

/// Which step, with the sums before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GroupNormStep {
    Forward,
    Jvp,
    GradInput,
}

const STEPS: [(GroupNormStep, &str); 3] = [
    (GroupNormStep::Forward, "statistics + forward"),
    (GroupNormStep::Jvp, "statistics + products + jvp"),
    (GroupNormStep::GradInput, "statistics + products + grad_input"),
];

/// (channels, image side), eight channels a group.
const SHAPES: [(usize, usize); 3] = [(16, 16), (32, 8), (64, 4)];
const GROUP: usize = 8;

/// A mini-batch, and a chunk of an objective.
const BATCHES: [usize; 2] = [128, 2048];

/// Examples that a result is checked on.
const CHECKED: usize = 72;

/// A step of a normalisation of a batch.
#[derive(Clone, Debug)]
pub struct GroupNormCase {
    norm: GroupNorm,
    step: GroupNormStep,
    name: &'static str,
    batch: usize,
}

impl GroupNormCase {
    /// Every step on every shape.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let on = |(channels, side): (usize, usize), batch: usize| {
            let norm = GroupNorm { shape: Shape::new(channels, side, side), groups: channels / GROUP };
            STEPS.map(|(step, name)| Self { norm, step, name, batch })
        };
        SHAPES.into_iter().flat_map(move |shape| BATCHES.into_iter().flat_map(move |batch| on(shape, batch)))
    }

    /// Multiply-adds.
    pub(super) fn multiply_adds(&self) -> usize {
        let of_value = if self.step == GroupNormStep::Forward { 4 } else { 7 };
        of_value * self.batch * self.norm.shape.len()
    }

    /// Words read and written.
    pub(super) fn words(&self) -> usize {
        let of_value = if self.step == GroupNormStep::Forward { 3 } else { 6 };
        of_value * self.batch * self.norm.shape.len()
    }

    /// The error of the step, as a share of the largest value.
    pub(super) fn check(&self, gpu: &Gpu) -> Result<f64> {
        let setup = GroupNormSetup::new(gpu, self, CHECKED.min(self.batch))?;
        let mut program = Program::default();
        program.extend(setup.record(gpu)?);
        program.run(gpu)?;
        let found = gpu.read_quads(&setup.out)?;
        let got = from_blocks(&found, self.norm.shape.len(), gpu.profile.block, setup.examples);
        Ok(error_of(&got, &setup.reference()))
    }

    pub(super) fn prepare(&self, gpu: &Gpu) -> Result<Timed> {
        let setup = GroupNormSetup::new(gpu, self, self.batch)?;
        Timed::new(gpu, || setup.record(gpu))
    }
}

impl fmt::Display for GroupNormCase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { norm: GroupNorm { shape, groups }, name, batch, .. } = self;
        write!(f, "group norm {}@{} in {groups} x{batch} {name}", shape.channels, shape.height)
    }
}

/// A case on the device.
struct GroupNormSetup<'a> {
    case: &'a GroupNormCase,
    examples: usize,
    x: (Vec<f64>, Quads),
    /// tx, or dy.
    u: (Vec<f64>, Quads),
    theta: (Vec<f64>, Buf),
    room: [Buf; 2],
    out: Quads,
}

impl<'a> GroupNormSetup<'a> {
    fn new(gpu: &Gpu, case: &'a GroupNormCase, examples: usize) -> Result<Self> {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let (norm, features) = (case.norm, case.norm.shape.len());
        let [x, u] =
            [random_blocks(gpu, &mut rng, examples, features)?, random_blocks(gpu, &mut rng, examples, features)?];
        let theta: Vec<f32> = (0..norm.weights().len()).map(|_| rng.random_range(-1.0..1.0)).collect();
        let padded = examples.next_multiple_of(gpu.profile.block);
        let [statistics, products] = norm.room().map(|words| gpu.alloc("bench.room", words * padded));
        Ok(Self {
            case,
            examples,
            theta: (theta.iter().map(|&x| f64::from(x)).collect(), gpu.upload("bench.theta", &theta)?),
            room: [statistics?, products?],
            out: gpu.upload_quads("bench.output", &vec![f32::NAN; padded * features], false)?,
            x,
            u,
        })
    }

    fn record(&self, gpu: &Gpu) -> Result<Vec<Dispatch>> {
        let (norm, [statistics, products]) = (self.case.norm, &self.room);
        let room = ExampleSums { statistics, products };
        let (x, u, out, theta) = (&self.x.1, &self.u.1, &self.out, &self.theta.1);
        let sums = norm.statistics(gpu, x, room)?;
        if self.case.step == GroupNormStep::Forward {
            let relu = Epilogue { activation: Some(Activation::Relu), ..Epilogue::default() };
            return Ok(vec![sums, norm.forward(gpu, [x, out], None, theta, room, &relu)?]);
        }
        let map = match self.case.step {
            // the direction is θ itself
            GroupNormStep::Jvp => norm.jvp(gpu, [x, out], [theta; 2], Some(u), room, None)?,
            _ => norm.grad_input(gpu, [u, x, out], theta, room, None)?,
        };
        Ok(vec![sums, norm.products(gpu, [u, x], room)?, map])
    }

    fn reference(&self) -> Vec<f64> {
        let (norm, x, u, theta) = (self.case.norm, &self.x.0, &self.u.0, &self.theta.0);
        match self.case.step {
            GroupNormStep::Forward => reference::forward(norm, x, theta).into_iter().map(|z| z.max(0.0)).collect(),
            GroupNormStep::Jvp => reference::jvp(norm, x, [theta; 2], Some(u)),
            GroupNormStep::GradInput => reference::grad_input(norm, [u, x], theta),
        }
    }
}
