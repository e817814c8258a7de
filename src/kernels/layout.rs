//! Between arrays as the engine keeps them and as everyone else does.

use super::grid::elementwise_grid;
use crate::device::{Buf, Gpu, Quads};
use crate::error::Result;
use crate::program::{Dispatch, Shader, shader};

pub(super) const QUADS_COPY: Shader = shader!("quads_copy");

/// out = x, from wherever quads live to a buffer.
///
/// # Errors
/// As [`Dispatch::new`].
pub fn copy_quads(gpu: &Gpu, x: &Quads, out: &Buf) -> Result<Dispatch> {
    assert_eq!(x.len(), out.len());
    Dispatch::new(gpu, &QUADS_COPY, &[], &[x.into(), out.into()], elementwise_grid(gpu, out.len() / 4))
}

/// Plain `[N][features]` into blocks `[⌈N/B⌉][features][B]`, the last block padded with `padding`.
pub fn to_blocks<T: Copy>(plain: &[T], features: usize, block: usize, padding: T) -> Vec<T> {
    let examples = plain.len() / features;
    let mut blocked = vec![padding; examples.div_ceil(block) * features * block];
    for (n, row) in plain.chunks_exact(features).enumerate() {
        for (f, &value) in row.iter().enumerate() {
            blocked[(n / block * features + f) * block + n % block] = value;
        }
    }
    blocked
}

/// Blocks `[⌈N/B⌉][features][B]` into plain `[examples][features]`, padding dropped.
pub fn from_blocks<T: Copy>(blocked: &[T], features: usize, block: usize, examples: usize) -> Vec<T> {
    let at = |n: usize, f: usize| blocked[(n / block * features + f) * block + n % block];
    (0..examples).flat_map(|n| (0..features).map(move |f| at(n, f))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_and_back() {
        let plain: Vec<u32> = (0..5 * 3).collect();
        let blocked = to_blocks(&plain, 3, 4, 99);
        assert_eq!(blocked.len(), 2 * 3 * 4);
        assert_eq!(blocked[..4], [0, 3, 6, 9]);
        assert_eq!(blocked[12..16], [12, 99, 99, 99]);
        assert_eq!(from_blocks(&blocked, 3, 4, 5), plain);
    }
}
