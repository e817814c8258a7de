//! Timing a few tiles of a product on the shapes at hand.
//!
//! Tiles leave the order of sums alone, but a driver's compiler may round otherwise for another tile. One that changes
//! a bit is not taken: what a run comes to would depend on which tiles were remembered when it began, or went on.

use super::epilogue::Epilogue;
use super::product::{Operands, Product};
use super::tile::ProductTile;
use super::weights::Direction;
use crate::device::Gpu;
use crate::error::{Error, Result};
use crate::program::Program;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::time::Instant;

/// Tiles that are timed, at most.
const CANDIDATES: usize = 3;

/// Runs of a candidate after the one that compiles it; the fastest counts.
const RUNS: usize = 3;

/// Numbers that candidates are compared on, over and over: a prime, so that no two places of a sum have the same.
const NUMBERS: usize = 65_537;

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

/// So many numbers whose sums need rounding.
fn numbers(len: usize) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let numbers: Vec<f32> = (0..NUMBERS.min(len)).map(|_| rng.random_range(-1.0..1.0)).collect();
    numbers.into_iter().cycle().take(len).collect()
}

/// The fastest candidate of those with the bits of the default, if there was time for all of them.
fn fastest(gpu: &Gpu, product: &dyn Product, direction: Direction, examples: usize) -> Result<Option<ProductTile>> {
    let (key, tile) = (product.tuning_key(direction), product.tile(gpu, direction));
    gpu.wait_for_kernels()?; // which would slow down what is timed
    let (weights, epilogue) = (numbers(product.weights().len()), Epilogue::default());
    let [x, y] = product.shapes().map(|shape| shape.len() * examples);
    let [source, output] = if direction == Direction::Forward { [x, y] } else { [y, x] };
    let from = gpu.upload_quads("tune.source", &numbers(source), false)?;
    let to = gpu.alloc_quads("tune.output", output, false)?;
    let [x, y] = if direction == Direction::Forward { [&from, &to] } else { [&to, &from] };
    let (mut fastest, mut expected) = ((f64::INFINITY, tile), None);
    for candidate in tile.neighbours(gpu).into_iter().take(CANDIDATES) {
        if !gpu.may_tune() {
            return Ok(None);
        }
        let start = Instant::now();
        gpu.choose(&key, Some([candidate.outputs, candidate.pixels]));
        let packed = product.packing(gpu, direction).pack(&weights);
        let packed = gpu.upload_quads("tune.packed", &packed, false)?;
        let operands = Operands { source: (&from, &packed), second: None, output: &to, epilogue: &epilogue };
        let mut program = Program::default();
        program.push(product.product(gpu, direction, product.blocks(gpu, x, y), &operands)?);
        program.time(gpu)?;
        let words: Vec<u32> = gpu.read_quads(&to)?;
        let is_same = *expected.get_or_insert_with(|| words.clone()) == words;
        if !is_same {
            tracing::debug!("{key}: {candidate:?} rounds otherwise than {tile:?}");
        }
        let runs = if is_same { RUNS } else { 0 };
        for _ in 0..runs {
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
