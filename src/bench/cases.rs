//! The kernels that are measured.

use super::group_norms::GroupNormCase;
use super::norms::NormCase;
use super::products::ProductCase;
use super::timed::Timed;
use crate::device::Gpu;
use crate::error::{DeviceError, Result};
use std::fmt;

/// One kernel, or one and what finishes its sums, on a batch.
#[derive(Clone, Debug)]
pub enum Case {
    /// A product of a layer.
    Product(ProductCase),
    /// A step of batch normalisation.
    Norm(NormCase),
    /// A step of group normalisation.
    GroupNorm(GroupNormCase),
}

/// Errors beyond this share of the largest value are faults.
const TOLERANCE: f64 = 2e-5;

impl Case {
    /// Every case whose name contains `filter`.
    pub fn all(filter: &str) -> Vec<Self> {
        let norms = NormCase::all().map(Self::Norm).chain(GroupNormCase::all().map(Self::GroupNorm));
        let cases = ProductCase::all().map(Self::Product).chain(norms);
        cases.filter(|case| case.to_string().contains(filter)).collect()
    }

    /// Multiply-adds.
    pub fn multiply_adds(&self) -> usize {
        match self {
            Self::Product(case) => case.multiply_adds(),
            Self::Norm(case) => case.multiply_adds(),
            Self::GroupNorm(case) => case.multiply_adds(),
        }
    }

    /// Words of every operand and of the result.
    pub fn words(&self) -> usize {
        match self {
            Self::Product(case) => case.words(),
            Self::Norm(case) => case.words(),
            Self::GroupNorm(case) => case.words(),
        }
    }

    /// The kernel on few examples against its reference: the largest error, as a share of the largest value.
    pub(super) fn check(&self, gpu: &Gpu) -> Result<f64> {
        let error = match self {
            Self::Product(case) => case.check(gpu)?,
            Self::Norm(case) => case.check(gpu)?,
            Self::GroupNorm(case) => case.check(gpu)?,
        };
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
        match self {
            Self::Product(case) => case.tune(gpu),
            Self::Norm(_) | Self::GroupNorm(_) => Ok(()),
        }
    }

    pub(super) fn prepare(&self, gpu: &Gpu) -> Result<Timed> {
        match self {
            Self::Product(case) => case.prepare(gpu),
            Self::Norm(case) => case.prepare(gpu),
            Self::GroupNorm(case) => case.prepare(gpu),
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Product(case) => case.fmt(f),
            Self::Norm(case) => case.fmt(f),
            Self::GroupNorm(case) => case.fmt(f),
        }
    }
}
