//! Timing a few tiles of a product on the shapes at hand.

use super::conv2d::{self, Conv2d};
use super::epilogue::Epilogue;
use super::matmul;
use super::tile::ProductTile;
use super::weights::{Direction, Packing, WeightShape};
use crate::device::{Gpu, Quads};
use crate::error::{Error, Result};
use crate::program::{Dispatch, Program};
use std::time::Instant;

/// Tiles that are timed, at most.
const CANDIDATES: usize = 3;

/// Runs of a candidate after the one that compiles it; the fastest counts.
const RUNS: usize = 3;

/// Chooses the tile of a convolution's product by timing, unless it is known or the time for that is spent.
///
/// # Errors
/// What the device reports.
pub fn conv2d(gpu: &Gpu, conv: &Conv2d, direction: Direction, examples: usize) -> Result<()> {
    let (key, tile) = (conv.tuning_key(direction), conv.tile(gpu, direction));
    let features = [conv.input.len(), conv.output().map_or(0, |out| out.len())];
    choose(gpu, &key, tile, features, direction, examples, &|from, to| {
        let packed = blank(gpu, &conv.packing(gpu, direction))?;
        match direction {
            Direction::Forward => conv2d::forward(gpu, conv, from, &packed, to, &Epilogue::default()),
            Direction::Backward => conv2d::grad_input(gpu, conv, from, &packed, to, None),
        }
    })
}

/// The same for a dense layer.
///
/// # Errors
/// What the device reports.
pub fn matmul(gpu: &Gpu, shape: &WeightShape, direction: Direction, examples: usize) -> Result<()> {
    let (key, tile) = (matmul::tuning_key(shape, direction), matmul::tile(gpu, shape, direction));
    choose(gpu, &key, tile, [shape.inputs, shape.outputs], direction, examples, &|from, to| {
        let packed = blank(gpu, &matmul::packing(gpu, shape, direction))?;
        match direction {
            Direction::Forward => matmul::forward(gpu, shape, from, &packed, to, &Epilogue::default()),
            Direction::Backward => matmul::grad_input(gpu, shape, from, &packed, to, None),
        }
    })
}

fn blank(gpu: &Gpu, packing: &Packing) -> Result<Quads> {
    gpu.alloc_quads("tune.packed", packing.len(), false)
}

/// What a product records from its input to its output.
type RecordProduct<'a> = dyn Fn(&Quads, &Quads) -> Result<Dispatch> + 'a;

fn choose(
    gpu: &Gpu,
    key: &str,
    tile: ProductTile,
    [inputs, outputs]: [usize; 2],
    direction: Direction,
    examples: usize,
    record: &RecordProduct<'_>,
) -> Result<()> {
    if gpu.tuned(key).is_some() || !gpu.may_tune() {
        return Ok(());
    }
    let found = fastest(gpu, key, tile, [inputs, outputs], direction, examples, record);
    // What ran out of time or memory, or broke, leaves the default in place.
    gpu.choose(key, found.as_ref().ok().copied().flatten().map(|tile| [tile.outputs, tile.pixels]));
    match found {
        Err(Error::Device(why)) => gpu.check().map(|()| tracing::warn!("{key}: not tuned: {why}")),
        _ => Ok(()),
    }
}

/// The fastest candidate, if there was time for all of them.
fn fastest(
    gpu: &Gpu,
    key: &str,
    tile: ProductTile,
    [inputs, outputs]: [usize; 2],
    direction: Direction,
    examples: usize,
    record: &RecordProduct<'_>,
) -> Result<Option<ProductTile>> {
    gpu.wait_for_kernels()?; // which would slow down what is timed
    let quads = |features: usize| gpu.alloc_quads("tune", features * examples, false);
    let (x, y) = (quads(inputs)?, quads(outputs)?);
    let (from, to) = if direction == Direction::Forward { (&x, &y) } else { (&y, &x) };
    let mut fastest = (f64::INFINITY, tile);
    for candidate in tile.neighbours(gpu).into_iter().take(CANDIDATES) {
        if !gpu.may_tune() {
            return Ok(None);
        }
        let start = Instant::now();
        gpu.choose(key, Some([candidate.outputs, candidate.pixels]));
        let mut program = Program::default();
        program.push(record(from, to)?);
        program.time(gpu)?;
        for _ in 0..RUNS {
            let seconds = program.time(gpu)?;
            if seconds < fastest.0 {
                fastest = (seconds, candidate);
            }
        }
        gpu.spend_tuning(start.elapsed().as_secs_f64());
    }
    tracing::debug!("{key}: {:?}, {:.3} ms", fastest.1, 1e3 * fastest.0);
    Ok(Some(fastest.1))
}
