//! Group normalisation (Wu and He 2018, arXiv 1803.08494): y = γ x̂ + β with x̂ = (x − m) r, r = (v + 10⁻⁵)^−½, m and v
//! the mean and the biased variance of a group of consecutive channels of one example; γ and β are of each channel.
//!
//! What is found of each example, its statistics and then sums of a tangent or a cotangent, lies where the next
//! dispatches read it, [`ExampleSums`]. Nothing depends on other examples. How pixels are gone through is
//! [`BatchNorm`](super::batch_norm::BatchNorm)'s.

mod maps;
mod norm;
pub mod reference;
mod sums;

pub(super) use maps::{FORWARD, GRAD_INPUT, JVP};
pub use norm::{ExampleSums, GroupNorm};
pub(super) use sums::{FISHER, GRAD_WEIGHT, PRODUCTS, STATISTICS};
