//! Linear conjugate gradients on the damped Gauss-Newton equations, ended early (Martens, *Deep learning via
//! Hessian-free optimization*, ICML 2010, section 4).

use super::line_search::is_downhill;
use super::problem::Curved;
use super::space::Space;
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// What speeds up the inner iteration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preconditioner {
    /// Nothing.
    #[default]
    None,
    /// [`Curved::precondition`], refreshed at every step: a refresh is cheap next to the inner iteration, and a resumed
    /// run needs no older one.
    Kronecker,
    /// The same with the diagonal of the factors alone.
    Diagonal,
}

/// The solver, and the vectors it works in.
#[derive(Debug)]
pub(super) struct TruncatedCg<V> {
    residual: V,
    preconditioned: V,
    direction: V,
    product: V,
    /// Iterates on the way to the last one, which is among them: those at ⌈1.3ʲ⌉, if they are downhill.
    pub(super) iterates: Vec<Iterate<V>>,
    spare: Vec<V>,
}

/// A step, with what the damped model φ(s) = ½ sᵀ(G + λI)s + gᵀs says of it.
#[derive(Debug)]
pub(super) struct Iterate<V> {
    /// s.
    pub(super) step: V,
    /// φ(s); NaN where G is not known.
    pub(super) model: f64,
    /// ‖s‖².
    pub(super) norm2: f64,
    /// gᵀs.
    pub(super) slope: f64,
}

/// (G(x) + λI)s = −g.
pub(super) struct Equations<'a, V> {
    pub(super) x: &'a V,
    pub(super) g: &'a V,
    pub(super) damping: f64,
    pub(super) preconditioner: Preconditioner,
}

impl<V> Equations<'_, V> {
    /// out ← (G + λI)v.
    fn product<P: Curved<Space: Space<Vector = V>>>(&self, problem: &mut P, v: &V, out: &mut V) -> Result<()> {
        problem.gauss_newton_product(self.x, v, out)?;
        problem.space().axpby(self.damping, v, 1.0, out)
    }

    /// out ← M⁻¹v.
    fn precondition<P: Curved<Space: Space<Vector = V>>>(&self, problem: &mut P, v: &V, out: &mut V) -> Result<()> {
        match self.preconditioner {
            Preconditioner::None => problem.space().copy(v, out),
            Preconditioner::Kronecker => problem.precondition(self.damping, v, out),
            Preconditioner::Diagonal => problem.precondition_diagonally(self.damping, v, out),
        }
    }
}

impl<V> TruncatedCg<V> {
    pub(super) fn new(space: &impl Space<Vector = V>) -> Result<Self> {
        Ok(Self {
            residual: space.zeros()?,
            preconditioned: space.zeros()?,
            direction: space.zeros()?,
            product: space.zeros()?,
            iterates: Vec::new(),
            spare: Vec::new(),
        })
    }

    /// Solves from s, for at most so many iterations. Returns the products with G that it took.
    pub(super) fn solve<P>(
        &mut self,
        problem: &mut P,
        equations: &Equations<'_, V>,
        iterations: usize,
        s: &mut V,
    ) -> Result<usize>
    where
        P: Curved<Space: Space<Vector = V>>,
    {
        self.spare.extend(self.iterates.drain(..).map(|iterate| iterate.step));
        let Self { residual: r, preconditioned: z, direction: p, product: ap, .. } = self;
        let g = equations.g;
        equations.product(problem, s, r)?;
        problem.space().axpby(1.0, g, 1.0, r)?;
        equations.precondition(problem, r, z)?;
        problem.space().axpby(-1.0, z, 0.0, p)?;
        let [mut rz, rs, gs, gg] = problem.space().dots([(r, z), (r, s), (g, s), (g, g)])?;
        let mut models = vec![0.5 * (rs + gs)]; // φ(s), since (G + λI)s = r − g
        let mut unkept = None;
        let mut products = 1;
        for i in 1..=iterations {
            equations.product(problem, p, ap)?;
            products += 1;
            let curvature = problem.space().dot(p, ap)?;
            let alpha = rz / curvature;
            if !(curvature > 0.0 && alpha > 0.0 && alpha.is_finite()) {
                break;
            }
            problem.space().axpby(alpha, p, 1.0, s)?;
            problem.space().axpby(alpha, ap, 1.0, r)?;
            equations.precondition(problem, r, z)?;
            let [rz_new, rs, slope, norm2] = problem.space().dots([(r, z), (r, s), (g, s), (s, s)])?;
            let model = 0.5 * (rs + slope);
            models.push(model);
            unkept = is_downhill(slope, gg, norm2).then_some((model, norm2, slope));
            if stalls(&models) {
                break;
            }
            if on_grid(i) {
                keep(problem.space(), s, unkept.take(), &mut self.iterates, &mut self.spare)?;
            }
            problem.space().axpby(-1.0, z, rz_new / rz, p)?;
            rz = rz_new;
        }
        keep(problem.space(), s, unkept, &mut self.iterates, &mut self.spare)?;
        Ok(products)
    }

    /// Makes s = −αg the only iterate.
    pub(super) fn steepest<S: Space<Vector = V>>(&mut self, space: &S, g: &V, gg: f64, alpha: f64) -> Result<()> {
        let facts = Some((f64::NAN, alpha * alpha * gg, -alpha * gg));
        keep(space, g, facts, &mut self.iterates, &mut self.spare)?;
        space.axpby(-alpha, g, 0.0, &mut self.iterates[0].step)
    }
}

/// Copies s to the iterates, if φ(s), ‖s‖² and gᵀs are known.
fn keep<S: Space>(
    space: &S,
    s: &S::Vector,
    facts: Option<(f64, f64, f64)>,
    iterates: &mut Vec<Iterate<S::Vector>>,
    spare: &mut Vec<S::Vector>,
) -> Result<()> {
    let Some((model, norm2, slope)) = facts else { return Ok(()) };
    let mut step = spare.pop().map_or_else(|| space.zeros(), Ok)?;
    space.copy(s, &mut step)?;
    iterates.push(Iterate { step, model, norm2, slope });
    Ok(())
}

/// Martens's end: the last k iterations lowered φ by less than 0.0005 k of it.
fn stalls(models: &[f64]) -> bool {
    let i = models.len() - 1;
    let k = usize::max(10, i.div_ceil(10));
    i > k && models[i] < 0.0 && (models[i] - models[i - k]) / models[i] < 5e-4 * k as f64
}

/// Whether i is ⌈1.3ʲ⌉ for some j.
fn on_grid(i: usize) -> bool {
    (0..).map(|j| 1.3f64.powi(j).ceil() as usize).find(|&n| n >= i) == Some(i)
}

#[cfg(test)]
mod tests {
    use super::super::problem::Problem;
    use super::super::quadratic::Quadratic;
    use super::*;

    const X: [f64; 6] = [1.0, -2.0, 0.5, 3.0, 1.5, -1.0];

    /// Solves from zero; the products, the solution and the solver.
    fn solve(
        problem: &mut Quadratic,
        damping: f64,
        preconditioner: Preconditioner,
        iterations: usize,
    ) -> Result<(usize, Vec<f64>, TruncatedCg<Vec<f64>>)> {
        let (x, mut g) = (X.to_vec(), Vec::new());
        problem.loss_and_gradient(&x, &mut g)?;
        let mut cg = TruncatedCg::new(problem.space())?;
        let equations = Equations { x: &x, g: &g, damping, preconditioner };
        let mut s = vec![0.0; X.len()];
        let products = cg.solve(problem, &equations, iterations, &mut s)?;
        Ok((products, s, cg))
    }

    #[test]
    fn it_ends_at_the_solution_after_as_many_iterations_as_there_are_eigenvalues() -> Result<()> {
        let mut problem = Quadratic::new(&[1.0, 4.0, 9.0, 1.0, 4.0, 9.0]);
        let (products, s, cg) = solve(&mut problem, 0.5, Preconditioner::None, 3)?;
        assert_eq!(products, 4);
        for ((s, l), x) in s.iter().zip(&problem.eigenvalues).zip(X) {
            assert!((s + l * x / (l + 0.5)).abs() < 1e-12, "{s}");
        }
        for Iterate { step, model, norm2, slope } in &cg.iterates {
            let terms = step.iter().zip(&problem.eigenvalues).zip(X);
            let phi: f64 = terms.map(|((s, l), x)| 0.5 * (l + 0.5) * s * s + l * x * s).sum();
            assert!((model - phi).abs() < 1e-12 * phi.abs(), "{model}, not {phi}");
            assert!((norm2 - step.iter().map(|s| s * s).sum::<f64>()).abs() < 1e-12 && *slope < 0.0);
        }
        Ok(())
    }

    #[test]
    fn an_exact_preconditioner_needs_one_iteration() -> Result<()> {
        let mut problem = Quadratic::new(&[1.0, 40.0, 9.0, 0.1, 4.0, 900.0]);
        for preconditioner in [Preconditioner::Kronecker, Preconditioner::Diagonal] {
            let (_, s, cg) = solve(&mut problem, 0.25, preconditioner, 1)?;
            assert_eq!(cg.iterates.len(), 1);
            for ((s, l), x) in s.iter().zip(&problem.eigenvalues).zip(X) {
                assert!((s + l * x / (l + 0.25)).abs() < 1e-10, "{s}");
            }
        }
        Ok(())
    }

    #[test]
    fn iterates_are_kept_on_the_grid_and_at_the_end() {
        let kept: Vec<usize> = (1..30).filter(|&i| on_grid(i)).collect();
        assert_eq!(kept, [1, 2, 3, 4, 5, 7, 9, 11, 14, 18, 24]);
    }

    #[test]
    fn it_stalls_where_ten_iterations_gain_half_a_percent() {
        let falls = |by: f64| -> Vec<f64> { (0..20).map(|i| -1.0 - by * f64::from(i)).collect() };
        assert!(!stalls(&falls(1e-3)) && stalls(&falls(4e-4)));
        assert!(!stalls(&falls(0.0)[..10]), "not before there are more than ten");
        assert!(!stalls(&[1.0; 20]), "nor while the model has not fallen at all");
    }

    #[test]
    fn curvature_that_is_not_positive_ends_it() -> Result<()> {
        let mut problem = Quadratic { curvature: -1.0, ..Quadratic::new(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]) };
        let (products, s, cg) = solve(&mut problem, 0.5, Preconditioner::None, 5)?;
        assert_eq!((products, s, cg.iterates.len()), (2, vec![0.0; X.len()], 0));
        Ok(())
    }
}
