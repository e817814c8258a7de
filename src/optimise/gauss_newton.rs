//! Hessian-free Gauss-Newton (Martens, *Deep learning via Hessian-free optimization*, ICML 2010; Martens and
//! Sutskever, *Training deep and recurrent networks with Hessian-free optimization*, 2012).

use super::line_search::{LineSearch, Trial, Verdict, change};
use super::optimiser::{Optimiser, Snapshot, State, named, to_json};
use super::outcome::{Outcome, Rejected, Stop};
use super::point::{Lowest, Point};
use super::problem::{Calls, Curved, Evaluated, Problem, Refresh, Vector, most_affordable, unaffordable};
use super::space::Space;
use super::truncated_cg::{Equations, Preconditioner, TruncatedCg};
use crate::error::Result;
use serde::{Deserialize, Serialize};
use std::mem::swap;

/// How much of the last solution the next one starts from.
const WARM_START: f64 = 0.95;

/// Rejections in a row, each with more damping, after which no step will do.
const MAX_REJECTIONS: usize = 10;

/// The choices of [`GaussNewton`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GaussNewtonSettings {
    /// λ of the first step. Later ones adapt it: a factor of 3/2 or 2/3 by the worth of the model, 10 after a
    /// rejection.
    pub damping: f64,
    /// λ does not fall below this. Added to curvatures of order one in f32, a smaller one would do nothing, and be long
    /// in growing back.
    pub least_damping: f64,
    /// The most iterations of conjugate gradients in one step.
    pub iterations: usize,
    /// What speeds them up.
    pub preconditioner: Preconditioner,
    /// The search along the step found, from its full length down. With c₂ = 1 it goes further only where the loss
    /// falls ever more steeply.
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

impl GaussNewtonSettings {
    /// What it takes to start.
    pub(super) const START: Calls = Calls { vectors: 1, ..Calls::of_evaluations(1) };

    /// What trials take, at most: two terms and two products each, and the terms of the one that is gone back to.
    fn trials(evaluations: usize) -> Calls {
        Calls { vectors: evaluations.saturating_mul(4).saturating_add(2), ..Calls::of_evaluations(evaluations) }
    }

    /// What a step takes with so many evaluations and iterations of conjugate gradients, at most.
    pub(super) fn step(&self, evaluations: usize, iterations: usize) -> Calls {
        let solutions = iterations.saturating_add(1);
        let preconditions = if self.preconditioner == Preconditioner::None { 0 } else { solutions };
        let once = preconditions.min(1);
        // the warm start, the residual and the way down the gradient; products, steps and directions of the iterations
        let vectors = iterations.saturating_mul(13).saturating_add(13);
        let solve = Calls {
            products: solutions,
            refreshes: once,
            preconditions,
            inversions: once,
            vectors,
            ..Calls::default()
        };
        solve + Self::trials(evaluations)
    }
}

/// Steps that solve (G + λI)s = −g, λ by Levenberg and Marquardt. Holds ten vectors and an iterate for each
/// ⌈1.3ʲ⌉ up to the iterations of a step: fourteen of them for 50.
pub struct GaussNewton<P: Curved> {
    settings: GaussNewtonSettings,
    point: Point<P>,
    /// s, the last solution.
    solution: Vector<P>,
    memory: GaussNewtonMemory,
    cg: TruncatedCg<Vector<P>>,
    // x and g at a trial point, and g at the best of them
    trial_parameters: Vector<P>,
    trial_gradient: Vector<P>,
    best_gradient: Vector<P>,
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

impl<P: Curved> GaussNewton<P> {
    /// Starts at x, with one evaluation of the problem there. A step down the gradient, where there is no other, is
    /// tried as long as `step_norm`, where there is a guess.
    ///
    /// # Errors
    /// What the problem reports; so for the others.
    pub fn new(problem: &mut P, x: Vector<P>, step_norm: Option<f64>, settings: GaussNewtonSettings) -> Result<Self> {
        let point = Point::start(problem, x)?;
        let step_norm = step_norm.unwrap_or(f64::min(1.0, point.gradient_norm));
        let lowest = Lowest::at(&point);
        let memory = GaussNewtonMemory { damping: settings.damping, rejections: 0, step_norm, lowest };
        let solution = problem.space().zeros()?;
        Self::at(problem, settings, point, solution, memory)
    }

    /// Goes on from a saved state of the same problem.
    ///
    /// # Errors
    /// [`Error::Data`](crate::error::Error::Data) when it is another method's.
    pub fn resume(problem: &P, state: &State<Vector<P>>, settings: GaussNewtonSettings) -> Result<Self> {
        Self::at(problem, settings, Point::resume(state)?, state.vector("solution")?, state.numbers()?)
    }

    fn at(
        problem: &P,
        settings: GaussNewtonSettings,
        point: Point<P>,
        solution: Vector<P>,
        memory: GaussNewtonMemory,
    ) -> Result<Self> {
        let space = problem.space();
        Ok(Self {
            settings,
            point,
            solution,
            memory,
            cg: TruncatedCg::new(space)?,
            trial_parameters: space.zeros()?,
            trial_gradient: space.zeros()?,
            best_gradient: space.zeros()?,
        })
    }

    /// Iterations of conjugate gradients in the next step: as many as are paid for beside two evaluations, or beside
    /// the one that there has to be.
    fn iterations(&self, problem: &P) -> Option<usize> {
        let (settings, iterations) = (self.settings, self.settings.iterations);
        let most = |evaluations| {
            let work = |iterations| settings.step(evaluations, iterations);
            most_affordable(problem, iterations, work).filter(|&most| most >= iterations.min(1))
        };
        most(2).or_else(|| most(1))
    }

    /// So many iterates of conjugate gradients towards the solution of the damped equations, at most; where none is
    /// downhill, a step down the gradient.
    fn solve(&mut self, problem: &mut P, iterations: usize, outcome: &mut Outcome) -> Result<()> {
        let Self { settings, point, solution, memory, cg, .. } = self;
        let (x, g) = (&point.parameters, &point.gradient);
        let preconditioner = settings.preconditioner;
        if preconditioner != Preconditioner::None {
            problem.refresh_preconditioner(x, Refresh::anew(point.iteration))?;
        }
        problem.space().axpby(0.0, g, WARM_START, solution)?;
        let equations = Equations { x, g, damping: memory.damping, preconditioner };
        outcome.inner_iterations = cg.solve(problem, &equations, iterations, solution)?;
        if cg.iterates.is_empty() {
            cg.steepest(problem.space(), g, point.gradient_norm.powi(2), memory.step_norm / point.gradient_norm)?;
            problem.space().axpby(0.0, g, 0.0, solution)?;
            outcome.restarted = true;
        }
        Ok(())
    }

    /// Evaluates from the last iterate back, as long as the loss falls: the best of them and its trial, whose gradient
    /// is left in `best_gradient`.
    fn best_iterate(&mut self, problem: &mut P, outcome: &mut Outcome) -> Result<BestIterate<P>> {
        let Self { settings, point, cg, .. } = self;
        let (trial_x, trial_g) = (&mut self.trial_parameters, &mut self.trial_gradient);
        let noise = settings.line_search.noise * point.loss.abs();
        let mut best: Option<BestIterate<P>> = None;
        for (index, iterate) in cg.iterates.iter().enumerate().rev() {
            let start = Trial { step: 0.0, loss: point.loss, slope: iterate.slope };
            let tried = evaluate(problem, (&point.parameters, &iterate.step, 1.0), (trial_x, trial_g))?;
            outcome.evaluations += 1;
            let trial = tried.trial;
            let change = if trial.is_finite() { change(&start, &trial, noise) } else { f64::INFINITY };
            if best.as_ref().is_some_and(|best| change >= best.change) {
                break;
            }
            swap(trial_g, &mut self.best_gradient);
            best = Some(BestIterate { index, tried, change });
            if unaffordable(problem, GaussNewtonSettings::trials(1)).is_some() {
                break;
            }
        }
        Ok(best.expect("one iterate at least"))
    }
}

/// The iterate whose full step lowers the loss most.
struct BestIterate<P: Problem> {
    /// Its place among the iterates.
    index: usize,
    tried: Tried<P>,
    /// How the loss changes.
    change: f64,
}

/// A point that was evaluated.
struct Tried<P: Problem> {
    trial: Trial,
    /// ‖∇f‖²
    gg: f64,
    evaluation: P::Evaluation,
}

/// f at x + αs: the trial and ‖∇f‖² there, with x and ∇f left in the vectors given.
fn evaluate<P: Problem>(
    problem: &mut P,
    (x, step, alpha): (&Vector<P>, &Vector<P>, f64),
    (trial_x, trial_g): (&mut Vector<P>, &mut Vector<P>),
) -> Result<Tried<P>> {
    problem.space().combine(&[(1.0, x), (alpha, step)], trial_x)?;
    let evaluation = problem.loss_and_gradient(trial_x, trial_g)?;
    let [slope, gg] = problem.space().dots([(trial_g, step), (trial_g, trial_g)])?;
    Ok(Tried { trial: Trial { step: alpha, loss: evaluation.loss(), slope }, gg, evaluation })
}

impl GaussNewtonMemory {
    /// More damping, and a shorter step down the gradient.
    fn reject(&mut self) {
        self.damping *= 10.0;
        self.rejections += 1;
        self.step_norm *= 0.1;
    }

    /// λ by the worth of the model (Levenberg and Marquardt).
    fn adapt(&mut self, rho: f64, least_damping: f64) {
        if rho > 0.75 {
            self.damping = f64::max(self.damping / 1.5, least_damping);
        } else if rho < 0.25 || rho.is_nan() {
            self.damping *= 1.5;
        }
    }
}

impl<P: Curved> Optimiser<P> for GaussNewton<P> {
    fn step(&mut self, problem: &mut P) -> Result<Outcome> {
        let damping = self.memory.damping;
        let before = self.point.before_step(self.settings.gradient_tolerance);
        let mut outcome = Outcome { damping: Some(damping), ..before };
        outcome.stop = outcome.stop.or(self.memory.lowest.stop());
        if outcome.stop.is_some() {
            return Ok(outcome);
        }
        let Some(iterations) = self.iterations(problem) else {
            return Ok(Outcome { stop: Some(Stop::Unaffordable), ..outcome });
        };
        self.solve(problem, iterations, &mut outcome)?;
        let BestIterate { index, tried, change } = self.best_iterate(problem, &mut outcome)?;

        let Self { settings, point, memory, cg, .. } = self;
        let (trial_x, trial_g) = (&mut self.trial_parameters, &mut self.trial_gradient);
        let (x, iterate, trial) = (&point.parameters, &cg.iterates[index], tried.trial);
        let rho = change / (iterate.model - 0.5 * damping * iterate.norm2); // of the model without damping
        let (mut is_known, mut last) = (true, tried);
        let most = 1 + settings.line_search.most(problem, GaussNewtonSettings::trials);
        let found = settings.line_search.search(most, (point.loss, iterate.slope), 1.0, |alpha| {
            if is_known {
                problem.space().combine(&[(1.0, x), (alpha, &iterate.step)], trial_x)?;
                swap(trial_g, &mut self.best_gradient);
                is_known = false;
            } else {
                last = evaluate(problem, (x, &iterate.step, alpha), (trial_x, trial_g))?;
            }
            Ok((last.trial.loss, last.trial.slope))
        })?;
        outcome.evaluations += found.evaluations - 1;
        outcome.rho = rho.is_finite().then_some(rho);

        if found.verdict == Verdict::Failed {
            memory.reject();
            outcome.rejected = Some(if trial.is_finite() { Rejected::NotLower } else { Rejected::NotFinite });
            if memory.rejections >= MAX_REJECTIONS {
                outcome.stop = Some(Stop::LineSearchFailed);
                return Ok(outcome);
            }
            point.iteration += 1;
            return Ok(outcome);
        }
        memory.adapt(rho, settings.least_damping);

        let Trial { step: alpha, loss, .. } = found.trial;
        point.move_to((trial_x, trial_g), last.evaluation, last.gg.sqrt());
        (memory.rejections, memory.step_norm) = (0, alpha * iterate.norm2.sqrt());
        memory.lowest.note(point);
        Ok(Outcome {
            loss,
            gradient_norm: point.gradient_norm,
            step_norm: memory.step_norm,
            step_length: alpha,
            ..outcome
        })
    }

    fn snapshot(&self) -> Snapshot<'_, P> {
        self.point.snapshot()
    }

    fn memory(&self) -> (Vec<(String, Vector<P>)>, String) {
        (named([("gradient", &self.point.gradient), ("solution", &self.solution)]), to_json(&self.memory))
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
        assert_eq!(method.memory.damping, 1e-3 / 1.5);
        Ok(())
    }

    #[test]
    fn damping_follows_the_worth_of_the_model() -> Result<()> {
        for (curvature, factor) in [(1.0, 1.0 / 1.5), (0.55, 1.5)] {
            let mut problem = Quadratic { curvature, ..Quadratic::new(&[1.0, 10.0, 100.0]) };
            let mut method = GaussNewton::new(&mut problem, vec![1.0, -1.0, 2.0], None, settings())?;
            let outcome = method.step(&mut problem)?;
            assert!(outcome.rejected.is_none(), "{outcome:?}");
            assert_eq!(method.memory.damping, factor * 1e-3, "{outcome:?}");
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
            assert!((method.memory.damping / damping - 1.0).abs() < 1e-12, "{}", method.memory.damping);
            assert_eq!(outcome.stop, (rejections == MAX_REJECTIONS).then_some(Stop::LineSearchFailed));
            assert_eq!(method.point.parameters, [1.0, -1.0]);
        }
        Ok(())
    }
}
