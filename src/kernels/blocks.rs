//! Matrices in blocks of 32 rows, `[row block][column][32 rows]`: the inverses of damped Kronecker factors by blocked
//! Cholesky factorisation, and products with them, of all layers at once: a layer's matrices are too small to keep a
//! device busy, or to be worth a dispatch each.
//!
//! Cholesky applied to the rows of \[S; I\] gives L and L⁻ᵀ at once, since (row of I) L⁻ᵀ is what the elimination
//! leaves of it; then S⁻¹ = L⁻ᵀ (L⁻ᵀ)ᵀ. All of it is one product of row blocks (`block_product.wgsl`) but for the
//! 32 × 32 pivots.

mod between;
mod centred;
mod inverse;
mod placement;
pub mod reference;
mod room;

pub use between::Part;
pub(super) use between::{DIRECTION, GRADIENT, TRANSPOSE};
pub(super) use centred::CENTRED_DIRECTION;
pub use centred::Centre;
pub use inverse::inverse_multiply_adds;
pub(super) use inverse::{LOAD, PIVOT};
pub use placement::{BLOCK, TAPS};
pub(super) use placement::{LANES, ROW};
pub use room::Blocks;
pub(super) use room::{PRODUCT, bounded, grid, strides};
