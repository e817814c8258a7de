//! Ranks that MPI started, through its point-to-point messages.

use super::ranks::Exchange;
use crate::error::Result;
use mpi::environment::Universe;
use mpi::point_to_point::{Destination, MatchedReceiveVec, Message, Source, Status};
use mpi::topology::{Communicator, SimpleCommunicator};
use mpi::{Rank, Threading};
use std::time::{Duration, Instant};

/// A message that is awaited is asked for again and again for so long; after that, with pauses.
const AWAKE: Duration = Duration::from_micros(100);

/// Such a pause. A receive that blocks would keep a core busy, which a software device on the same machine needs.
const PAUSE: Duration = Duration::from_micros(50);

/// The ranks of this process's MPI.
#[derive(Clone, Copy, Debug)]
pub struct Mpi {
    rank: usize,
    ranks: usize,
}

/// MPI at work. Dropping it waits for the other ranks, and ends it.
pub struct MpiSession(#[expect(dead_code, reason = "it is there to be dropped")] Universe);

impl Mpi {
    /// Joins the other ranks. None where MPI was joined before.
    pub fn initialize() -> Option<(Self, MpiSession)> {
        // one thread at a time has it, which need not be that of main
        let (universe, _) = mpi::initialize_with_threading(Threading::Serialized)?;
        let world = Self::world();
        Some((Self { rank: world.rank() as usize, ranks: world.size() as usize }, MpiSession(universe)))
    }

    fn world() -> SimpleCommunicator {
        SimpleCommunicator::world()
    }

    fn other(rank: usize) -> Rank {
        Rank::try_from(rank).expect("MPI counts ranks so")
    }
}

impl Exchange for Mpi {
    fn rank(&self) -> usize {
        self.rank
    }

    fn ranks(&self) -> usize {
        self.ranks
    }

    fn send(&self, to: usize, words: &[u32]) -> Result<()> {
        Self::world().process_at_rank(Self::other(to)).send(words);
        Ok(())
    }

    fn receive(&self, from: usize) -> Result<Vec<u32>> {
        let world = Self::world();
        let process = world.process_at_rank(Self::other(from));
        let start = Instant::now();
        let found: (Message, Status) = loop {
            match process.immediate_matched_probe() {
                Some(found) => break found,
                None if start.elapsed() < AWAKE => std::thread::yield_now(),
                None => std::thread::sleep(PAUSE),
            }
        };
        let (words, _) = found.matched_receive_vec();
        Ok(words)
    }
}
