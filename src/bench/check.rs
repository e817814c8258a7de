//! Whether a device computes what the formulas say, and the same bits again.

use crate::error::{DeviceError, Result};
use serde::Serialize;

/// What was computed twice on a device and once in f64.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// `conv1 forward`, `gradient`, …
    pub what: String,
    /// Shapes of what went in and came out.
    pub shapes: String,
    /// Largest error against the reference, as a share of the largest value; infinite where a value is not finite.
    pub error: f64,
    /// The largest that rounding explains.
    pub tolerance: f64,
    /// Whether both runs gave the same bits.
    pub same_bits: bool,
}

/// The largest error, as a share of the largest value; infinite where a value is not finite, or lengths differ.
pub(super) fn error_of(got: &[f32], want: &[f64]) -> f64 {
    if got.len() != want.len() || got.iter().any(|g| !g.is_finite()) {
        return f64::INFINITY;
    }
    let scale = want.iter().fold(1e-30f64, |scale, w| scale.max(w.abs()));
    got.iter().zip(want).map(|(g, w)| (f64::from(*g) - w).abs() / scale).fold(0.0, f64::max)
}

impl Check {
    /// Of two runs' results against a reference.
    pub fn new(what: &str, shapes: String, tolerance: f64, [first, again]: [&[f32]; 2], want: &[f64]) -> Self {
        let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        let same_bits = bits(first) == bits(again);
        let error = error_of(first, want).max(error_of(again, want));
        Self { what: what.to_owned(), shapes, error, tolerance, same_bits }
    }

    /// Whether it is right, and the same again.
    pub fn is_ok(&self) -> bool {
        self.error <= self.tolerance && self.same_bits
    }

    /// What is wrong, on this adapter.
    ///
    /// # Errors
    /// [`Error::Device`](crate::error::Error::Device) unless it is right and the same again.
    pub fn result(&self, adapter: &str) -> Result<()> {
        let (adapter, what) = (adapter.to_owned(), self.what.clone());
        match self {
            Self { error, .. } if error.is_infinite() => Err(DeviceError::NotFinite { adapter, what }.into()),
            Self { error, tolerance, .. } if error > tolerance => {
                Err(DeviceError::Wrong { adapter, what, error: *error }.into())
            }
            Self { same_bits: false, .. } => Err(DeviceError::Unsteady { adapter, what }.into()),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    fn check(first: &[f32], again: &[f32]) -> Check {
        Check::new("conv1 forward", "3 -> 3".to_owned(), 1e-5, [first, again], &[1.0, -2.0, 0.5])
    }

    #[test]
    fn a_kernel_that_is_wrong_or_not_the_same_again_is_caught() {
        let right = [1.0, -2.0, 0.5];
        assert!(check(&right, &right).is_ok() && check(&right, &right).result("a").is_ok());
        let corrupted: [(&[f32], &[f32], &str); 6] = [
            (&[1.0, -2.0, 0.500_1], &[1.0, -2.0, 0.500_1], "wrong by"),
            (&right, &[1.0, -2.001, 0.5], "wrong by"),
            (&[1.0, f32::NAN, 0.5], &right, "not finite"),
            (&right, &[1.0, -2.0, f32::INFINITY], "not finite"),
            (&right[..2], &right[..2], "not finite"),
            (&right, &[1.0, -2.0, 0.500_000_1], "other bits"),
        ];
        for (first, again, why) in corrupted {
            let check = check(first, again);
            assert!(!check.is_ok(), "{check:?}");
            let error = check.result("an adapter").unwrap_err();
            assert!(matches!(error, Error::Device(_)), "{error:?}");
            let line = error.to_string();
            assert!(line.contains(why) && line.contains("conv1 forward") && line.contains("an adapter"), "{line}");
        }
    }
}
