//! The most that a device does of arithmetic and of copying, to hold other kernels against.

use super::activation;
use super::activation::Activation;
use super::grid::elementwise_grid;
use crate::device::{Buf, Gpu, Quads};
use crate::error::Result;
use crate::program::{Dispatch, KIND, Shader, shader};

pub(super) const ALU: Shader = shader!("alu_ceiling");

/// Rounds of the loop, and products and sums of f32 in a round: 16 vec4, four times.
const STEPS: usize = 256;
const OF_STEP: usize = 16 * 4 * 4;

/// Products and sums in registers, one invocation a word of `out`; `x` holds 64 vec4. Returns the dispatch and its
/// multiply-adds.
///
/// # Errors
/// As [`Dispatch::new`].
pub fn arithmetic(gpu: &Gpu, x: &Quads, out: &Buf) -> Result<(Dispatch, usize)> {
    assert!(x.len() == 256 && out.len().is_multiple_of(64));
    let dispatch = Dispatch::new(gpu, &ALU, &[("STEPS", STEPS)], &[x.into(), out.into()], [out.len() / 64, 1, 1])?;
    Ok((dispatch, out.len() * STEPS * OF_STEP))
}

/// y = x.
///
/// # Errors
/// As [`Dispatch::new`].
pub fn copy(gpu: &Gpu, x: &Quads, y: &Quads) -> Result<Dispatch> {
    assert_eq!(x.len(), y.len());
    let count = x.len() / 4;
    let bindings = [x.into(), gpu.uniform(count)?.into(), y.into()];
    Dispatch::new(gpu, &activation::FORWARD, &[(KIND, Activation::kind(None))], &bindings, elementwise_grid(gpu, count))
}

/// The same in f64.
pub mod reference {
    use crate::kernels::ceiling::STEPS;

    /// What [`arithmetic`](crate::kernels::ceiling::arithmetic) leaves for an invocation whose vec4 is `b`.
    pub fn arithmetic(b: [f64; 4]) -> f64 {
        let c = b.map(|b| 0.5 * b);
        let f = 0.999 + 1e-4 * b[0];
        let column = |k: usize, scale: f64| -> [[f64; 4]; 2] {
            let pair = |i: usize| match k {
                0 => [b[i], c[i]],
                1 => [c[i], b[i]],
                2 => [b[i] + c[i], c[i] - b[i]],
                _ => [b[i] - c[i], c[i] + b[i]],
            };
            [0, 1].map(|side| [0, 1, 2, 3].map(|i| scale * pair(i)[side]))
        };
        let mut total = 0.0;
        for scale in [1.0, 0.25] {
            for k in 0..4 {
                for column in column(k, scale) {
                    for (i, start) in column.into_iter().enumerate() {
                        let g = 1e-3 * if k % 2 == 0 { b[i] } else { c[i] };
                        total += (0..4 * STEPS).fold(start, |s, _| s * f + g);
                    }
                }
            }
        }
        total
    }
}
