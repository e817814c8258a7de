//! Products of a weight matrix with a batch of vectors: dense layers forward (w x + b) and backward (wᵀ dy).
//! The third product of a dense layer, dy xᵀ summed over the batch, is `conv2d::grad_weight` on one pixel.

use super::TILE;
use super::conv2d::Epilogue;
use super::weights::{Direction, WeightShape};
use crate::device::{Buf, Gpu};
use crate::error::Result;
use crate::kernel::{Dispatch, Shader, shader};

pub(super) const MATMUL: Shader = shader!("matmul");

/// Batch blocks of one register tile.
const BLOCKS: usize = 4;

/// y (+)= w x (+ b). `x` `[N/B][inputs][B]`, `packed` from [`pack`](super::weights::pack) forward, `y` `[N/B][outputs][B]`.
///
/// # Errors
/// As [`Dispatch::new`].
pub fn forward(gpu: &Gpu, w: &WeightShape, epilogue: Epilogue, x: &Buf, packed: &Buf, y: &Buf) -> Result<Dispatch> {
    assert_eq!(packed.len(), w.packed_len(Direction::Forward));
    product(gpu, w.outputs, w.patches(), epilogue, x, packed, y)
}

/// dx = wᵀ dy. `packed` from [`pack`](super::weights::pack) backward.
///
/// # Errors
/// As [`Dispatch::new`].
pub fn grad_input(gpu: &Gpu, w: &WeightShape, dy: &Buf, packed: &Buf, dx: &Buf) -> Result<Dispatch> {
    assert_eq!(packed.len(), w.packed_len(Direction::Backward));
    product(gpu, w.patches(), w.outputs, Epilogue::Store, dy, packed, dx)
}

fn product(
    gpu: &Gpu,
    outputs: usize,
    reduced: usize,
    epilogue: Epilogue,
    x: &Buf,
    packed: &Buf,
    y: &Buf,
) -> Result<Dispatch> {
    let (lanes, rows) = (gpu.profile.lanes(), gpu.profile.rows as usize);
    let blocks = x.len() / (reduced * gpu.profile.block);
    assert_eq!(x.len(), blocks * reduced * gpu.profile.block);
    assert_eq!(y.len(), blocks * outputs * gpu.profile.block);
    let [bias, accumulate] = epilogue.constants();
    let tiles = outputs.div_ceil(TILE);
    let packed_rows = packed.len() / (tiles * TILE); // forward weights have a row of biases
    let constants = [
        ("OUTPUTS", outputs),
        ("REDUCED", reduced),
        ("PACKED_ROWS", packed_rows),
        bias,
        accumulate,
        ("LANES", lanes),
        ("ROWS", rows),
    ];
    Dispatch::new(gpu, &MATMUL, &constants, &[x, packed, y], [blocks.div_ceil(BLOCKS * rows), tiles, 1])
}

/// The same in f64, on plain `[N][features]`.
pub mod reference {
    use super::WeightShape;

    /// y = w x + b
    pub fn forward(w: &WeightShape, x: &[f64], theta: &[f64]) -> Vec<f64> {
        let (weights, bias) = theta.split_at(w.outputs * w.patches());
        let dot = |row: &[f64], x: &[f64]| row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>();
        x.chunks_exact(w.patches())
            .flat_map(|x| weights.chunks_exact(w.patches()).zip(bias).map(move |(row, b)| dot(row, x) + b))
            .collect()
    }

    /// dx = wᵀ dy
    pub fn grad_input(w: &WeightShape, dy: &[f64], theta: &[f64]) -> Vec<f64> {
        let inputs = w.patches();
        dy.chunks_exact(w.outputs)
            .flat_map(|dy| (0..inputs).map(move |i| (0..w.outputs).map(|o| theta[o * inputs + i] * dy[o]).sum()))
            .collect()
    }
}
