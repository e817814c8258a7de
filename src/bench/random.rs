//! Random operands.

use crate::device::{Gpu, Quads};
use crate::error::Result;
use crate::kernels::to_blocks;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// Random values in [-1, 1) as blocks of a batch.
///
/// # Errors
/// As [`Gpu::upload_quads`].
pub(super) fn random_blocks(
    gpu: &Gpu,
    rng: &mut ChaCha8Rng,
    examples: usize,
    features: usize,
) -> Result<(Vec<f64>, Quads)> {
    let plain: Vec<f32> = (0..examples * features).map(|_| rng.random_range(-1.0..1.0)).collect();
    let quads = gpu.upload_quads("bench.input", &to_blocks(&plain, features, gpu.profile.block, 0.0), false)?;
    Ok((plain.into_iter().map(f64::from).collect(), quads))
}
