//! Where two paths meet: the sum of two values, or one after the other.

use super::layer::{At, Layer};
use super::reference::Map;
use crate::device::Quads;
use crate::error::Result;
use crate::kernels::epilogue::{Epilogue, Mask};
use crate::kernels::sum::{Term, sum};
use crate::program::Dispatch;
use crate::shape::Shape;

/// y = x + plus. Of the one with fewer channels, the others count as zeros: those before `first` of plus.
#[derive(Debug)]
pub(super) struct SumLayer {
    /// `add` or `concat` with its number.
    pub name: String,
    /// Shape of x.
    pub input: Shape,
    /// Shape of y.
    pub output: Shape,
    /// The channel of y at which plus begins.
    pub first: usize,
}

impl Layer for SumLayer {
    fn name(&self) -> &str {
        &self.name
    }

    fn input(&self) -> Shape {
        self.input
    }

    fn output(&self) -> Shape {
        self.output
    }

    fn reference(&self) -> Map {
        Map::Sum { input: self.input, output: self.output, first: self.first }
    }

    fn takes_activation(&self) -> bool {
        true
    }

    fn is_sum(&self) -> bool {
        true
    }

    fn first_of_plus(&self) -> usize {
        self.first
    }

    fn forward(&self, at: &At<'_>, y: &Quads, epilogue: &Epilogue) -> Result<Vec<Dispatch>> {
        let plus = epilogue.plus.as_ref().map(|x| Term { x, shift: -(self.first as isize) });
        Ok(vec![sum(at.gpu, self.output, (at.x.into(), plus), y, epilogue)?])
    }

    fn jvp(&self, at: &At<'_>, tx: Option<&Quads>, ty: &Quads, mask: Option<&Mask>) -> Result<Vec<Dispatch>> {
        let masked = Epilogue::masked(mask);
        tx.map(|tx| sum(at.gpu, self.output, (tx.into(), None), ty, &masked)).into_iter().collect()
    }

    fn grad_input(&self, at: &At<'_>, dy: &Quads, dx: &Quads, mask: Option<&Mask>) -> Result<Vec<Dispatch>> {
        Ok(vec![sum(at.gpu, self.input, (dy.into(), None), dx, &Epilogue::masked(mask))?])
    }
}
