//! What the kernels, an objective's passes and the Kronecker factors give on a device: each kernel's result is checked
//! against its f64 reference, then timed in turns with the others, and held against the device's own ceilings of
//! arithmetic and copying, measured in the same run. And whether a network is right on a device, part by part and as a
//! whole.

mod cases;
mod chain;
mod check;
mod doctor;
mod factors;
mod group_norms;
mod kernels;
mod network;
mod norm_values;
mod norms;
mod objective;
mod orthogonal;
mod products;
mod random;
mod table;
mod timed;

pub use cases::Case;
pub use chain::{FactorChain, factor_chain};
pub use check::Check;
pub use doctor::{MOST_ROWS, doctor, factor_rows};
pub use factors::{FactorStep, factors};
pub use group_norms::GroupNormCase;
pub use kernels::kernels;
pub use norms::NormCase;
pub use objective::{PassRow, passes};
pub use orthogonal::orthogonalisations;
pub use products::ProductCase;
pub use table::{Ceiling, KernelRow, Table};
pub use timed::median;
