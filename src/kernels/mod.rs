//! One file a kernel: host functions that check lengths and record a [`Dispatch`](crate::program::Dispatch), and beside
//! each its f64 `reference`.
//!
//! Activations are batch-innermost in blocks, `[N/B][C][H][W][B]`: the four images of a vec4 share every index, weights
//! are uniform over a block, and the reduction over the batch that a full-subset gradient needs comes naturally.
//! References and callers outside the engine use plain `[N][C][H][W]`; [`to_blocks`] and [`from_blocks`] translate.

pub mod activation;
pub mod augment;
pub mod batch_norm;
pub mod blocks;
pub mod ceiling;
pub mod centred;
pub mod conv2d;
pub mod epilogue;
pub mod finite;
pub mod gather;
mod grid;
pub mod group_norm;
pub mod jobs;
pub mod kronecker;
mod layout;
pub mod live;
pub mod matmul;
pub mod muon;
pub mod newton_schulz;
pub mod patches;
pub mod pool;
pub mod product;
pub mod selection;
pub mod softmax_xent;
pub mod sum;
pub mod tile;
pub mod tune;
pub mod update;
pub mod vector;
pub mod weights;

pub use grid::check_turns;
pub use layout::{copy_quads, from_blocks, to_blocks};

use crate::device::ALIGNMENT;
use crate::program::Shader;

/// Every shader of the engine; `tests/shaders/` checks that no file of `shaders/` is missing here.
pub const SHADERS: &[Shader] = &[
    activation::FORWARD,
    activation::PRODUCT,
    augment::AUGMENT,
    batch_norm::COLLECT,
    batch_norm::DIVIDE,
    batch_norm::FISHER,
    batch_norm::FORWARD,
    batch_norm::GRAD_INPUT,
    batch_norm::JVP,
    batch_norm::PRODUCTS,
    batch_norm::STATISTICS,
    blocks::CENTRED_DIRECTION,
    blocks::DIRECTION,
    blocks::GRADIENT,
    blocks::LOAD,
    blocks::PIVOT,
    blocks::PRODUCT,
    blocks::TRANSPOSE,
    ceiling::ALU,
    centred::DAMPING,
    centred::MOMENTS,
    conv2d::CONV2D,
    conv2d::GRAD_WEIGHT,
    conv2d::GROUPED_GRAD_WEIGHT,
    finite::CHECK,
    gather::GATHER,
    group_norm::FISHER,
    group_norm::FORWARD,
    group_norm::GRAD_INPUT,
    group_norm::GRAD_WEIGHT,
    group_norm::JVP,
    group_norm::PRODUCTS,
    group_norm::STATISTICS,
    kronecker::DAMPING,
    kronecker::DIAGONAL,
    kronecker::REDUCE,
    layout::QUADS_COPY,
    live::GRIDS,
    matmul::GRAD_WEIGHT,
    matmul::MATMUL,
    muon::HOLD,
    muon::MOMENTS,
    muon::UPDATE,
    newton_schulz::LOAD,
    newton_schulz::PRODUCT,
    patches::SAMPLE,
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
    softmax_xent::ROOT,
    sum::SUM,
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
    ("MOST_INVOCATIONS", tile::MOST_INVOCATIONS),
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
