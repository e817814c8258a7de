//! Group normalisation (Wu and He 2018, arXiv 1803.08494).

use super::layer::{At, Layer};
use super::reference::Map;
use crate::device::{Buf, Gpu, Quads};
use crate::error::Result;
use crate::kernels::epilogue::{Epilogue, Mask};
use crate::kernels::group_norm::{ExampleSums, GroupNorm};
use crate::kernels::weights::WeightShape;
use crate::program::Dispatch;
use crate::shape::Shape;

/// y = γ (x − m) / √(v + ε) + β with mean and variance of a group of channels of each example.
#[derive(Debug)]
pub(super) struct GroupNormLayer {
    /// `group_norm` with its number.
    pub name: String,
    pub norm: GroupNorm,
}

/// Multiply-adds of a value: two of its sums, two of y.
const MULTIPLY_ADDS: usize = 4;

impl GroupNormLayer {
    fn room<'a>(at: &At<'a>) -> ExampleSums<'a> {
        let [statistics, products] = at.room.expect("who runs a model gives each layer the room that it asks for");
        ExampleSums { statistics, products }
    }

    /// γ and then β, and a direction.
    fn parameters<'a>(at: &At<'a>) -> [&'a Buf; 2] {
        let weights = at.weights.expect("the model gives every layer with parameters its weights");
        [&weights.theta, &weights.tangent]
    }

    /// The steps that find the sums over dy: x may be of other examples than the forward pass was.
    fn products(&self, at: &At<'_>, dy: &Quads, room: ExampleSums<'_>) -> Result<[Dispatch; 2]> {
        let Self { norm, .. } = self;
        Ok([norm.statistics(at.gpu, at.x, room)?, norm.products(at.gpu, [dy, at.x], room)?])
    }
}

impl Layer for GroupNormLayer {
    fn name(&self) -> &str {
        &self.name
    }

    fn input(&self) -> Shape {
        self.norm.shape
    }

    fn output(&self) -> Shape {
        self.norm.shape
    }

    fn weights(&self) -> Option<WeightShape> {
        Some(self.norm.weights())
    }

    fn weight_dims(&self) -> Vec<usize> {
        vec![self.norm.shape.channels]
    }

    fn scales(&self) -> Option<usize> {
        Some(self.norm.shape.channels)
    }

    fn room(&self) -> [usize; 2] {
        self.norm.room()
    }

    fn multiply_adds(&self) -> usize {
        MULTIPLY_ADDS * self.norm.shape.len()
    }

    fn reference(&self) -> Map {
        Map::GroupNorm(self.norm)
    }

    fn turns(&self, gpu: &Gpu) -> usize {
        self.norm.turns(gpu, gpu.profile.chunk.div_ceil(gpu.profile.block))
    }

    fn takes_sum(&self) -> bool {
        true
    }

    fn forward(&self, at: &At<'_>, y: &Quads, epilogue: &Epilogue) -> Result<Vec<Dispatch>> {
        let (gpu, room, [theta, _]) = (at.gpu, Self::room(at), Self::parameters(at));
        let statistics = self.norm.statistics(gpu, at.x, room)?;
        let plus = epilogue.plus.as_ref();
        Ok(vec![statistics, self.norm.forward(gpu, [at.x, y], plus, theta, room, epilogue)?])
    }

    fn jvp(&self, at: &At<'_>, tx: Option<&Quads>, ty: &Quads, mask: Option<&Mask>) -> Result<Vec<Dispatch>> {
        let (gpu, room) = (at.gpu, Self::room(at));
        let mut steps = vec![self.norm.statistics(gpu, at.x, room)?];
        if let Some(tx) = tx {
            steps.push(self.norm.products(gpu, [tx, at.x], room)?);
        }
        steps.push(self.norm.jvp(gpu, [at.x, ty], Self::parameters(at), tx, room, mask)?);
        Ok(steps)
    }

    fn grad_input(&self, at: &At<'_>, dy: &Quads, dx: &Quads, mask: Option<&Mask>) -> Result<Vec<Dispatch>> {
        let [theta, _] = Self::parameters(at);
        Ok(vec![self.norm.grad_input(at.gpu, [dy, at.x, dx], theta, Self::room(at), mask)?])
    }

    fn splits(&self, gpu: &Gpu, blocks: usize) -> usize {
        self.norm.splits(gpu, blocks)
    }

    fn grad_weight(&self, at: &At<'_>, dy: &Quads, partial: &Buf) -> Result<Vec<Dispatch>> {
        let room = Self::room(at);
        let sums = self.products(at, dy, room)?;
        Ok(sums.into_iter().chain([self.norm.grad_weight(at.gpu, dy, room, partial)?]).collect())
    }

    fn fisher(&self, at: &At<'_>, dy: &Quads, coefficients: &Buf, f: &Buf) -> Result<Vec<Dispatch>> {
        let room = Self::room(at);
        let sums = self.products(at, dy, room)?;
        Ok(sums.into_iter().chain([self.norm.fisher(at.gpu, dy, room, coefficients, f)?]).collect())
    }
}
