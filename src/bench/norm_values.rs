//! What normalisations of both kinds are measured on.

use super::random::random_blocks;
use crate::device::{Buf, Gpu, Quads};
use crate::error::Result;
use crate::kernels::from_blocks;
use crate::shape::Shape;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// (channels, image side)
const SHAPES: [(usize, usize); 3] = [(16, 16), (32, 8), (64, 4)];

/// A mini-batch, and a chunk of an objective.
const BATCHES: [usize; 2] = [128, 2048];

/// Examples that a result is checked on.
pub(super) const CHECKED: usize = 72;

/// Every shape, in batches of every size.
pub(super) fn shapes() -> impl Iterator<Item = (Shape, usize)> {
    let square = |(channels, side)| Shape::new(channels, side, side);
    SHAPES.map(square).into_iter().flat_map(|shape| BATCHES.map(|batch| (shape, batch)))
}

/// Values of some examples on the device, and in f64.
pub(super) struct NormValues {
    shape: Shape,
    pub(super) examples: usize,
    pub(super) x: (Vec<f64>, Quads),
    /// tx, or dy.
    pub(super) u: (Vec<f64>, Quads),
    /// γ and then β.
    pub(super) theta: (Vec<f64>, Buf),
    pub(super) out: Quads,
}

impl NormValues {
    /// Drawn at random; what is put out is NaN at first.
    pub(super) fn new(gpu: &Gpu, shape: Shape, examples: usize) -> Result<Self> {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let features = shape.len();
        let [x, u] =
            [random_blocks(gpu, &mut rng, examples, features)?, random_blocks(gpu, &mut rng, examples, features)?];
        let theta: Vec<f32> = (0..2 * shape.channels).map(|_| rng.random_range(-1.0..1.0)).collect();
        let padded = examples.next_multiple_of(gpu.profile.block);
        Ok(Self {
            shape,
            examples,
            theta: (theta.iter().map(|&x| f64::from(x)).collect(), gpu.upload("bench.theta", &theta)?),
            out: gpu.upload_quads("bench.output", &vec![f32::NAN; padded * features], false)?,
            x,
            u,
        })
    }

    /// The values that were put out.
    pub(super) fn result(&self, gpu: &Gpu) -> Result<Vec<f32>> {
        Ok(from_blocks(&gpu.read_quads(&self.out)?, self.shape.len(), gpu.profile.block, self.examples))
    }
}
