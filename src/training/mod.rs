//! An objective on a device as something to minimise: the space of its parameter vectors, and the problem in it, whose
//! examples may be shared out among the ranks of a team.

mod answer;
mod answering;
mod local;
mod loss;
mod matrices;
mod prices;
mod problem;
mod request;
mod space;
mod team;

pub(crate) use answer::RankAnswer;
pub(crate) use answering::Answering;
pub(crate) use local::LocalProblem;
pub use loss::SharedLoss;
pub use prices::Prices;
pub use problem::SubsetProblem;
pub use request::LossOf;
pub(crate) use request::Request;
pub use space::GpuSpace;
pub use team::{Team, Traffic};
