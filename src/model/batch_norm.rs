//! Batch normalisation (Ioffe and Szegedy 2015, arXiv 1502.03167).

use super::layer::{At, Layer, Normalised};
use super::reference::Map;
use crate::device::{Buf, Gpu, Quads};
use crate::error::Result;
use crate::kernels::batch_norm::{BatchNorm, Statistics};
use crate::kernels::epilogue::{Epilogue, Mask};
use crate::kernels::weights::WeightShape;
use crate::program::Dispatch;
use crate::shape::Shape;

/// y = γ (x − m) / √(v + ε) + β with mean and variance of each channel, over the examples of a group and all pixels.
#[derive(Debug)]
pub(super) struct NormLayer {
    /// `batch_norm` with its number.
    pub name: String,
    pub norm: BatchNorm,
}

/// Multiply-adds of a value: two of its sums, two of y.
const MULTIPLY_ADDS: usize = 4;

fn normalised<'a>(at: &At<'a>) -> Normalised<'a> {
    at.normalised.expect("who runs a model with normalisations gives each its statistics")
}

impl NormLayer {
    /// γ and then β.
    fn theta<'a>(at: &At<'a>) -> &'a Buf {
        &at.weights.expect("the model gives every layer with parameters its weights").theta
    }
}

impl Layer for NormLayer {
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

    fn norm(&self) -> Option<BatchNorm> {
        Some(self.norm)
    }

    fn multiply_adds(&self) -> usize {
        MULTIPLY_ADDS * self.norm.shape.len()
    }

    fn reference(&self) -> Map {
        Map::Norm(self.norm, usize::MAX)
    }

    fn takes_sum(&self) -> bool {
        true
    }

    fn forward(&self, at: &At<'_>, y: &Quads, epilogue: &Epilogue) -> Result<Vec<Dispatch>> {
        let (gpu, Normalised { statistics, examples, .. }) = (at.gpu, normalised(at));
        let sums = match statistics {
            Statistics::Groups { sums, blocks } => Some(self.norm.statistics(gpu, at.x, examples, blocks, sums)?),
            Statistics::Running(_) => None,
        };
        let forward =
            self.norm.forward(gpu, [at.x, y], epilogue.plus.as_ref(), Self::theta(at), statistics, epilogue)?;
        Ok(sums.into_iter().chain([forward]).collect())
    }

    fn jvp(&self, at: &At<'_>, tx: Option<&Quads>, ty: &Quads, mask: Option<&Mask>) -> Result<Vec<Dispatch>> {
        let (gpu, Normalised { statistics, examples, products, .. }) = (at.gpu, normalised(at));
        let weights = at.weights.expect("as forward");
        let sums = tx.map(|tx| self.norm.products(gpu, [tx, at.x], examples, statistics, products)).transpose()?;
        let tx = tx.map(|tx| (tx, Some(products)));
        let jvp = self.norm.jvp(gpu, [at.x, ty], [&weights.theta, &weights.tangent], tx, statistics, mask)?;
        Ok(sums.into_iter().chain([jvp]).collect())
    }

    fn grad_input(&self, at: &At<'_>, dy: &Quads, dx: &Quads, mask: Option<&Mask>) -> Result<Vec<Dispatch>> {
        let Normalised { statistics, products, share, .. } = normalised(at);
        let means = Some([products, share]);
        Ok(vec![self.norm.grad_input(at.gpu, [dy, at.x, dx], Self::theta(at), statistics, means, mask)?])
    }

    fn splits(&self, gpu: &Gpu, _blocks: usize) -> usize {
        self.norm.parts(gpu)
    }

    fn grad_weight(&self, at: &At<'_>, dy: &Quads, partial: &Buf) -> Result<Vec<Dispatch>> {
        let Normalised { statistics, examples, .. } = normalised(at);
        Ok(vec![self.norm.products(at.gpu, [dy, at.x], examples, statistics, partial)?])
    }

    fn fisher(&self, at: &At<'_>, dy: &Quads, coefficients: &Buf, f: &Buf) -> Result<Vec<Dispatch>> {
        let Normalised { statistics, examples, products, .. } = normalised(at);
        Ok(vec![
            // what goes on to its input is made of these
            self.norm.products(at.gpu, [dy, at.x], examples, statistics, products)?,
            self.norm.fisher(at.gpu, [dy, at.x], statistics, coefficients, f)?,
        ])
    }
}
