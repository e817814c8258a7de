//! K-FAC with exact step lengths and momentum on one subset: the direction of the Kronecker factors and the previous
//! step span a plane, in which the damped Gauss-Newton model is minimised exactly (Martens and Grosse, *Optimizing
//! neural networks with Kronecker-factored approximate curvature*, 2015, arXiv 1503.05671, sections 6 and 7).

use super::line_search::{NOISE, Trial, change};
use super::optimiser::{Optimiser, Snapshot, State, named, to_json};
use super::outcome::{Outcome, Rejected, Stop};
use super::point::{Lowest, Point};
use super::problem::{Calls, Curved, Evaluated, Refresh, Vector};
use super::space::Space;
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// Rejections in a row, each with more damping, after which no step will do.
const MAX_REJECTIONS: usize = 8;

/// The choices of [`Kfac`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KfacSettings {
    /// λ of the first step; later ones adapt it to how good the model was.
    pub damping: f64,
    /// λ does not fall below this.
    pub least_damping: f64,
    /// The factors are refreshed before each of the first so many iterations …
    pub first_refreshes: u64,
    /// … and then before every so many.
    pub refresh_every: u64,
    /// Stop once ‖g‖ is no larger. By default 0: only where the gradient vanishes.
    pub gradient_tolerance: f64,
}

impl Default for KfacSettings {
    fn default() -> Self {
        Self { damping: 0.01, least_damping: 1e-8, first_refreshes: 4, refresh_every: 5, gradient_tolerance: 0.0 }
    }
}

impl KfacSettings {
    /// What it takes to start.
    pub(super) const START: Calls = Calls { vectors: 1, ..Calls::of_evaluations(1) };

    /// What a step takes where no refresh is due, at most: the terms of the trial, eight products and the last step.
    pub(super) const STEP: Calls =
        Calls { planes: 1, preconditions: 1, inversions: 1, vectors: 13, ..Calls::of_evaluations(1) };
}

/// K-FAC with momentum. Holds seven vectors besides the factors.
pub struct Kfac<P: Curved> {
    settings: KfacSettings,
    point: Point<P>,
    /// The last step.
    momentum: Vector<P>,
    memory: KfacMemory,
    direction: Vector<P>,
    // x and g at the trial point
    trial_parameters: Vector<P>,
    trial_gradient: Vector<P>,
}

/// What earlier steps taught.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct KfacMemory {
    /// λ.
    damping: f64,
    /// Since the last step that was taken.
    rejections: usize,
    /// Iteration of the last refresh of the factors.
    refreshed: Option<u64>,
    lowest: Lowest,
}

impl<P: Curved> Kfac<P> {
    /// Starts at x, with one evaluation of the problem there. The λ and the last step are those of `before`, if that is
    /// K-FAC's state on a problem much like this one; an λ above that of the settings only says that it found no lower
    /// loss there.
    ///
    /// # Errors
    /// What the problem reports, and those of [`Kfac::resume`]; so for the others.
    pub fn new(
        problem: &mut P,
        x: Vector<P>,
        before: Option<&State<Vector<P>>>,
        settings: KfacSettings,
    ) -> Result<Self> {
        let point = Point::start(problem, x)?;
        let (damping, momentum) = match before {
            Some(before) => {
                let known: KfacMemory = before.numbers()?;
                (settings.damping.min(known.damping), before.vector("momentum")?)
            }
            None => (settings.damping, problem.space().zeros()?),
        };
        let memory = KfacMemory { damping, rejections: 0, refreshed: None, lowest: Lowest::at(&point) };
        Self::at(problem, settings, point, momentum, memory)
    }

    /// Goes on from a saved state of the same problem, which remembers the factors.
    ///
    /// # Errors
    /// [`Error::Data`](crate::error::Error::Data) when it is another method's.
    pub fn resume(problem: &P, state: &State<Vector<P>>, settings: KfacSettings) -> Result<Self> {
        Self::at(problem, settings, Point::resume(state)?, state.vector("momentum")?, state.numbers()?)
    }

    fn at(
        problem: &P,
        settings: KfacSettings,
        point: Point<P>,
        momentum: Vector<P>,
        memory: KfacMemory,
    ) -> Result<Self> {
        let space = problem.space();
        Ok(Self {
            settings,
            point,
            momentum,
            memory,
            direction: space.zeros()?,
            trial_parameters: space.zeros()?,
            trial_gradient: space.zeros()?,
        })
    }

    /// Whether the factors are to be refreshed before the next step.
    fn is_refresh_due(&self) -> bool {
        let KfacSettings { first_refreshes, refresh_every, .. } = self.settings;
        let iteration = self.point.iteration;
        match self.memory.refreshed {
            None => true,
            Some(last) if last == iteration => false,
            Some(last) => iteration < first_refreshes || iteration >= last.saturating_add(refresh_every),
        }
    }

    /// What the next step takes, at most.
    fn next(&self) -> Calls {
        Calls { refreshes: usize::from(self.is_refresh_due()), ..KfacSettings::STEP }
    }

    /// Refreshes the factors where that is due.
    fn refresh(&mut self, problem: &mut P) -> Result<()> {
        if self.is_refresh_due() {
            let iteration = self.point.iteration;
            self.memory.refreshed = Some(iteration);
            problem.refresh_preconditioner(&self.point.parameters, Refresh::anew(iteration))?;
        }
        Ok(())
    }

    /// The step a d + b p that minimises the model in the plane of the direction d = −K⁻¹g and the last step p.
    fn plan(&mut self, problem: &mut P) -> Result<PlannedStep> {
        let damping = self.memory.damping;
        let Self { point, momentum: p, direction: d, .. } = self;
        let (x, g) = (&point.parameters, &point.gradient);
        problem.precondition(damping, g, d)?;

        // the model g·s + ½ sᵀGs of s = a d + b p, minimised with λ added to G
        let [gd, gp, dd, dp, pp] = problem.space().dots([(g, d), (g, p), (d, d), (d, p), (p, p)])?;
        let [gdd, gdp, gpp] = problem.curvature(x, [d, p], [dd, dp, pp])?;
        let (a, b) = minimise_in_plane([gd, gp], [gdd + damping * dd, gdp + damping * dp, gpp + damping * pp]);
        let slope = a * gd + b * gp;
        let model = slope + 0.5 * (a * a * gdd + 2.0 * a * b * gdp + b * b * gpp);
        let norm = (a * a * dd + 2.0 * a * b * dp + b * b * pp).max(0.0).sqrt();
        Ok(PlannedStep { a, b, slope, model, norm })
    }

    /// Evaluates the planned step and judges it: what was found and ‖∇f‖ there, if it is to be taken.
    fn try_step(
        &mut self,
        problem: &mut P,
        step: &PlannedStep,
        outcome: &mut Outcome,
    ) -> Result<Option<(P::Evaluation, f64)>> {
        let PlannedStep { a, b, slope, model, .. } = *step;
        if !(slope < 0.0 && model < 0.0) {
            let rejected = if slope.is_finite() { Rejected::NotDownhill } else { Rejected::NotFinite };
            outcome.rejected = Some(rejected);
            return Ok(None);
        }
        let Self { point, momentum: p, direction: d, .. } = self;
        problem.space().combine(&[(1.0, &point.parameters), (a, d), (b, p)], &mut self.trial_parameters)?;
        let evaluation = problem.loss_and_gradient(&self.trial_parameters, &mut self.trial_gradient)?;
        let loss = evaluation.loss();
        outcome.evaluations += 1;
        let t = &self.trial_gradient;
        let [td, tp, tt] = problem.space().dots([(t, d), (t, p), (t, t)])?;
        let start = Trial { step: 0.0, loss: point.loss, slope };
        let trial = Trial { step: 1.0, loss, slope: a * td + b * tp };
        if loss.is_finite() && tt.is_finite() {
            let change = change(&start, &trial, NOISE * point.loss.abs());
            outcome.rho = Some(change / model);
            outcome.rejected = (change >= 0.0 || loss > point.loss * (1.0 + NOISE)).then_some(Rejected::NotLower);
        } else {
            outcome.rejected = Some(Rejected::NotFinite);
        }
        Ok(outcome.rejected.is_none().then_some((evaluation, tt.sqrt())))
    }
}

/// A step a d + b p, with what the quadratic model says of it.
struct PlannedStep {
    a: f64,
    b: f64,
    /// gᵀs
    slope: f64,
    /// gᵀs + ½ sᵀGs
    model: f64,
    /// ‖s‖
    norm: f64,
}

impl KfacMemory {
    /// λ after a step that was not taken: by 4, then 16, 64 …
    fn reject(&mut self) {
        self.rejections += 1;
        self.damping *= 4f64.powi(self.rejections as i32);
    }

    /// λ after a step that was, by how good the model was.
    fn adapt(&mut self, rho: f64, least_damping: f64) {
        self.rejections = 0;
        self.damping *= match rho {
            rho if rho > 0.9 => 0.36,
            rho if rho > 0.7 => 0.6,
            rho if rho < 0.3 => 2.0,
            _ => 1.0,
        };
        self.damping = self.damping.max(least_damping);
    }
}

/// The minimiser (a, b) of a gᵀd + b gᵀp + ½ (a² dᵀBd + 2ab dᵀBp + b² pᵀBp); b = 0 where p adds nothing.
fn minimise_in_plane([gd, gp]: [f64; 2], [dd, dp, pp]: [f64; 3]) -> (f64, f64) {
    let determinant = dd * pp - dp * dp;
    if determinant > 1e-6 * dd * pp {
        ((dp * gp - pp * gd) / determinant, (dp * gd - dd * gp) / determinant)
    } else {
        (-gd / dd, 0.0)
    }
}

impl<P: Curved> Optimiser<P> for Kfac<P> {
    fn step(&mut self, problem: &mut P) -> Result<Outcome> {
        let before = self.point.before_step(self.settings.gradient_tolerance);
        let mut outcome = Outcome { damping: Some(self.memory.damping), ..before };
        outcome.stop = outcome.stop.or(self.memory.lowest.stop());
        outcome.stop = outcome.stop.or((!problem.affords(self.next())).then_some(Stop::Unaffordable));
        if outcome.stop.is_some() {
            return Ok(outcome);
        }
        self.refresh(problem)?;
        let step = self.plan(problem)?;
        (outcome.step_length, outcome.step_norm) = (step.a, step.norm);
        let taken = self.try_step(problem, &step, &mut outcome)?;

        let Self { settings, point, momentum: p, direction: d, memory, .. } = self;
        let Some((evaluation, gradient_norm)) = taken else {
            memory.reject();
            problem.space().axpby(0.0, &point.gradient, 0.0, p)?; // forget the step that led here
            outcome.step_norm = 0.0;
            if memory.rejections >= MAX_REJECTIONS {
                outcome.stop = Some(Stop::LineSearchFailed);
            } else {
                point.iteration += 1;
            }
            return Ok(outcome);
        };
        memory.adapt(outcome.rho.unwrap_or(0.0), settings.least_damping);
        problem.space().axpby(step.a, d, step.b, p)?;
        point.move_to((&mut self.trial_parameters, &mut self.trial_gradient), evaluation, gradient_norm);
        memory.lowest.note(point);
        Ok(Outcome { loss: point.loss, gradient_norm, ..outcome })
    }

    fn snapshot(&self) -> Snapshot<'_, P> {
        self.point.snapshot()
    }

    fn memory(&self) -> (Vec<(String, Vector<P>)>, String) {
        let Self { point, momentum, .. } = self;
        (named([("gradient", &point.gradient), ("momentum", momentum)]), to_json(&self.memory))
    }
}

#[cfg(test)]
mod tests {
    use super::super::quadratic::Quadratic;
    use super::*;

    const START: [f64; 3] = [1.0, -1.0, 2.0];

    #[test]
    fn what_one_problem_taught_the_next_takes_over() -> Result<()> {
        let mut problem = Quadratic::new(&[1.0, 10.0, 100.0]);
        let mut first = Kfac::new(&mut problem, START.to_vec(), None, KfacSettings::default())?;
        first.step(&mut problem)?;
        let state = first.state();
        let next = Kfac::new(&mut problem, START.to_vec(), Some(&state), KfacSettings::default())?;
        assert_eq!(next.memory.damping, 0.36 * 0.01, "the model was exact");
        assert_eq!(next.momentum, first.momentum);
        assert!(next.momentum.iter().any(|step| *step != 0.0));
        assert_eq!((next.point.iteration, next.memory.refreshed), (0, None));
        Ok(())
    }

    #[test]
    fn the_damping_of_a_problem_without_a_lower_loss_is_not_taken_over() -> Result<()> {
        let mut problem = Quadratic { sign: -1.0, ..Quadratic::new(&[1.0, 10.0]) };
        let mut first = Kfac::new(&mut problem, vec![1.0, -1.0], None, KfacSettings::default())?;
        first.step(&mut problem)?;
        assert_eq!(first.memory.damping, 4.0 * 0.01);
        let state = first.state();
        let next = Kfac::new(&mut problem, vec![1.0, -1.0], Some(&state), KfacSettings::default())?;
        assert_eq!(next.memory.damping, 0.01);
        Ok(())
    }
}
