//! A quadratic for the unit tests of the methods.

use super::problem::{Curved, Problem, Refresh};
use super::space::{Euclidean, Space};
use crate::error::Result;

/// ½ Σ λᵢ xᵢ², whose gradient is reported times `sign`.
pub(super) struct Quadratic {
    pub space: Euclidean,
    pub eigenvalues: Vec<f64>,
    pub sign: f64,
    /// What the curvature that it reports is of the true one.
    pub curvature: f64,
}

impl Quadratic {
    pub(super) fn new(eigenvalues: &[f64]) -> Self {
        let eigenvalues = eigenvalues.to_vec();
        Self { space: Euclidean::new(eigenvalues.len()), eigenvalues, sign: 1.0, curvature: 1.0 }
    }
}

impl Problem for Quadratic {
    type Space = Euclidean;
    type Evaluation = f64;

    fn space(&self) -> &Euclidean {
        &self.space
    }

    fn loss_and_gradient(&mut self, x: &Vec<f64>, gradient: &mut Vec<f64>) -> Result<f64> {
        let terms = self.eigenvalues.iter().zip(x);
        *gradient = terms.clone().map(|(l, x)| self.sign * l * x).collect();
        Ok(terms.map(|(l, x)| 0.5 * l * x * x).sum::<f64>())
    }
}

impl Curved for Quadratic {
    fn gauss_newton_product(&mut self, _x: &Vec<f64>, v: &Vec<f64>, product: &mut Vec<f64>) -> Result<()> {
        *product = self.eigenvalues.iter().zip(v).map(|(l, v)| self.curvature * l * v).collect();
        Ok(())
    }

    fn curvature(&mut self, x: &Vec<f64>, [u, v]: [&Vec<f64>; 2], _gram: [f64; 3]) -> Result<[f64; 3]> {
        let (mut gu, mut gv) = (Vec::new(), Vec::new());
        self.gauss_newton_product(x, u, &mut gu)?;
        self.gauss_newton_product(x, v, &mut gv)?;
        self.space.dots([(u, &gu), (u, &gv), (v, &gv)])
    }

    fn refresh_preconditioner(&mut self, _x: &Vec<f64>, _refresh: Refresh) -> Result<()> {
        Ok(())
    }

    fn precondition(&mut self, damping: f64, v: &Vec<f64>, out: &mut Vec<f64>) -> Result<()> {
        *out = self.eigenvalues.iter().zip(v).map(|(l, v)| v / (self.curvature * l + damping)).collect();
        Ok(())
    }

    fn precondition_diagonally(&mut self, damping: f64, v: &Vec<f64>, out: &mut Vec<f64>) -> Result<()> {
        self.precondition(damping, v, out)
    }
}
