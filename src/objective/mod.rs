//! The loss of a model over a list of examples, and its derivatives, chunk by chunk.
//!
//! f(θ) = (1/K) Σᵢ xent(net(xᵢ; θ), yᵢ) + λ/2 ‖θ‖² with weight decay λ. Chunks run in fixed order into the same sums:
//! the same chunks give the same bits, and their number changes results only within rounding.

mod evaluation;
mod examples;
mod factor_work;
mod factors;
mod footprint;
mod inverses;
mod kronecker;
mod loss;
mod minibatch_sums;
mod minibatches;
mod norm_factors;
mod norm_room;
mod normal;
mod pass;
mod record;
pub mod reference;
mod samples;
mod selection;
mod slots;
mod stage;
mod whitening;
mod workspace;

pub use evaluation::Evaluation;
pub use examples::Examples;
pub use factor_work::FactorWork;
pub use kronecker::Kronecker;
pub use loss::Objective;
pub use minibatch_sums::MinibatchSums;
pub use minibatches::{Activations, Minibatches};
pub(crate) use norm_room::cost_of_moments;
pub use whitening::Whitening;
pub use workspace::{DEFAULT_MEMORY, Workspace};
