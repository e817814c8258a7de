//! Products of a weight matrix with a batch of vectors: dense layers forward (w x + b), their jvp, backward (wᵀ dy), and the
//! gradient to the weights (dy xᵀ summed over the batch).

use super::epilogue::{Epilogue, Mask};
use super::tile::{OuterTile, ProductTile};
use super::weights::{Direction, Packing, WeightShape};
use crate::device::{Buf, Gpu, Quads};
use crate::error::Result;
use crate::program::{Dispatch, Shader, shader};

pub(super) const MATMUL: Shader = shader!("matmul");
pub(super) const GRAD_WEIGHT: Shader = shader!("matmul_grad_weight");

/// Inputs summed in one step.
const TAPS: usize = 4;

/// (inputs, outputs) of a product.
fn sides(w: &WeightShape, direction: Direction) -> (usize, usize) {
    match direction {
        Direction::Forward => (w.patches(), w.outputs),
        Direction::Backward => (w.outputs, w.patches()),
    }
}

/// The name under which the tile of a product is remembered.
pub(super) fn tuning_key(w: &WeightShape, direction: Direction) -> String {
    format!("matmul {direction:?} {} to {}", w.patches(), w.outputs)
}

pub(super) fn tile(gpu: &Gpu, w: &WeightShape, direction: Direction) -> ProductTile {
    let batch = usize::MAX >> 8; // as many batch blocks as fit into a tile
    ProductTile::choose(gpu, &tuning_key(w, direction), sides(w, direction).1, batch)
}

/// How a product reads its weights.
pub fn packing(gpu: &Gpu, w: &WeightShape, direction: Direction) -> Packing {
    let (inputs, outputs) = sides(w, direction);
    let (output_stride, input_stride) = match direction {
        Direction::Forward => (inputs, 1),
        Direction::Backward => (1, outputs),
    };
    let lines = inputs.div_ceil(TAPS);
    Packing {
        outputs,
        tile: tile(gpu, w, direction).outputs,
        phases: 1,
        channels: 1,
        lines,
        segments: lines,
        taps: TAPS,
        columns: TAPS,
        output_stride,
        channel_stride: 0,
        line_stride: 0,
        position_stride: input_stride,
        first: 0,
        tap_step: 1,
        positions: inputs,
        biases: (direction == Direction::Forward).then_some(outputs * inputs),
    }
}

/// y = f(w x + b). `x` `[N/B][inputs][B]`, `packed` as [`packing`] forward, `y` `[N/B][outputs][B]`.
///
/// # Errors
/// As [`Dispatch::new`].
pub fn forward(
    gpu: &Gpu,
    w: &WeightShape,
    x: &Quads,
    packed: &Quads,
    y: &Quads,
    epilogue: &Epilogue,
) -> Result<Dispatch> {
    product(gpu, w, Direction::Forward, [x, y], packed, None, epilogue)
}

/// ty = mask ⊙ (w tx + v x + v's biases) in one pass, without the first product when the input is constant; `x` comes with v.
///
/// # Errors
/// As [`Dispatch::new`].
pub fn jvp(
    gpu: &Gpu,
    w: &WeightShape,
    x: (&Quads, &Quads),
    tx: Option<(&Quads, &Quads)>,
    ty: &Quads,
    mask: Option<&Mask>,
) -> Result<Dispatch> {
    let epilogue = Epilogue::masked(mask);
    match tx {
        None => product(gpu, w, Direction::Forward, [x.0, ty], x.1, None, &epilogue),
        Some((tx, packed)) => product(gpu, w, Direction::Forward, [tx, ty], packed, Some(x), &epilogue),
    }
}

/// dx = mask ⊙ wᵀ dy. `packed` as [`packing`] backward.
///
/// # Errors
/// As [`Dispatch::new`].
pub fn grad_input(
    gpu: &Gpu,
    w: &WeightShape,
    dy: &Quads,
    packed: &Quads,
    dx: &Quads,
    mask: Option<&Mask>,
) -> Result<Dispatch> {
    product(gpu, w, Direction::Backward, [dy, dx], packed, None, &Epilogue::masked(mask))
}

/// Batch blocks of an input and an output, whose lengths must agree.
fn blocks(gpu: &Gpu, (inputs, outputs): (usize, usize), x: &Quads, y: &Quads) -> usize {
    let blocks = x.len() / (inputs * gpu.profile.block);
    assert_eq!(x.len(), blocks * inputs * gpu.profile.block);
    assert_eq!(y.len(), blocks * outputs * gpu.profile.block);
    blocks
}

fn product(
    gpu: &Gpu,
    w: &WeightShape,
    direction: Direction,
    [x, y]: [&Quads; 2],
    packed: &Quads,
    second: Option<(&Quads, &Quads)>,
    epilogue: &Epilogue,
) -> Result<Dispatch> {
    let (inputs, outputs) = sides(w, direction);
    let (blocks, packing, tile) =
        (blocks(gpu, (inputs, outputs), x, y), packing(gpu, w, direction), tile(gpu, w, direction));
    assert_eq!(packed.len(), packing.len());
    let mut constants = vec![
        ("INPUTS", inputs),
        ("CO", outputs),
        ("TILE_ROWS", packing.rows()),
        ("BIAS", usize::from(packing.biases.is_some())),
        ("SOURCES", 1 + usize::from(second.is_some())),
        ("PHASES", 1),
        ("LANES", gpu.profile.lanes()),
        ("ROWS", gpu.profile.rows),
    ];
    constants.extend(tile.constants(1, TAPS, TAPS));
    constants.extend(epilogue.constants());
    let (derivative, found) = epilogue.outputs(gpu)?;
    let (tx, v) = second.unwrap_or((x, packed));
    let bindings = [
        x.into(),
        packed.into(),
        tx.into(),
        v.into(),
        Mask::binding(epilogue.mask.as_ref(), x),
        x.block_count(gpu, blocks)?.into(),
        y.into(),
        (&derivative).into(),
        (&found).into(),
    ];
    let per = tile.pixels * gpu.profile.rows;
    let grid = x.grid([blocks.div_ceil(per), packing.tiles(), 1], 0, per);
    Dispatch::new(gpu, &MATMUL, &constants, &bindings, grid)
}

fn outer_tile(gpu: &Gpu, w: &WeightShape) -> OuterTile {
    OuterTile::choose(gpu, w.patches().div_ceil(TAPS), TAPS, w.outputs, usize::MAX)
}

/// Parts into which a weight gradient over so many batch blocks is split.
pub fn splits(gpu: &Gpu, w: &WeightShape, blocks: usize) -> usize {
    let tile = outer_tile(gpu, w);
    let tiles = w.patches().div_ceil(TAPS * tile.lines) * w.outputs.div_ceil(4 * tile.quads);
    w.splits(gpu, tiles, blocks.div_ceil(tile.pixels))
}

/// partial\[s\] = the weight and bias gradient of split s; [`reduce_partials`](super::weights::reduce_partials) sums them.
/// `partial` holds [`splits`] × [`WeightShape::partial_len`] words.
///
/// # Errors
/// As [`Dispatch::new`].
pub fn grad_weight(gpu: &Gpu, w: &WeightShape, x: &Quads, dy: &Quads, partial: &Buf) -> Result<Dispatch> {
    let blocks = blocks(gpu, (w.patches(), w.outputs), x, dy);
    let (splits, tile) = (splits(gpu, w, blocks), outer_tile(gpu, w));
    assert_eq!(partial.len(), splits * w.partial_len());
    let mut constants =
        vec![("INPUTS", w.patches()), ("CO", w.outputs), ("LANES", gpu.profile.lanes()), ("ROWS", gpu.profile.rows)];
    constants.extend(tile.constants(TAPS, TAPS));
    let bindings = [x.into(), dy.into(), x.block_count(gpu, blocks)?.into(), partial.into()];
    let grid = [w.outputs.div_ceil(4 * tile.quads), w.patches().div_ceil(TAPS * tile.lines), splits];
    Dispatch::new(gpu, &GRAD_WEIGHT, &constants, &bindings, grid)
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

    /// The gradient to the weights, then to the biases.
    pub fn grad_weight(w: &WeightShape, x: &[f64], dy: &[f64]) -> Vec<f64> {
        let inputs = w.patches();
        let mut g = vec![0.0; w.len()];
        for (x, dy) in x.chunks_exact(inputs).zip(dy.chunks_exact(w.outputs)) {
            for (o, dy) in dy.iter().enumerate() {
                x.iter().enumerate().for_each(|(i, x)| g[o * inputs + i] += dy * x);
                g[w.outputs * inputs + o] += dy;
            }
        }
        g
    }
}
