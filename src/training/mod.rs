//! An objective on a device as something to minimise: the space of its parameter vectors, and the problem in it, whose
//! examples may be shared out among the ranks of a team.

mod answering;
mod local;
mod loss;
mod matrices;
mod prices;
mod problem;
mod space;
mod team;

pub(crate) use answering::Answering;
pub(crate) use local::LocalProblem;
pub use loss::SharedLoss;
pub use prices::Prices;
pub use problem::SubsetProblem;
pub use space::GpuSpace;
pub(crate) use team::{Answer, Request};
pub use team::{LossOf, Team, Traffic};
