//! Grids that follow a count of blocks on the device.

use super::jobs::{GridJob, word};
use crate::device::{BlockCount, Buf, Gpu, GridRequest};
use crate::error::Result;
use crate::program::{Dispatch, Shader, shader};

pub(super) const GRIDS: Shader = shader!("live_grids");

/// Writes every grid that was asked of `live` so far, by the number of blocks in use as it is then.
///
/// # Errors
/// As [`Dispatch::new`].
pub fn grids(gpu: &Gpu, live: &BlockCount) -> Result<Vec<Dispatch>> {
    let job = |asked: &GridRequest| {
        let [x, y, z] = asked.most.map(word);
        GridJob { x, y, z, side: word(asked.side), per: word(asked.per) }
    };
    let dispatch = |(asked, arguments): (Vec<GridRequest>, Buf)| {
        let jobs: Vec<GridJob> = asked.iter().map(job).collect();
        let bindings = [(&live.blocks).into(), gpu.upload("live.jobs", &jobs)?.into(), arguments.into()];
        Dispatch::new(gpu, &GRIDS, &[], &bindings, [asked.len().div_ceil(64), 1, 1])
    };
    live.asked().into_iter().map(dispatch).collect()
}

/// The same on the CPU.
pub mod reference {
    use crate::device::GridRequest;

    /// The grid with so many blocks in use.
    pub fn grid(asked: &GridRequest, blocks: usize) -> [usize; 3] {
        let mut grid = asked.most;
        grid[asked.side] = blocks.div_ceil(asked.per);
        grid
    }
}
