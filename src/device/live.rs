//! Batches of which the device alone knows how many blocks are in use, and grids of dispatches that follow from it.

use super::buf::{ALIGNMENT, Buf};
use super::lock::lock;
use crate::error::Result;
use std::sync::Mutex;

/// Grids whose words share a buffer.
const GRIDS: usize = 256;

/// Words that hold them.
pub(super) const GRID_WORDS: usize = GRIDS * ALIGNMENT;

/// The number of blocks in use of the [`Quads`](crate::device::Quads) that share it. Memory and recorded programs are
/// for as many as there may be.
#[derive(Debug)]
pub struct BlockCount {
    /// The number, a word that a kernel writes.
    pub blocks: Buf,
    /// What is asked of each grid, in order.
    asked: Mutex<Vec<GridRequest>>,
    /// The grids, three words each at an alignment of its own: as many buffers as it takes.
    arguments: Mutex<Vec<Buf>>,
}

/// A grid, one side of which is ⌈blocks / `per`⌉.
#[derive(Clone, Copy, Debug)]
pub struct GridRequest {
    /// Workgroups with every block in use.
    pub most: [usize; 3],
    /// The side that follows the blocks.
    pub side: usize,
    /// Blocks of a workgroup along it.
    pub per: usize,
}

/// How many workgroups a dispatch has.
#[derive(Clone, Debug)]
pub enum Grid {
    /// So many.
    Fixed([usize; 3]),
    /// As many as three words on the device say, at most so many.
    Indirect([usize; 3], Buf),
}

impl From<[usize; 3]> for Grid {
    fn from(grid: [usize; 3]) -> Self {
        Self::Fixed(grid)
    }
}

impl Grid {
    /// Workgroups, at most.
    pub fn most(&self) -> [usize; 3] {
        match self {
            Self::Fixed(grid) | Self::Indirect(grid, _) => *grid,
        }
    }
}

impl BlockCount {
    /// With a word for the count.
    pub(super) fn of(blocks: Buf) -> Self {
        Self { blocks, asked: Mutex::default(), arguments: Mutex::default() }
    }

    /// A grid that follows the count; `more` makes another buffer of [`GRID_WORDS`].
    pub(super) fn grid(&self, asked: GridRequest, more: impl FnOnce() -> Result<Buf>) -> Result<Grid> {
        let (mut all, mut arguments) = (lock(&self.asked), lock(&self.arguments));
        if all.len() == GRIDS * arguments.len() {
            arguments.push(more()?);
        }
        let at = all.len() % GRIDS * ALIGNMENT;
        all.push(asked);
        Ok(Grid::Indirect(asked.most, arguments[arguments.len() - 1].view(at..at + 3)))
    }

    /// Every grid asked for so far, with the words that [`kernels::live`](crate::kernels::live) puts them into: some of
    /// them share a buffer.
    pub fn asked(&self) -> Vec<(Vec<GridRequest>, Buf)> {
        let (all, arguments) = (lock(&self.asked), lock(&self.arguments));
        let shared = all.chunks(GRIDS).zip(arguments.iter());
        shared.map(|(asked, words)| (asked.to_vec(), words.prefix(asked.len() * ALIGNMENT))).collect()
    }
}
