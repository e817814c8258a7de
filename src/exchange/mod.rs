//! Several processes that train together, each on a device of its own, and the messages between them.
//!
//! A process is a *rank*, counted from 0. What all are told goes down a binomial tree from rank 0, and what they
//! answer comes up the same tree: log₂ n messages one after another, in an order that the number of ranks alone says.
//! So sums of floats are added in that order, and the same ranks give the same bits.

mod message;
#[cfg(feature = "mpi")]
mod mpi;
mod tree;

pub use message::Message;
#[cfg(feature = "mpi")]
pub use mpi::{Mpi, MpiSession};
pub use tree::{broadcast, gather};

use crate::error::Result;

/// How ranks reach one another. Messages from one rank to another arrive in the order in which they were sent.
pub trait Exchange: Send + Sync {
    /// Which of them this one is.
    fn rank(&self) -> usize;

    /// How many there are.
    fn ranks(&self) -> usize;

    /// Sends words to another rank; may wait until it takes them.
    ///
    /// # Errors
    /// [`Error::Rank`](crate::error::Error::Rank) when it is out of reach.
    fn send(&self, to: usize, words: &[u32]) -> Result<()>;

    /// Waits for words from another rank.
    ///
    /// # Errors
    /// As [`Exchange::send`].
    fn receive(&self, from: usize) -> Result<Vec<u32>>;
}

/// The only rank: there is nobody to reach.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone;

impl Exchange for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn ranks(&self) -> usize {
        1
    }

    fn send(&self, to: usize, _: &[u32]) -> Result<()> {
        unreachable!("rank {to} of one")
    }

    fn receive(&self, from: usize) -> Result<Vec<u32>> {
        unreachable!("rank {from} of one")
    }
}
