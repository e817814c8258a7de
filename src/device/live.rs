//! Batches of which the device alone knows how many blocks are in use, and grids of dispatches that follow from it.

use super::buf::{ALIGNMENT, Buf};
use super::lock::lock;
use std::sync::Mutex;

/// Grids that follow one count, at most: those of a backward pass.
const MOST: usize = 256;

/// Words that hold them.
pub(super) const GRID_WORDS: usize = MOST * ALIGNMENT;

/// The number of blocks in use of the [`Quads`](crate::device::Quads) that share it. Memory and recorded programs are
/// for as many as there may be.
#[derive(Debug)]
pub struct BlockCount {
    /// The number, a word that a kernel writes.
    pub blocks: Buf,
    /// What is asked of each grid, in order.
    asked: Mutex<Vec<GridRequest>>,
    /// The grids, three words each at an alignment of its own.
    arguments: Buf,
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
    /// With a word for the count, and [`GRID_WORDS`] for the grids.
    pub(super) fn of(blocks: Buf, arguments: Buf) -> Self {
        Self { blocks, asked: Mutex::default(), arguments }
    }

    /// A grid that follows the count.
    pub(super) fn grid(&self, asked: GridRequest) -> Grid {
        let mut all = lock(&self.asked);
        assert!(all.len() < MOST, "a pass of more than {MOST} grids");
        let at = all.len() * ALIGNMENT;
        all.push(asked);
        Grid::Indirect(asked.most, self.arguments.view(at..at + 3))
    }

    /// Every grid asked for so far, and the words that [`kernels::live`](crate::kernels::live) puts them into.
    pub fn asked(&self) -> (Vec<GridRequest>, Buf) {
        (lock(&self.asked).clone(), self.arguments.clone())
    }
}
