//! Batches of which the device alone knows how many blocks are in use, and grids of dispatches that follow from it.

use super::{ALIGNMENT, Buf, Gpu, lock};
use crate::error::Result;
use std::sync::Mutex;

/// Grids that follow one count, at most: those of a backward pass.
const MOST: usize = 256;

/// The number of blocks in use of the [`Quads`](super::Quads) that share it. Memory and recorded programs are for as many as there may be.
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
    /// With the count 0.
    ///
    /// # Errors
    /// As [`Gpu::alloc`].
    pub fn new(gpu: &Gpu) -> Result<Self> {
        Ok(Self {
            blocks: gpu.alloc("live.blocks", 1)?,
            asked: Mutex::default(),
            arguments: gpu.alloc("live.arguments", MOST * ALIGNMENT)?,
        })
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
