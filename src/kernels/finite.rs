//! Finding values that are infinite or not a number.

use super::grid::elementwise_grid;
use crate::device::{Buf, Gpu};
use crate::error::Result;
use crate::program::{Dispatch, Shader, shader};

pub(super) const CHECK: Shader = shader!("finite_check");

/// Sets the word `found` when any of the `x` (a multiple of 4 values) is not finite, and leaves it alone otherwise.
///
/// # Errors
/// As [`Dispatch::new`].
pub fn check(gpu: &Gpu, x: &Buf, found: &Buf) -> Result<Dispatch> {
    assert_eq!(found.len(), 1);
    // Eight values or more an invocation: loads dominate, so few invocations lose nothing.
    Dispatch::new(gpu, &CHECK, &[], &[x.into(), found.into()], elementwise_grid(gpu, x.len().div_ceil(4 * 8)))
}

/// The same on the CPU.
pub mod reference {
    /// Whether any value is infinite or not a number.
    pub fn check(x: &[f32]) -> bool {
        x.iter().any(|x| !x.is_finite())
    }
}
