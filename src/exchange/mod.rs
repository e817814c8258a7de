//! Several processes that train together, each on a device of its own, and the messages between them.
//!
//! A process is a *rank*, counted from 0. What all are told goes down a binomial tree from rank 0, and what they
//! answer comes up the same tree: log₂ n messages one after another, in an order that the number of ranks alone says.
//! So sums of floats are added in that order, and the same ranks give the same bits.

mod message;
#[cfg(feature = "mpi")]
mod mpi;
mod ranks;
mod round_trip;
mod tree;

pub use message::Message;
#[cfg(feature = "mpi")]
pub use mpi::{Mpi, MpiSession};
pub use ranks::{Alone, Exchange};
pub use round_trip::{ExchangeCost, answer_round_trips, end_round_trips, round_trip};
pub use tree::{broadcast, depth, gather};
