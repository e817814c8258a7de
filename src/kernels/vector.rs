//! Parameter vectors: y = αx + βy, inner products and sums in a fixed order.

use super::grid::elementwise_grid;
use crate::device::{ALIGNMENT, Buf, Gpu};
use crate::error::Result;
use crate::program::{Dispatch, Shader, shader};

pub(super) const AXPBY: Shader = shader!("axpby");
pub(super) const DOT_PARTIAL: Shader = shader!("dot_partial");
pub(super) const SUM_PARTIAL: Shader = shader!("sum_partial");

/// Loads of an invocation in one stage of a sum, at least.
const LOADS: usize = 64;

/// Partial sums that the host adds up in f64: 256 bytes read back instead of 4, in the same round trip.
pub const PARTIALS: usize = ALIGNMENT;

/// What [`fold`] leaves of them, where there are many sums.
pub const FOLDED: usize = 2;

/// y = α x + β y with `coefficients` = \[α, β\], which may be rewritten between runs. Lengths are multiples of 4.
///
/// # Errors
/// As [`Dispatch::new`].
pub fn axpby(gpu: &Gpu, coefficients: &Buf, x: &Buf, y: &Buf) -> Result<Dispatch> {
    assert!(x.len() == y.len() && coefficients.len() == 2);
    Dispatch::new(gpu, &AXPBY, &[], &[coefficients.into(), x.into(), y.into()], elementwise_grid(gpu, y.len() / 4))
}

/// Words of scratch memory that a sum or an inner product needs.
pub const SCRATCH: usize = PARTIALS * LOADS;

/// Records ⟨x, y⟩ as partial sums into `partials`, [`PARTIALS`] words of which those unused stay as they are.
/// `scratch` holds [`SCRATCH`] words. Lengths are multiples of 4.
///
/// # Errors
/// As [`Dispatch::new`].
pub fn dot(gpu: &Gpu, x: &Buf, y: &Buf, scratch: &Buf, partials: &Buf) -> Result<Vec<Dispatch>> {
    assert_eq!(x.len(), y.len());
    let stages = Stages::of(x.len() / 4, scratch, partials);
    let mut steps = vec![Dispatch::new(
        gpu,
        &DOT_PARTIAL,
        &[],
        &[x.into(), y.into(), (&stages.first).into()],
        grid(&stages.first),
    )?];
    if let Some(second) = &stages.second {
        steps.push(Dispatch::new(gpu, &SUM_PARTIAL, &[], &[(&stages.first).into(), second.into()], grid(second))?);
    }
    Ok(steps)
}

/// ⟨x, y⟩ in at most [`PARTIALS`] parts on the device, for kernels that need it; the steps and the parts. Lengths are
/// multiples of 4.
///
/// # Errors
/// As [`Dispatch::new`], [`Gpu::alloc`].
pub fn dot_on_device(gpu: &Gpu, x: &Buf, y: &Buf) -> Result<(Vec<Dispatch>, Buf)> {
    assert_eq!(x.len(), y.len());
    let mut sums = gpu.alloc("dot", (x.len() / 4).div_ceil(LOADS))?;
    let mut steps = vec![Dispatch::new(gpu, &DOT_PARTIAL, &[], &[x.into(), y.into(), (&sums).into()], grid(&sums))?];
    while sums.len() > PARTIALS {
        let fewer = gpu.alloc("dot", sums.len().div_ceil(LOADS))?;
        steps.push(Dispatch::new(gpu, &SUM_PARTIAL, &[], &[(&sums).into(), (&fewer).into()], grid(&fewer))?);
        sums = fewer;
    }
    Ok((steps, sums))
}

/// Records Σ x as partial sums into `partials`, as [`dot`].
///
/// # Errors
/// As [`Dispatch::new`].
pub fn sum(gpu: &Gpu, x: &Buf, scratch: &Buf, partials: &Buf) -> Result<Vec<Dispatch>> {
    let stages = Stages::of(x.len(), scratch, partials);
    let mut steps =
        vec![Dispatch::new(gpu, &SUM_PARTIAL, &[], &[x.into(), (&stages.first).into()], grid(&stages.first))?];
    if let Some(second) = &stages.second {
        steps.push(Dispatch::new(gpu, &SUM_PARTIAL, &[], &[(&stages.first).into(), second.into()], grid(second))?);
    }
    Ok(steps)
}

/// Adds up each row of [`PARTIALS`] words to a row of [`FOLDED`] words of `folded`.
///
/// # Errors
/// As [`Dispatch::new`].
pub fn fold(gpu: &Gpu, partials: &Buf, folded: &Buf) -> Result<Dispatch> {
    let rows = folded.len() / FOLDED;
    assert_eq!((partials.len(), folded.len()), (rows * PARTIALS, rows * FOLDED));
    Dispatch::new(gpu, &SUM_PARTIAL, &[], &[partials.into(), folded.into()], [1, rows, 1])
}

/// Where the partial sums of one or two stages go. The lengths follow from the number of values alone, and fix the
/// order.
struct Stages {
    first: Buf,
    second: Option<Buf>,
}

impl Stages {
    fn of(loads: usize, scratch: &Buf, partials: &Buf) -> Self {
        let first = loads.div_ceil(LOADS).min(SCRATCH);
        if first <= PARTIALS {
            return Self { first: partials.prefix(first), second: None };
        }
        Self { first: scratch.prefix(first), second: Some(partials.prefix(first.div_ceil(LOADS))) }
    }
}

fn grid(partial: &Buf) -> [usize; 3] {
    [partial.len().div_ceil(64), 1, 1]
}

/// The same in f64.
pub mod reference {
    /// y = α x + β y
    pub fn axpby(alpha: f64, x: &[f64], beta: f64, y: &mut [f64]) {
        y.iter_mut().zip(x).for_each(|(y, x)| *y = alpha * x + if beta == 0.0 { 0.0 } else { beta * *y });
    }

    /// ⟨x, y⟩
    pub fn dot(x: &[f64], y: &[f64]) -> f64 {
        x.iter().zip(y).map(|(x, y)| x * y).sum()
    }

    /// Σ x
    pub fn sum(x: &[f64]) -> f64 {
        x.iter().sum()
    }
}
