//! What a layer is: shapes, parameters, and the products with its Jacobians.

use super::reference::Map;
use crate::device::{Buf, Gpu, Quads};
use crate::error::Result;
use crate::kernels::activation::Activation;
use crate::kernels::batch_norm::{BatchNorm, Statistics};
use crate::kernels::conv2d::Conv2d;
use crate::kernels::epilogue::{Epilogue, Mask};
use crate::kernels::weights::{Direction, Packing, WeightShape};
use crate::program::Dispatch;
use crate::shape::Shape;

/// A layer's parameters on the device: views of the flat vectors, and the tiles that its products read.
#[derive(Clone, Debug)]
pub struct LayerWeights {
    /// θ: weights, then biases.
    pub theta: Buf,
    /// v: a direction in parameter space, laid out as θ.
    pub tangent: Buf,
    /// θ packed for y = w x + b, as [`Layer::packing`] says, where it is; so for the other two.
    pub forward: Option<Quads>,
    /// θ packed for dx = wᵀ dy, where anything asks for the gradient to the layer's input.
    pub backward: Option<Quads>,
    /// v packed for ty = v x.
    pub forward_tangent: Option<Quads>,
}

/// The point (x, θ) at which a layer is evaluated, and linearised: its Jacobians J_x and J_θ are those here.
#[derive(Clone, Copy)]
pub struct At<'a> {
    /// The device.
    pub gpu: &'a Gpu,
    /// θ, and with it v and g; none for a layer without parameters.
    pub weights: Option<&'a LayerWeights>,
    /// `[N/B][input][B]`.
    pub x: &'a Quads,
    /// For a layer that normalises over examples.
    pub normalised: Option<Normalised<'a>>,
    /// Room of [`Layer::room`] words for each example of x, where any layer asks for some. What is in it is lost when
    /// another layer is run.
    pub room: Option<&'a [Buf; 2]>,
}

/// What a normalisation over examples works with.
#[derive(Clone, Copy)]
pub struct Normalised<'a> {
    /// Where statistics are, or are put by the forward pass.
    pub statistics: Statistics<'a>,
    /// Real examples of x, which come before padding.
    pub examples: usize,
    /// The sums of a tangent, or those of dy: [`Layer::grad_weight`] puts them here before [`Layer::grad_input`] reads
    /// them.
    pub products: &'a Buf,
    /// What each example counts in the means of dy, `[N/B][B]`: 1, or 0 on padding, or the inverse of the probability
    /// with which it is kept.
    pub share: &'a Buf,
}

/// One differentiable map y = f(x; θ) of every example. x, its tangent tx and its cotangent dx are `[N/B][input][B]`;
/// y, ty, dy and a mask of y `[N/B][output][B]`.
pub trait Layer: std::fmt::Debug + Send + Sync {
    /// Name in messages and weight files, such as `conv1`.
    fn name(&self) -> &str;
    /// Shape of x.
    fn input(&self) -> Shape;
    /// Shape of y.
    fn output(&self) -> Shape;
    /// Shape of θ.
    fn weights(&self) -> Option<WeightShape> {
        None
    }
    /// Dimensions of the weight tensor as PyTorch has them.
    fn weight_dims(&self) -> Vec<usize> {
        Vec::new()
    }
    /// The patches of x that the weights meet.
    fn patches(&self) -> Option<Conv2d> {
        None
    }
    /// The normalisation, of a layer that is one.
    fn norm(&self) -> Option<BatchNorm> {
        None
    }
    /// Channels of a layer whose parameters are a scale γ of each and then a shift β.
    fn scales(&self) -> Option<usize> {
        None
    }
    /// Whether its parameters are the weights of a product, packed and with Kronecker factors: not scales and shifts.
    fn is_product(&self) -> bool {
        self.weights().is_some() && self.scales().is_none()
    }
    /// Words of an example that it works with, in the two of [`At::room`]. [`Layer::grad_weight`] or [`Layer::fisher`]
    /// leaves there what [`Layer::grad_input`] reads.
    fn room(&self) -> [usize; 2] {
        [0; 2]
    }
    /// Multiply-adds of one example's forward product.
    fn multiply_adds(&self) -> usize {
        0
    }
    /// The same map in f64.
    fn reference(&self) -> Map;
    /// Turns of all loops of an invocation of any of its kernels, at most.
    fn turns(&self, _gpu: &Gpu) -> usize {
        1
    }
    /// The function of a layer that is nothing but an element-wise activation; a product before it takes it over.
    fn activation(&self) -> Option<Activation> {
        None
    }
    /// Whether it can end in the activation of the layer after it.
    fn takes_activation(&self) -> bool {
        self.weights().is_some()
    }
    /// Whether it can add what a sum after it adds: [`Epilogue::plus`].
    fn takes_sum(&self) -> bool {
        false
    }
    /// Whether y = x + a second value, which [`Epilogue::plus`] is forward. The products with its Jacobian are those of
    /// x alone.
    fn is_sum(&self) -> bool {
        false
    }
    /// The channel of such a sum at which the second value begins.
    fn first_of_plus(&self) -> usize {
        0
    }
    /// How the products of a direction read their weights.
    fn packing(&self, _gpu: &Gpu, _direction: Direction) -> Option<Packing> {
        None
    }
    /// Times a few tiles of the layer's products, forward and perhaps backward, on so many examples, where the device
    /// allows it and they are not known.
    ///
    /// # Errors
    /// What the device reports.
    fn tune(&self, _gpu: &Gpu, _with_backward: bool, _examples: usize) -> Result<()> {
        Ok(())
    }
    /// Parts into which a weight gradient over so many batch blocks is split.
    fn splits(&self, _gpu: &Gpu, _blocks: usize) -> usize {
        1
    }
    /// y = f(x; θ), and the epilogue where there are parameters; layers without any are given none.
    ///
    /// # Errors
    /// As [`Dispatch::new`]; so for the other three.
    fn forward(&self, at: &At<'_>, y: &Quads, epilogue: &Epilogue) -> Result<Vec<Dispatch>>;
    /// ty = mask ⊙ (J_x tx + J_θ v), without the first term when the input is constant; the mask is that of an
    /// activation which the layer took over. `y` of forward is not needed.
    fn jvp(&self, at: &At<'_>, tx: Option<&Quads>, ty: &Quads, mask: Option<&Mask>) -> Result<Vec<Dispatch>>;
    /// dx = mask ⊙ J_xᵀ dy, a half of the vjp; the mask is that of an activation which the layer *before* took over.
    fn grad_input(&self, at: &At<'_>, dy: &Quads, dx: &Quads, mask: Option<&Mask>) -> Result<Vec<Dispatch>>;
    /// J_θᵀ dy, the other half, in as many partial sums as [`Layer::splits`] says; nothing where there are no
    /// parameters. `partial` holds them, [`WeightShape::partial_len`] words each.
    fn grad_weight(&self, _at: &At<'_>, _dy: &Quads, _partial: &Buf) -> Result<Vec<Dispatch>> {
        Ok(Vec::new())
    }
    /// Of scales and shifts f ← keep · f + scale · Σ over examples of each channel's 2 × 2 block of g gᵀ, g being what
    /// an example with dy gives to its gradient: `[C][3]`. `coefficients` are \[keep, scale\]; with keep 0 `f` may hold
    /// anything.
    fn fisher(&self, _at: &At<'_>, _dy: &Quads, _coefficients: &Buf, _f: &Buf) -> Result<Vec<Dispatch>> {
        Ok(Vec::new())
    }
}
