//! Finding values that are infinite or not a number.

use super::grid::looping_grid;
use crate::device::{Buf, Gpu};
use crate::error::Result;
use crate::program::{Dispatch, Shader, shader};

pub(super) const CHECK: Shader = shader!("finite_check");

/// vec4 that an invocation looks at, at least.
const EACH: usize = 8;

/// Sets the word `found` when any of the `x` (a multiple of 4 values) is not finite, and leaves it alone otherwise.
///
/// # Errors
/// As [`Dispatch::new`].
pub fn check(gpu: &Gpu, x: &Buf, found: &Buf) -> Result<Dispatch> {
    assert_eq!(found.len(), 1);
    // Eight values or more an invocation: loads dominate, so few invocations lose nothing.
    let grid = looping_grid(gpu, &CHECK, x.len().div_ceil(4 * EACH), EACH - 1)?;
    Dispatch::new(gpu, &CHECK, &[], &[x.into(), found.into()], grid)
}

/// The same on the CPU.
pub mod reference {
    /// Whether any value is infinite or not a number.
    pub fn check(x: &[f32]) -> bool {
        x.iter().any(|x| !x.is_finite())
    }
}
