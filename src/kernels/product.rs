//! Maps that are bilinear in their input and their weights, y = w x + b: convolutions, dense layers. Each has a file
//! that says what is its own; what follows from bilinearity alone is here.

use super::conv2d::Conv2d;
use super::epilogue::{Epilogue, Mask};
use super::tile::ProductTile;
use super::weights::{Direction, Packing, WeightShape};
use crate::device::{Binding, Buf, Gpu, Quads};
use crate::error::Result;
use crate::program::Dispatch;
use crate::shape::Shape;

/// An input, and the weights that it meets, packed as [`Product::packing`] says.
pub type Addend<'a> = (&'a Quads, &'a Quads);

/// What one dispatch of a product reads and writes.
#[derive(Clone, Copy, Debug)]
pub struct Operands<'a> {
    /// x and w; backward dy and w.
    pub source: Addend<'a>,
    /// Another pair, whose product is added; the biases are then those of its weights.
    pub second: Option<Addend<'a>>,
    /// y; backward dx.
    pub output: &'a Quads,
    /// What becomes of the sums.
    pub epilogue: &'a Epilogue,
}

impl Operands<'_> {
    /// Pairs of input and weights.
    pub(super) fn sources(&self) -> usize {
        1 + usize::from(self.second.is_some())
    }

    /// What the shaders of all products are specialised to, besides their tile.
    pub(super) fn constants(&self, packing: &Packing) -> Vec<(&'static str, usize)> {
        let weights = [Some(self.source), self.second].into_iter().flatten().map(|(_, weights)| weights.len());
        assert!(weights.into_iter().all(|len| len == packing.len()));
        let mut constants = vec![
            ("TILE_ROWS", packing.rows()),
            ("BIAS", usize::from(packing.biases.is_some())),
            ("SOURCES", self.sources()),
        ];
        constants.extend(self.epilogue.constants());
        constants
    }

    /// x, w, tx, v and the mask, as the shaders name them.
    pub(super) fn inputs(&self) -> [Binding; 5] {
        let (x, w) = self.source;
        let (tx, v) = self.second.unwrap_or(self.source);
        [x.into(), w.into(), tx.into(), v.into(), Mask::binding(self.epilogue.mask.as_ref(), x)]
    }

    /// y, derivative and found, as the shaders name them.
    pub(super) fn outputs(&self, gpu: &Gpu) -> Result<[Binding; 3]> {
        let (derivative, found) = self.epilogue.outputs(gpu)?;
        Ok([self.output.into(), (&derivative).into(), (&found).into()])
    }
}

/// y = w x + b, bilinear in x `[N/B][input][B]` and w; y is `[N/B][output][B]`.
pub trait Product: std::fmt::Debug + Send + Sync {
    /// Shapes of an example's x and y.
    fn shapes(&self) -> [Shape; 2];
    /// Shape of the parameters.
    fn weights(&self) -> WeightShape;
    /// Dimensions of the weight tensor as PyTorch has them.
    fn weight_dims(&self) -> Vec<usize>;
    /// The patches of x, if y is the same matrix times each of them.
    fn patches(&self) -> Option<Conv2d> {
        None
    }
    /// The name under which the tile of a direction is remembered.
    fn tuning_key(&self, direction: Direction) -> String;
    /// What an invocation owns.
    fn tile(&self, gpu: &Gpu, direction: Direction) -> ProductTile;
    /// How a direction reads its weights.
    fn packing(&self, gpu: &Gpu, direction: Direction) -> Packing;
    /// The product over so many batch blocks, which the operands have been checked to hold.
    ///
    /// # Errors
    /// As [`Dispatch::new`].
    fn product(&self, gpu: &Gpu, direction: Direction, blocks: usize, operands: &Operands<'_>) -> Result<Dispatch>;
    /// Turns of all loops of an invocation, at most, however a batch is split.
    fn turns(&self, gpu: &Gpu) -> usize;
    /// Parts into which a weight gradient over so many batch blocks is split.
    fn splits(&self, gpu: &Gpu, blocks: usize) -> usize;
    /// partial\[s\] = the weight and bias gradient of split s; [`reduce_partials`](super::weights::reduce_partials)
    /// sums them. `partial` holds [`Product::splits`] × [`WeightShape::partial_len`] words.
    ///
    /// # Errors
    /// As [`Dispatch::new`].
    fn grad_weight(&self, gpu: &Gpu, x: &Quads, dy: &Quads, partial: &Buf) -> Result<Dispatch>;
    /// Visits every term w\[k\] x\[i\] of every y\[j\] with its (i, j, k), on plain `[N][C][H][W]`: all that a
    /// reference needs.
    fn for_each_term(&self, examples: usize, visit: &mut dyn FnMut(usize, usize, usize));

    /// Multiply-adds of one example's product.
    fn multiply_adds(&self) -> usize {
        let [_, output] = self.shapes();
        output.len() * self.weights().patches()
    }

    /// Batch blocks of an x and a y, whose lengths must agree.
    fn blocks(&self, gpu: &Gpu, x: &Quads, y: &Quads) -> usize {
        let [input, output] = self.shapes().map(|shape| shape.len() * gpu.profile.block);
        let blocks = x.len() / input;
        assert_eq!([x.len(), y.len()], [blocks * input, blocks * output]);
        blocks
    }

    /// y = f(w x + b), w and b packed forward.
    ///
    /// # Errors
    /// As [`Dispatch::new`].
    fn forward(&self, gpu: &Gpu, (x, packed): Addend<'_>, y: &Quads, epilogue: &Epilogue) -> Result<Dispatch> {
        let operands = Operands { source: (x, packed), second: None, output: y, epilogue };
        self.product(gpu, Direction::Forward, self.blocks(gpu, x, y), &operands)
    }

    /// ty = mask ⊙ (w tx + v x + v's biases) in one pass, without the first product when the input is constant: `x`
    /// comes with v, `tx` with w, both packed forward.
    ///
    /// # Errors
    /// As [`Dispatch::new`].
    fn jvp(
        &self,
        gpu: &Gpu,
        x: Addend<'_>,
        tx: Option<Addend<'_>>,
        ty: &Quads,
        mask: Option<&Mask>,
    ) -> Result<Dispatch> {
        let (source, second) = tx.map_or((x, None), |tx| (tx, Some(x)));
        assert_eq!(source.0.len(), x.0.len());
        let operands = Operands { source, second, output: ty, epilogue: &Epilogue::masked(mask) };
        self.product(gpu, Direction::Forward, self.blocks(gpu, x.0, ty), &operands)
    }

    /// dx = mask ⊙ wᵀ dy, w packed backward.
    ///
    /// # Errors
    /// As [`Dispatch::new`].
    fn grad_input(&self, gpu: &Gpu, dy: Addend<'_>, dx: &Quads, mask: Option<&Mask>) -> Result<Dispatch> {
        let operands = Operands { source: dy, second: None, output: dx, epilogue: &Epilogue::masked(mask) };
        self.product(gpu, Direction::Backward, self.blocks(gpu, dx, dy.0), &operands)
    }
}

/// The same in f64, on plain `[N][C][H][W]`; `theta` holds the weights, then the biases.
pub mod reference {
    use crate::kernels::product::Product;

    /// Where the biases of θ begin.
    fn biases(product: &dyn Product) -> usize {
        let shape = product.weights();
        shape.outputs * shape.patches()
    }

    /// y = w x + b
    pub fn forward(product: &dyn Product, x: &[f64], theta: &[f64]) -> Vec<f64> {
        let ([input, output], bias) = (product.shapes(), &theta[biases(product)..]);
        let examples = x.len() / input.len();
        let of_pixel = |i: usize| bias[i / output.pixels() % output.channels];
        let mut y: Vec<f64> = (0..examples * output.len()).map(of_pixel).collect();
        product.for_each_term(examples, &mut |i, j, k| y[j] += theta[k] * x[i]);
        y
    }

    /// ty along `tx` and `v`.
    pub fn jvp(product: &dyn Product, [x, tx]: [&[f64]; 2], [theta, v]: [&[f64]; 2]) -> Vec<f64> {
        let mut weights = theta.to_vec();
        weights[biases(product)..].fill(0.0); // a bias has no part in J_x
        forward(product, tx, &weights).iter().zip(forward(product, x, v)).map(|(a, b)| a + b).collect()
    }

    /// dx, the gradient to the input.
    pub fn grad_input(product: &dyn Product, dy: &[f64], theta: &[f64]) -> Vec<f64> {
        let [input, output] = product.shapes();
        let examples = dy.len() / output.len();
        let mut dx = vec![0.0; examples * input.len()];
        product.for_each_term(examples, &mut |i, j, k| dx[i] += theta[k] * dy[j]);
        dx
    }

    /// The gradient to the weights, then to the biases.
    pub fn grad_weight(product: &dyn Product, x: &[f64], dy: &[f64]) -> Vec<f64> {
        let ([input, output], biases) = (product.shapes(), biases(product));
        let mut g = vec![0.0; product.weights().len()];
        product.for_each_term(x.len() / input.len(), &mut |i, j, k| g[k] += x[i] * dy[j]);
        for (j, dy) in dy.iter().enumerate() {
            g[biases + j / output.pixels() % output.channels] += dy;
        }
        g
    }
}
