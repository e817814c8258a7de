//! What has no factors.

use super::*;
use crate::error::Error;
use crate::kernels::epilogue::{Epilogue, Mask};
use crate::kernels::weights::WeightShape;
use crate::model::reference::Map;
use crate::model::{At, Description};
use crate::program::Dispatch;
use crate::shape::Shape;

/// A layer with parameters, of whose curvature nobody knows anything.
#[derive(Debug)]
struct Unfactored;

impl Layer for Unfactored {
    fn name(&self) -> &str {
        "scale1"
    }
    fn input(&self) -> Shape {
        Shape::vector(3)
    }
    fn output(&self) -> Shape {
        Shape::vector(3)
    }
    fn weights(&self) -> Option<WeightShape> {
        Some(WeightShape { outputs: 3, inputs: 1, taps: 1 })
    }
    fn reference(&self) -> Map {
        unreachable!("never compared")
    }
    fn forward(&self, _: &At<'_>, _: &Quads, _: &Epilogue) -> Result<Vec<Dispatch>> {
        unreachable!("never recorded")
    }
    fn jvp(&self, _: &At<'_>, _: Option<&Quads>, _: &Quads, _: Option<&Mask>) -> Result<Vec<Dispatch>> {
        unreachable!("never recorded")
    }
    fn grad_input(&self, _: &At<'_>, _: &Quads, _: &Quads, _: Option<&Mask>) -> Result<Vec<Dispatch>> {
        unreachable!("never recorded")
    }
}

#[test]
fn parameters_without_factors_are_refused_by_name() {
    let why = shapes(&[Box::new(Unfactored)]).map(|_| ()).unwrap_err();
    assert!(matches!(&why, Error::Usage(_)) && why.to_string().contains("scale1"), "{why}");
    let digits = Model::new(&Description::open("digits-1k").unwrap(), Shape::new(1, 8, 8), 10).unwrap();
    shapes(digits.layers()).unwrap();
}
