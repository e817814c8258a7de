//! Batch normalisation (Ioffe and Szegedy 2015, arXiv 1502.03167): y = γ x̂ + β with x̂ = (x − m) r, r = (v + 10⁻⁵)^−½,
//! m and v the mean and the biased variance of a channel over the examples of a group and their pixels.
//!
//! A *group* is so many consecutive blocks of a batch, the last one as many as there are left; the whole batch is the
//! case of one group. Statistics are partial sums over parts of the pixels, which whoever needs them adds up: sums of a
//! fixed order, and no dispatch to finish them. The parts follow from the shape alone.

mod apply;
mod curvature;
mod norm;
mod pixels;
pub mod reference;
mod sums;

pub(super) use apply::{FORWARD, GRAD_INPUT, JVP};
pub(super) use curvature::{DIVIDE, FISHER};
pub use curvature::{NormPart, divide};
pub use norm::{BatchNorm, EPSILON, Statistics};
pub(super) use sums::{COLLECT, PRODUCTS, STATISTICS};
