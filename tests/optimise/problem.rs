//! What a row of the table is, and how it becomes a problem.

use gpu_subset::error::Result;
use gpu_subset::optimise::{Curved, Euclidean, Problem, Refresh, Space};
use std::rc::Rc;

/// f(x), with ∇f(x) written into the second argument.
pub type Function = Rc<dyn Fn(&[f64], &mut [f64]) -> f64>;

/// Rows of a square matrix.
pub type Matrix = Vec<Vec<f64>>;

/// The Gauss-Newton matrix G(x).
pub type Curvature = Rc<dyn Fn(&[f64]) -> Matrix>;

/// A function as a [`Problem`] that counts.
pub struct Counted {
    pub space: Euclidean,
    pub function: Function,
    pub curvature: Curvature,
    /// The diagonal of G where [`Curved::refresh_preconditioner`] was last.
    pub diagonal: Vec<f64>,
    /// Loss and gradient rounded as if summed in f32 from terms of order one.
    pub single_precision: bool,
    pub evaluations: usize,
    pub products: usize,
    pub not_finite: usize,
}

impl Problem for Counted {
    type Space = Euclidean;
    type Evaluation = f64;

    fn space(&self) -> &Euclidean {
        &self.space
    }

    fn loss_and_gradient(&mut self, x: &Vec<f64>, gradient: &mut Vec<f64>) -> Result<f64> {
        let mut loss = (self.function)(x, gradient);
        if self.single_precision {
            loss = f64::from(loss as f32);
            gradient.iter_mut().for_each(|g| *g = f64::from((*g + 1.0) as f32) - 1.0);
        }
        self.evaluations += 1;
        self.not_finite += usize::from(!loss.is_finite());
        Ok(loss)
    }

    fn memory(&self) -> Vec<(String, Vec<f64>)> {
        vec![("diagonal".to_owned(), self.diagonal.clone())]
    }

    fn remember(&mut self, memory: &[(String, Vec<f64>)]) -> Result<()> {
        self.diagonal.clone_from(&memory[0].1);
        Ok(())
    }
}

impl Curved for Counted {
    fn gauss_newton_product(&mut self, x: &Vec<f64>, v: &Vec<f64>, product: &mut Vec<f64>) -> Result<()> {
        self.products += 1;
        *product = times(&(self.curvature)(x), v);
        Ok(())
    }

    fn curvature(&mut self, x: &Vec<f64>, [u, v]: [&Vec<f64>; 2], _gram: [f64; 3]) -> Result<[f64; 3]> {
        let g = (self.curvature)(x);
        let (gu, gv) = (times(&g, u), times(&g, v));
        self.space.dots([(u, &gu), (u, &gv), (v, &gv)])
    }

    fn refresh_preconditioner(&mut self, x: &Vec<f64>, _refresh: Refresh) -> Result<()> {
        self.diagonal = (self.curvature)(x).iter().enumerate().map(|(i, row)| row[i]).collect();
        Ok(())
    }

    fn precondition_diagonally(&mut self, damping: f64, v: &Vec<f64>, out: &mut Vec<f64>) -> Result<()> {
        self.precondition(damping, v, out)
    }

    fn precondition(&mut self, damping: f64, v: &Vec<f64>, out: &mut Vec<f64>) -> Result<()> {
        *out = v.iter().zip(&self.diagonal).map(|(v, g)| v / (g + damping)).collect();
        Ok(())
    }
}

/// A row of the table.
pub struct Row {
    pub name: &'static str,
    pub start: Vec<f64>,
    pub minimiser: Vec<f64>,
    pub function: Function,
    pub curvature: Curvature,
    /// Whether G is the Hessian at the minimum.
    pub exact: bool,
    /// Solved once f is within this of its minimum …
    pub tolerance: f64,
    /// … and no later than after so many evaluations, by nonlinear CG, L-BFGS, Gauss-Newton and K-FAC.
    pub evaluations: [usize; 4],
    /// ‖∇f‖ at which to stop.
    pub gradient_tolerance: f64,
    /// Whether f is not finite at some of the points a method is expected to try.
    pub has_edge: bool,
    /// Whether f is 0 at its minimum and the Hessian there singular.
    pub vanishes: bool,
}

impl Row {
    pub fn new(
        name: &'static str,
        (start, minimiser): (Vec<f64>, Vec<f64>),
        (tolerance, evaluations): (f64, [usize; 4]),
        function: impl Fn(&[f64], &mut [f64]) -> f64 + 'static,
        curvature: impl Fn(&[f64]) -> Matrix + 'static,
    ) -> Self {
        let (function, curvature) = (Rc::new(function), Rc::new(curvature));
        let (exact, gradient_tolerance, has_edge, vanishes) = (true, 1e-6, false, false);
        Self {
            name,
            start,
            minimiser,
            function,
            curvature,
            exact,
            tolerance,
            evaluations,
            gradient_tolerance,
            has_edge,
            vanishes,
        }
    }

    pub fn with_edge(self) -> Self {
        Self { has_edge: true, ..self }
    }

    pub fn vanishing(self) -> Self {
        Self { vanishes: true, ..self }
    }

    pub fn problem(&self) -> Counted {
        Counted {
            space: Euclidean::new(self.start.len()),
            function: self.function.clone(),
            curvature: self.curvature.clone(),
            diagonal: Vec::new(),
            single_precision: false,
            evaluations: 0,
            products: 0,
            not_finite: 0,
        }
    }

    /// f at the minimum, and the norm of what rounding leaves of the gradient there.
    pub fn minimum(&self) -> (f64, f64) {
        let mut gradient = vec![0.0; self.minimiser.len()];
        let loss = (self.function)(&self.minimiser, &mut gradient);
        (loss, dot(&gradient, &gradient).sqrt())
    }
}

pub fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

/// Av.
pub fn times(a: &Matrix, v: &[f64]) -> Vec<f64> {
    a.iter().map(|row| dot(row, v)).collect()
}

pub fn diagonal(entries: &[f64]) -> Matrix {
    let row = |i| (0..entries.len()).map(|j| if i == j { entries[i] } else { 0.0 }).collect();
    (0..entries.len()).map(row).collect()
}

/// a ← a + c vvᵀ.
pub fn add_outer(a: &mut Matrix, c: f64, v: &[f64]) {
    for (row, vi) in a.iter_mut().zip(v) {
        row.iter_mut().zip(v).for_each(|(entry, vj)| *entry += c * vi * vj);
    }
}

/// G = 2JᵀJ of a sum of squares, from the rows of J.
pub fn of_squares<const N: usize>(jacobian: &[[f64; N]]) -> Matrix {
    let mut matrix = diagonal(&[0.0; N]);
    jacobian.iter().for_each(|row| add_outer(&mut matrix, 2.0, row));
    matrix
}

/// Numbers in [−1, 1) that are as easily made in another language: a linear congruential generator.
pub struct Uniform(pub u64);

impl Uniform {
    pub fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 11) as f64 / 2f64.powi(52) - 1.0
    }
}
