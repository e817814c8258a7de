//! An objective on a device as something to minimise: the space of its parameter vectors, and the problem in it.

mod matrices;
mod prices;
mod problem;
mod space;

pub use prices::Prices;
pub use problem::SubsetProblem;
pub use space::GpuSpace;
