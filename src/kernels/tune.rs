//! Timing a few tiles of a product on the shapes at hand.

use super::epilogue::Epilogue;
use super::product::{Operands, Product};
use super::tile::ProductTile;
use super::weights::Direction;
use crate::device::Gpu;
use crate::error::{Error, Result};
use crate::program::Program;
use std::time::Instant;

/// Tiles that are timed, at most.
const CANDIDATES: usize = 3;

/// Runs of a candidate after the one that compiles it; the fastest counts.
const RUNS: usize = 3;

/// Chooses the tile of a product by timing on so many examples, unless it is known or the time for that is spent.
///
/// # Errors
/// What the device reports.
pub fn choose_tile(gpu: &Gpu, product: &dyn Product, direction: Direction, examples: usize) -> Result<()> {
    let key = product.tuning_key(direction);
    if gpu.tuned(&key).is_some() || !gpu.may_tune() {
        return Ok(());
    }
    let found = fastest(gpu, product, direction, examples);
    // What ran out of time or memory, or broke, leaves the default in place.
    gpu.choose(&key, found.as_ref().ok().copied().flatten().map(|tile| [tile.outputs, tile.pixels]));
    match found {
        Err(Error::Device(why)) => gpu.check().map(|()| tracing::warn!("{key}: not tuned: {why}")),
        _ => Ok(()),
    }
}

/// The fastest candidate, if there was time for all of them.
fn fastest(gpu: &Gpu, product: &dyn Product, direction: Direction, examples: usize) -> Result<Option<ProductTile>> {
    let (key, tile) = (product.tuning_key(direction), product.tile(gpu, direction));
    gpu.wait_for_kernels()?; // which would slow down what is timed
    let quads = |features: usize| gpu.alloc_quads("tune", features * examples, false);
    let [x, y] = product.shapes().map(|shape| quads(shape.len()));
    let (x, y, epilogue) = (x?, y?, Epilogue::default());
    let (from, to) = if direction == Direction::Forward { (&x, &y) } else { (&y, &x) };
    let mut fastest = (f64::INFINITY, tile);
    for candidate in tile.neighbours(gpu).into_iter().take(CANDIDATES) {
        if !gpu.may_tune() {
            return Ok(None);
        }
        let start = Instant::now();
        gpu.choose(&key, Some([candidate.outputs, candidate.pixels]));
        let packed = gpu.alloc_quads("tune.packed", product.packing(gpu, direction).len(), false)?;
        let operands = Operands { source: (from, &packed), second: None, output: to, epilogue: &epilogue };
        let mut program = Program::default();
        program.push(product.product(gpu, direction, product.blocks(gpu, &x, &y), &operands)?);
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
