//! How ranks reach one another.

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
