//! One file a kernel: host functions that check lengths and record a [`Dispatch`], and beside each its f64 `reference`.
//!
//! Activations are batch-innermost in blocks, `[N/B][C][H][W][B]`: the four images of a vec4 share every index, weights are
//! uniform over a block, and the reduction over the batch that a full-subset gradient needs comes naturally. References and
//! callers outside the engine use plain `[N][C][H][W]`; [`to_blocks`] and [`from_blocks`] translate.

pub mod activation;
pub mod augment;
pub mod blocks;
pub mod ceiling;
pub mod conv2d;
pub mod epilogue;
pub mod finite;
pub mod gather;
pub mod jobs;
pub mod kronecker;
pub mod live;
pub mod matmul;
pub mod pool;
pub mod selection;
pub mod softmax_xent;
pub mod tile;
pub mod tune;
pub mod update;
pub mod vector;
pub mod weights;

use crate::device::{ALIGNMENT, Gpu, Quads, Variant};
use crate::error::Result;
use crate::program::{Dispatch, MAX_GROUPS, Shader, shader};

const QUADS_COPY: Shader = shader!("quads_copy");

/// Every shader of the engine; `tests/shaders/` checks that no file of `shaders/` is missing here.
pub const SHADERS: &[Shader] = &[
    QUADS_COPY,
    activation::FORWARD,
    activation::PRODUCT,
    augment::AUGMENT,
    blocks::DIRECTION,
    blocks::GRADIENT,
    blocks::LOAD,
    blocks::PIVOT,
    blocks::PRODUCT,
    blocks::TRANSPOSE,
    ceiling::ALU,
    conv2d::CONV2D,
    conv2d::GRAD_WEIGHT,
    finite::CHECK,
    gather::GATHER,
    kronecker::DAMPING,
    kronecker::DIAGONAL,
    kronecker::REDUCE,
    live::GRIDS,
    matmul::GRAD_WEIGHT,
    matmul::MATMUL,
    pool::AVG_FORWARD,
    pool::AVG_VJP,
    pool::MAX_SELECT,
    pool::MAX_VJP,
    selection::CHOOSE,
    selection::ROWS,
    softmax_xent::CURVATURE,
    softmax_xent::GRADIENT,
    softmax_xent::HVP,
    softmax_xent::LOSS,
    softmax_xent::RESIDUAL,
    softmax_xent::ROOT,
    update::ADAM,
    update::NATURAL,
    update::SGD,
    vector::AXPBY,
    vector::DOT_PARTIAL,
    vector::SUM_PARTIAL,
    weights::PACK,
    weights::REDUCE,
];

/// Sizes that shaders declare, too, as constants of these names; `tests/shaders/` compares the two.
pub const SIZES: &[(&str, usize)] = &[
    ("ALIGNMENT", ALIGNMENT),
    ("BLOCK", blocks::BLOCK),
    ("MOST_LINES", tile::MOST_LINES),
    ("MOST_OUTPUTS", tile::MOST_OUTPUTS),
    ("MOST_PIXELS", tile::MOST_PIXELS),
    ("MOST_QUADS", tile::MOST_QUADS),
    ("MOST_ROW", tile::MOST_ROW),
    ("MOST_TAPS", tile::MOST_TAPS),
    ("PARTIAL_MULTIPLE", weights::PARTIAL_MULTIPLE),
    ("SUBGROUP", tile::SUBGROUP),
    ("TAPS", blocks::TAPS),
];

/// Grid of an element-wise kernel: 64 invocations a group, striding beyond the largest grid. Lavapipe takes half a microsecond to start
/// a subgroup, as long as for some dozens of items, so there are no more groups than keep it busy.
fn elementwise_grid(gpu: &Gpu, items: usize) -> [usize; 3] {
    let most = if gpu.profile.variant == Variant::Software { gpu.profile.workgroups } else { MAX_GROUPS };
    [items.div_ceil(64).min(most), 1, 1]
}

/// out = x, from wherever quads live to a buffer.
///
/// # Errors
/// As [`Dispatch::new`].
pub fn copy_quads(gpu: &Gpu, x: &Quads, out: &crate::device::Buf) -> Result<Dispatch> {
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
