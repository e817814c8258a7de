//! Optimisers for a deterministic loss, one subset or any smooth function; and methods that go over mini-batches of it.
//!
//! They are written against [`Space`] and know no device: the same code runs on GPU buffers and on `Vec<f64>`, where it
//! is tested on problems with known minima.

mod adam;
mod batch_plan;
mod gauss_newton;
mod kfac;
mod lbfgs;
mod line_search;
mod method;
mod minibatched;
mod muon;
mod nonlinear_cg;
mod optimiser;
mod order;
mod outcome;
mod point;
mod problem;
#[cfg(test)]
mod quadratic;
mod sgd;
mod space;
mod sweep;
mod truncated_cg;

pub use adam::Adam;
pub use batch_plan::{BatchPlan, Decay, Importance};
pub use gauss_newton::{GaussNewton, GaussNewtonSettings};
pub use kfac::{Kfac, KfacSettings};
pub use lbfgs::{Lbfgs, LbfgsSettings};
pub use line_search::{Found, LineSearch, Trial, Verdict};
pub use method::{Method, Rule};
pub use minibatched::{Minibatched, Update, UpdateRule};
pub use muon::Muon;
pub use nonlinear_cg::{Beta, NcgSettings, NonlinearCg};
pub use optimiser::{Optimiser, Snapshot, State, StateScalars};
pub use order::Inclusion;
pub use outcome::{Outcome, Rejected, Stop};
pub use problem::{Calls, Curved, Evaluated, Problem, Refresh, Stochastic, Vector};
pub use sgd::Sgd;
pub use space::{Elementwise, Euclidean, Space};
pub use sweep::Sweep;
pub use truncated_cg::Preconditioner;
