//! Hessian-free Gauss-Newton (Martens, *Deep learning via Hessian-free optimization*, ICML 2010; Martens and
//! Sutskever, *BatchPlan deep and recurrent networks with Hessian-free optimization*, 2012).

use super::line_search::change;
use super::truncated_cg::{Equations, TruncatedCg};
use super::{
    Curved, LineSearch, Look, Lowest, Optimiser, Outcome, Point, Problem, Rejected, Snapshot, Space, State, Stop,
    Trial, Vector, Verdict, named, to_json,
};
use crate::error::Result;
use serde::{Deserialize, Serialize};
use std::mem::swap;

/// How much of the last solution the next one starts from.
const WARM_START: f64 = 0.95;

/// Rejections in a row, each with more damping, after which no step will do.
const MAX_REJECTIONS: usize = 10;

/// What speeds up the inner iteration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preconditioner {
    /// Nothing.
    #[default]
    None,
    /// [`Curved::precondition`], from a new look at every step: a look is cheap next to the inner iteration, and a resumed
    /// run needs no older one.
    Kronecker,
    /// The same with the diagonal of the factors alone.
    Diagonal,
}

/// The choices of [`GaussNewton`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct GaussNewtonSettings {
    /// λ of the first step. Later ones adapt it: a factor of 3/2 or 2/3 by the worth of the model, 10 after a rejection.
    pub damping: f64,
    /// λ does not fall below this. Added to curvatures of order one in f32, a smaller one would do nothing, and be long in
    /// growing back.
    pub least_damping: f64,
    /// The most iterations of conjugate gradients in one step.
    pub iterations: usize,
    /// What speeds them up.
    pub preconditioner: Preconditioner,
    /// The search along the step found, from its full length down. With c₂ = 1 it goes further only where the loss falls
    /// ever more steeply.
    pub line_search: LineSearch,
    /// Stop once ‖g‖ is no larger. By default 0: only where the gradient vanishes.
    pub gradient_tolerance: f64,
}

impl Default for GaussNewtonSettings {
    fn default() -> Self {
        let line_search = LineSearch { curvature: 1.0, ..LineSearch::default() };
        let preconditioner = Preconditioner::None;
        Self { damping: 0.1, least_damping: 1e-8, iterations: 50, preconditioner, line_search, gradient_tolerance: 0.0 }
    }
}

/// Steps that solve (G + λI)s = −g, λ by Levenberg and Marquardt. Holds ten vectors and an iterate for each
/// ⌈1.3ʲ⌉ up to the iterations of a step: fourteen of them for 50.
#[derive(Debug)]
pub struct GaussNewton<V> {
    settings: GaussNewtonSettings,
    point: Point<V>,
    /// s, the last solution.
    solution: V,
    known: GaussNewtonMemory,
    cg: TruncatedCg<V>,
    // x and g at a trial point, and g at the best of them
    trial_parameters: V,
    trial_gradient: V,
    best_gradient: V,
}

/// What earlier steps taught.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct GaussNewtonMemory {
    /// λ.
    damping: f64,
    /// Since the last step that was taken.
    rejections: usize,
    /// ‖x − x₀‖ of the last step, and the first try of one down the gradient.
    step_norm: f64,
    lowest: Lowest,
}

impl<V: Clone> GaussNewton<V> {
    /// Starts at x, with one evaluation of the problem there. A step down the gradient, where there is no other, is tried as
    /// long as `step_norm`, where there is a guess.
    ///
    /// # Errors
    /// What the problem reports; so for the others.
    pub fn new<P>(problem: &mut P, x: V, step_norm: Option<f64>, settings: GaussNewtonSettings) -> Result<Self>
    where
        P: Problem<Space: Space<Vector = V>>,
    {
        let point = Point::start(problem, x)?;
        let step_norm = step_norm.unwrap_or(f64::min(1.0, point.gradient_norm));
        let known =
            GaussNewtonMemory { damping: settings.damping, rejections: 0, step_norm, lowest: Lowest::at(&point) };
        let solution = problem.space().zeros()?;
        Self::at(problem, settings, point, solution, known)
    }

    /// Goes on from a saved state of the same problem.
    ///
    /// # Errors
    /// [`Error::Data`](crate::error::Error::Data) when it is another method's.
    pub fn resume<P>(problem: &P, state: &State<V>, settings: GaussNewtonSettings) -> Result<Self>
    where
        P: Problem<Space: Space<Vector = V>>,
    {
        Self::at(problem, settings, Point::resume(state)?, state.vector("solution")?, state.numbers()?)
    }

    fn at<P>(
        problem: &P,
        settings: GaussNewtonSettings,
        point: Point<V>,
        solution: V,
        known: GaussNewtonMemory,
    ) -> Result<Self>
    where
        P: Problem<Space: Space<Vector = V>>,
    {
        let space = problem.space();
        Ok(Self {
            settings,
            point,
            solution,
            known,
            cg: TruncatedCg::new(space)?,
            trial_parameters: space.zeros()?,
            trial_gradient: space.zeros()?,
            best_gradient: space.zeros()?,
        })
    }
}

/// f at x + αs: the trial and ‖∇f‖² there, with x and ∇f left in the vectors given.
fn evaluate<P: Problem>(
    problem: &mut P,
    (x, step, alpha): (&Vector<P>, &Vector<P>, f64),
    (trial_x, trial_g): (&mut Vector<P>, &mut Vector<P>),
) -> Result<(Trial, f64)> {
    problem.space().combine(&[(1.0, x), (alpha, step)], trial_x)?;
    let loss = problem.loss_and_gradient(trial_x, trial_g)?;
    let [slope, gg] = problem.space().dots([(trial_g, step), (trial_g, trial_g)])?;
    Ok((Trial { step: alpha, loss, slope }, gg))
}

impl<P: Curved> Optimiser<P> for GaussNewton<Vector<P>> {
    fn step(&mut self, problem: &mut P) -> Result<Outcome> {
        let Self { settings, point, solution, known, cg, .. } = self;
        let (trial_x, trial_g) = (&mut self.trial_parameters, &mut self.trial_gradient);
        let damping = known.damping;
        let mut outcome = Outcome { damping: Some(damping), ..point.before_step(settings.gradient_tolerance) };
        outcome.stop = outcome.stop.or(known.lowest.stop());
        if outcome.stop.is_some() {
            return Ok(outcome);
        }
        let (x, g) = (&point.parameters, &point.gradient);

        let preconditioner = settings.preconditioner;
        if preconditioner != Preconditioner::None {
            problem.update_preconditioner(x, Look::anew(point.iteration))?;
        }
        problem.space().axpby(0.0, g, WARM_START, solution)?;
        let equations = Equations { x, g, damping, preconditioner };
        outcome.inner_iterations = cg.solve(problem, &equations, settings.iterations, solution)?;
        if cg.iterates.is_empty() {
            cg.steepest(problem.space(), g, point.gradient_norm.powi(2), known.step_norm / point.gradient_norm)?;
            problem.space().axpby(0.0, g, 0.0, solution)?;
            outcome.restarted = true;
        }

        // From the last iterate back, as long as the loss falls.
        let noise = settings.line_search.noise * point.loss.abs();
        let mut best = None;
        for iterate in cg.iterates.iter().rev() {
            let start = Trial { step: 0.0, loss: point.loss, slope: iterate.slope };
            let (trial, gg) = evaluate(problem, (x, &iterate.step, 1.0), (trial_x, trial_g))?;
            outcome.evaluations += 1;
            let change = if trial.is_finite() { change(&start, &trial, noise) } else { f64::INFINITY };
            if best.is_some_and(|(_, _, _, least)| change >= least) {
                break;
            }
            swap(trial_g, &mut self.best_gradient);
            best = Some((iterate, trial, gg, change));
        }
        let (iterate, trial, mut gg, change) = best.expect("one iterate at least");

        let rho = change / (iterate.model - 0.5 * damping * iterate.norm2); // of the model without damping
        let mut seen = Some(trial);
        let found = settings.line_search.search(point.loss, iterate.slope, 1.0, |alpha| {
            if let Some(trial) = seen.take() {
                problem.space().combine(&[(1.0, x), (alpha, &iterate.step)], trial_x)?;
                swap(trial_g, &mut self.best_gradient);
                return Ok((trial.loss, trial.slope));
            }
            let (trial, norm2) = evaluate(problem, (x, &iterate.step, alpha), (trial_x, trial_g))?;
            gg = norm2;
            Ok((trial.loss, trial.slope))
        })?;
        outcome.evaluations += found.evaluations - 1;
        outcome.rho = rho.is_finite().then_some(rho);

        if found.verdict == Verdict::Failed {
            *known = GaussNewtonMemory {
                damping: 10.0 * damping,
                rejections: known.rejections + 1,
                step_norm: 0.1 * known.step_norm,
                ..*known
            };
            outcome.rejected = Some(if trial.is_finite() { Rejected::NotLower } else { Rejected::NotFinite });
            if known.rejections >= MAX_REJECTIONS {
                outcome.stop = Some(Stop::LineSearchFailed);
                return Ok(outcome);
            }
            point.iteration += 1;
            return Ok(outcome);
        }
        if rho > 0.75 {
            known.damping = f64::max(known.damping / 1.5, settings.least_damping);
        } else if rho < 0.25 || rho.is_nan() {
            known.damping *= 1.5;
        }

        let Trial { step: alpha, loss, .. } = found.trial;
        point.move_to((trial_x, trial_g), loss, gg.sqrt());
        *known = GaussNewtonMemory { rejections: 0, step_norm: alpha * iterate.norm2.sqrt(), ..*known };
        known.lowest.note(point);
        Ok(Outcome {
            loss,
            gradient_norm: point.gradient_norm,
            step_norm: known.step_norm,
            step_length: alpha,
            ..outcome
        })
    }

    fn snapshot(&self) -> Snapshot<'_, Vector<P>> {
        self.point.snapshot()
    }

    fn memory(&self) -> (Vec<(String, Vector<P>)>, String) {
        (named([("gradient", &self.point.gradient), ("solution", &self.solution)]), to_json(&self.known))
    }
}

#[cfg(test)]
mod tests {
    use super::super::quadratic::Quadratic;
    use super::*;

    fn settings() -> GaussNewtonSettings {
        GaussNewtonSettings { damping: 1e-3, ..GaussNewtonSettings::default() }
    }

    #[test]
    fn the_first_step_on_a_quadratic_all_but_ends_at_its_minimum() -> Result<()> {
        let mut problem = Quadratic::new(&[1.0, 10.0, 100.0]);
        let mut method = GaussNewton::new(&mut problem, vec![1.0, -1.0, 2.0], None, settings())?;
        let outcome = method.step(&mut problem)?;
        assert!(outcome.loss < 1e-5, "{outcome:?}");
        assert!((outcome.rho.unwrap() - 1.0).abs() < 1e-6, "the model is exact: {outcome:?}");
        assert_eq!(method.known.damping, 1e-3 / 1.5);
        Ok(())
    }

    #[test]
    fn damping_follows_the_worth_of_the_model() -> Result<()> {
        for (curvature, factor) in [(1.0, 1.0 / 1.5), (0.55, 1.5)] {
            let mut problem = Quadratic { curvature, ..Quadratic::new(&[1.0, 10.0, 100.0]) };
            let mut method = GaussNewton::new(&mut problem, vec![1.0, -1.0, 2.0], None, settings())?;
            let outcome = method.step(&mut problem)?;
            assert!(outcome.rejected.is_none(), "{outcome:?}");
            assert_eq!(method.known.damping, factor * 1e-3, "{outcome:?}");
        }
        Ok(())
    }

    #[test]
    fn a_gradient_of_the_wrong_sign_is_rejected_with_more_damping_each_time() -> Result<()> {
        let mut problem = Quadratic { sign: -1.0, ..Quadratic::new(&[1.0, 10.0]) };
        let mut method = GaussNewton::new(&mut problem, vec![1.0, -1.0], None, settings())?;
        for rejections in 1..=MAX_REJECTIONS {
            let outcome = method.step(&mut problem)?;
            assert_eq!(outcome.rejected, Some(Rejected::NotLower));
            let damping = 1e-3 * 10f64.powi(rejections as i32);
            assert!((method.known.damping / damping - 1.0).abs() < 1e-12, "{}", method.known.damping);
            assert_eq!(outcome.stop, (rejections == MAX_REJECTIONS).then_some(Stop::LineSearchFailed));
            assert_eq!(method.point.parameters, [1.0, -1.0]);
        }
        Ok(())
    }
}
