//! Group normalisation with the ReLU, step by step.

use super::check::error_of;
use super::norm_values::{CHECKED, NormValues, shapes};
use super::timed::Timed;
use crate::device::{Buf, Gpu};
use crate::error::Result;
use crate::kernels::activation::Activation;
use crate::kernels::epilogue::Epilogue;
use crate::kernels::group_norm::{ExampleSums, GroupNorm, reference};
use crate::program::{Dispatch, Program};
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

/// Channels of a group.
const GROUP: usize = 8;

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
        shapes().flat_map(|(shape, batch)| {
            let norm = GroupNorm { shape, groups: shape.channels / GROUP };
            STEPS.map(|(step, name)| Self { norm, step, name, batch })
        })
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
        Ok(error_of(&setup.values.result(gpu)?, &setup.reference()))
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
    values: NormValues,
    room: [Buf; 2],
}

impl<'a> GroupNormSetup<'a> {
    fn new(gpu: &Gpu, case: &'a GroupNormCase, examples: usize) -> Result<Self> {
        let padded = examples.next_multiple_of(gpu.profile.block);
        let [statistics, products] = case.norm.room().map(|words| gpu.alloc("bench.room", words * padded));
        let values = NormValues::new(gpu, case.norm.shape, examples)?;
        Ok(Self { case, values, room: [statistics?, products?] })
    }

    fn record(&self, gpu: &Gpu) -> Result<Vec<Dispatch>> {
        let (norm, [statistics, products]) = (self.case.norm, &self.room);
        let room = ExampleSums { statistics, products };
        let NormValues { x: (_, x), u: (_, u), theta: (_, theta), out, .. } = &self.values;
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
        let (norm, NormValues { x: (x, _), u: (u, _), theta: (theta, _), .. }) = (self.case.norm, &self.values);
        match self.case.step {
            GroupNormStep::Forward => reference::forward(norm, x, theta).into_iter().map(|z| z.max(0.0)).collect(),
            GroupNormStep::Jvp => reference::jvp(norm, x, [theta; 2], Some(u)),
            GroupNormStep::GradInput => reference::grad_input(norm, [u, x], theta),
        }
    }
}
