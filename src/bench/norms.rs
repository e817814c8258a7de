//! Batch normalisation of one group of examples, with the ReLU, step by step; and a copy of as many values.

use super::check::{Check, error_of};
use super::norm_values::{CHECKED, NormValues, shapes};
use super::timed::Timed;
use crate::device::{Buf, Gpu};
use crate::error::Result;
use crate::kernels::activation::Activation;
use crate::kernels::batch_norm::{BatchNorm, Statistics, reference};
use crate::kernels::ceiling;
use crate::kernels::epilogue::Epilogue;
use crate::program::{Dispatch, Program};
use std::fmt;

/// Which step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NormStep {
    Statistics,
    Forward,
    Products,
    Jvp,
    GradInput,
    Copy,
}

const STEPS: [(NormStep, &str); 6] = [
    (NormStep::Statistics, "statistics"),
    (NormStep::Forward, "forward"),
    (NormStep::Products, "products"),
    (NormStep::Jvp, "jvp"),
    (NormStep::GradInput, "grad_input"),
    (NormStep::Copy, "copy"),
];

/// A step of a normalisation of a batch.
#[derive(Clone, Debug)]
pub struct NormCase {
    norm: BatchNorm,
    step: NormStep,
    name: &'static str,
    batch: usize,
}

impl NormCase {
    /// Every step on every shape.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        shapes()
            .flat_map(|(shape, batch)| STEPS.map(|(step, name)| Self { norm: BatchNorm { shape }, step, name, batch }))
    }

    /// The steps of a layer on so many examples whose results are values.
    pub(super) fn of_layer(norm: BatchNorm, examples: usize) -> impl Iterator<Item = Self> {
        let is_checked = |step: &NormStep| !matches!(step, NormStep::Statistics | NormStep::Copy);
        let steps = STEPS.into_iter().filter(move |(step, _)| is_checked(step));
        steps.map(move |(step, name)| Self { norm, step, name, batch: examples })
    }

    /// The step on all examples, twice, against its reference.
    ///
    /// # Errors
    /// What the device reports.
    pub(super) fn compare(&self, gpu: &Gpu, layer: &str, tolerance: f64) -> Result<Check> {
        let run = || {
            let setup = NormSetup::new(gpu, self, self.batch)?;
            let mut program = Program::default();
            program.push(setup.record(gpu)?);
            program.run(gpu)?;
            setup.result(gpu)
        };
        let (what, shapes) = (format!("{layer} {}", self.name), format!("{} x{}", self.norm.shape, self.batch));
        let want = NormSetup::new(gpu, self, self.batch)?.reference();
        Ok(Check::new(&what, shapes, tolerance, [&run()?, &run()?], &want))
    }

    /// Multiply-adds.
    pub(super) fn multiply_adds(&self) -> usize {
        let of_value = match self.step {
            NormStep::Statistics | NormStep::Forward | NormStep::Products => 2,
            NormStep::Jvp | NormStep::GradInput => 3,
            NormStep::Copy => 0,
        };
        of_value * self.batch * self.norm.shape.len()
    }

    /// Words read and written.
    pub(super) fn words(&self) -> usize {
        let of_value = match self.step {
            NormStep::Statistics => 1,
            NormStep::Forward | NormStep::Products | NormStep::Copy => 2,
            NormStep::Jvp | NormStep::GradInput => 3,
        };
        of_value * self.batch * self.norm.shape.len()
    }

    /// The error of the step, as a share of the largest value.
    pub(super) fn check(&self, gpu: &Gpu) -> Result<f64> {
        let setup = NormSetup::new(gpu, self, CHECKED.min(self.batch))?;
        let mut program = Program::default();
        program.push(setup.record(gpu)?);
        program.run(gpu)?;
        Ok(error_of(&setup.result(gpu)?, &setup.reference()))
    }

    pub(super) fn prepare(&self, gpu: &Gpu) -> Result<Timed> {
        let setup = NormSetup::new(gpu, self, self.batch)?;
        Timed::new(gpu, || Ok(vec![setup.record(gpu)?]))
    }
}

impl fmt::Display for NormCase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { norm: BatchNorm { shape }, name, batch, .. } = self;
        write!(f, "batch norm {}@{} x{batch} {name}", shape.channels, shape.height)
    }
}

/// A case on the device, with the sums that the step needs.
struct NormSetup<'a> {
    case: &'a NormCase,
    values: NormValues,
    share: Buf,
    sums: Buf,
    partial: Buf,
}

impl<'a> NormSetup<'a> {
    fn new(gpu: &Gpu, case: &'a NormCase, examples: usize) -> Result<Self> {
        let norm = case.norm;
        let padded = examples.next_multiple_of(gpu.profile.block);
        let share: Vec<f32> = (0..padded).map(|n| f32::from(u8::from(n < examples))).collect();
        let setup = Self {
            case,
            values: NormValues::new(gpu, norm.shape, examples)?,
            share: gpu.upload("bench.share", &share)?,
            sums: gpu.alloc("bench.sums", norm.statistics_len(gpu, 1))?,
            partial: gpu.alloc("bench.partial", norm.partial_len(gpu, 1))?,
        };
        let mut program = Program::default();
        program.push(setup.record_statistics(gpu)?);
        program.push(setup.record_products(gpu)?);
        program.run(gpu)?;
        Ok(setup)
    }

    fn blocks(&self, gpu: &Gpu) -> usize {
        self.values.examples.div_ceil(gpu.profile.block)
    }

    fn statistics(&self, gpu: &Gpu) -> Statistics<'_> {
        Statistics::Groups { sums: &self.sums, blocks: self.blocks(gpu) }
    }

    fn record_statistics(&self, gpu: &Gpu) -> Result<Dispatch> {
        let NormValues { x: (_, x), examples, .. } = &self.values;
        self.case.norm.statistics(gpu, x, *examples, self.blocks(gpu), &self.sums)
    }

    fn record_products(&self, gpu: &Gpu) -> Result<Dispatch> {
        let NormValues { x: (_, x), u: (_, u), examples, .. } = &self.values;
        self.case.norm.products(gpu, [u, x], *examples, self.statistics(gpu), &self.partial)
    }

    fn record(&self, gpu: &Gpu) -> Result<Dispatch> {
        let (norm, statistics) = (self.case.norm, self.statistics(gpu));
        let NormValues { x: (_, x), u: (_, u), theta: (_, theta), out, .. } = &self.values;
        match self.case.step {
            NormStep::Statistics => self.record_statistics(gpu),
            NormStep::Products => self.record_products(gpu),
            NormStep::Forward => {
                let relu = Epilogue { activation: Some(Activation::Relu), ..Epilogue::default() };
                norm.forward(gpu, [x, out], None, theta, statistics, &relu)
            }
            // the direction is θ itself
            NormStep::Jvp => norm.jvp(gpu, [x, out], [theta; 2], Some((u, Some(&self.partial))), statistics, None),
            NormStep::GradInput => {
                norm.grad_input(gpu, [u, x, out], theta, statistics, Some([&self.partial, &self.share]), None)
            }
            NormStep::Copy => ceiling::copy(gpu, x, out),
        }
    }

    /// What it left; of sums, the first of each channel, added up.
    fn result(&self, gpu: &Gpu) -> Result<Vec<f32>> {
        let (channels, parts) = (self.case.norm.shape.channels, self.case.norm.parts(gpu));
        let sums = |words: &[f32], step: usize| -> Vec<f32> {
            let of_part = words.len() / parts;
            let sum = |c: usize| (0..parts).map(|part| words[part * of_part + c * step]).sum();
            (0..channels).map(sum).collect()
        };
        match self.case.step {
            NormStep::Statistics => {
                let words: Vec<f32> = gpu.read(&self.sums)?;
                // without the pivots that are taken off
                let counted =
                    |(c, sum)| sum + words[4 * c + 2] * (self.values.examples * self.case.norm.shape.pixels()) as f32;
                Ok(sums(&words, 4).into_iter().enumerate().map(counted).collect())
            }
            NormStep::Products => Ok(sums(&gpu.read::<f32>(&self.partial)?, 1)),
            _ => self.values.result(gpu),
        }
    }

    fn reference(&self) -> Vec<f64> {
        let NormValues { x: (x, _), u: (u, _), theta: (theta, _), examples, .. } = &self.values;
        let groups = reference::statistics(self.case.norm, x, *examples);
        match self.case.step {
            NormStep::Statistics => groups.moments.iter().map(|moments| moments.mean * moments.count).collect(),
            NormStep::Forward => reference::forward(&groups, x, None, theta).into_iter().map(|z| z.max(0.0)).collect(),
            NormStep::Products => reference::products(&groups, [u, x]).into_iter().map(|[with_x, _]| with_x).collect(),
            NormStep::Jvp => reference::jvp(&groups, x, [theta; 2], Some(u)),
            NormStep::GradInput => reference::grad_input(&groups, [u, x], theta, &vec![1.0; *examples]),
            NormStep::Copy => x.clone(),
        }
    }
}
