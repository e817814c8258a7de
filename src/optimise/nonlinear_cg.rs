//! Nonlinear conjugate gradients (Nocedal and Wright, *Numerical Optimization*, 2nd edition, section 5.2).

use super::{LineSearch, Optimiser, Outcome, Problem, Space, Stop, Trial, Vector, Verdict};
use crate::error::Result;
use serde::{Deserialize, Serialize};
use std::mem::swap;

/// A direction is downhill enough if its cosine with the negative gradient exceeds this: above what rounding an f32
/// inner product can fake.
const DOWNHILL: f64 = 1e-6;

/// How much of the old direction the new one keeps, d ← −g + βd.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Beta {
    /// β = max(0, gᵀ(g − g₀) / g₀ᵀg₀), g₀ being the gradient before (Nocedal and Wright, equations 5.44 and 5.45).
    #[default]
    PolakRibierePlus,
    /// Hager and Zhang (SIAM J. Optim. 16(1), 2005, equations 1.3 to 1.6): always downhill if the search is exact enough.
    HagerZhang,
}

/// The choices of [`NonlinearCg`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// The formula for β.
    pub beta: Beta,
    /// The search along the direction.
    pub line_search: LineSearch,
    /// Stop once ‖g‖ is no larger. By default 0: only where the gradient vanishes.
    pub gradient_tolerance: f64,
}

/// All that the next step depends on: save it, and [`NonlinearCg::resume`] goes on bit for bit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State<V> {
    /// x.
    pub parameters: V,
    /// g = ∇f(x).
    pub gradient: V,
    /// d, along which the next step goes.
    pub direction: V,
    /// f(x).
    pub loss: f64,
    /// ‖g‖.
    pub gradient_norm: f64,
    /// α of the last step.
    pub step_length: f64,
    /// gᵀd at the start of the last step.
    pub slope: f64,
    /// Steps taken.
    pub iteration: u64,
}

impl<V> State<V> {
    /// The same state with each vector passed through `convert`: down from the device for a checkpoint, and up again.
    pub fn convert<W>(&self, mut convert: impl FnMut(&V) -> Result<W>) -> Result<State<W>> {
        Ok(State {
            parameters: convert(&self.parameters)?,
            gradient: convert(&self.gradient)?,
            direction: convert(&self.direction)?,
            loss: self.loss,
            gradient_norm: self.gradient_norm,
            step_length: self.step_length,
            slope: self.slope,
            iteration: self.iteration,
        })
    }
}

/// Nonlinear conjugate gradients with restarts. Holds five vectors.
#[derive(Debug)]
pub struct NonlinearCg<V> {
    settings: Settings,
    state: State<V>,
    // x and g at a trial point of the line search
    trial_parameters: V,
    trial_gradient: V,
}

impl<V> NonlinearCg<V> {
    /// Starts at x, with one evaluation of the problem there.
    pub fn new<P>(problem: &mut P, x: V, settings: Settings) -> Result<Self>
    where
        P: Problem<Space: Space<Vector = V>>,
    {
        let mut gradient = problem.space().zeros()?;
        let loss = problem.loss_and_gradient(&x, &mut gradient)?;
        let gradient_norm = problem.space().dot(&gradient, &gradient)?.sqrt();
        let mut direction = problem.space().zeros()?;
        problem.space().axpby(-1.0, &gradient, 0.0, &mut direction)?;
        let state = State {
            parameters: x,
            gradient,
            direction,
            loss,
            gradient_norm,
            step_length: f64::min(1.0, 1.0 / gradient_norm),
            slope: -gradient_norm * gradient_norm,
            iteration: 0,
        };
        Self::resume(problem, state, settings)
    }

    /// Goes on from a saved state of the same problem.
    pub fn resume<P>(problem: &P, state: State<V>, settings: Settings) -> Result<Self>
    where
        P: Problem<Space: Space<Vector = V>>,
    {
        let (trial_parameters, trial_gradient) = (problem.space().zeros()?, problem.space().zeros()?);
        Ok(Self { settings, state, trial_parameters, trial_gradient })
    }

    /// What [`Self::resume`] needs.
    pub fn state(&self) -> &State<V> {
        &self.state
    }
}

impl<P: Problem> Optimiser<P> for NonlinearCg<Vector<P>> {
    fn step(&mut self, problem: &mut P) -> Result<Outcome> {
        let Self { settings, state, trial_parameters, trial_gradient } = self;
        let gg = state.gradient_norm * state.gradient_norm;
        let mut outcome = Outcome {
            loss: state.loss,
            gradient_norm: state.gradient_norm,
            step_norm: 0.0,
            step_length: 0.0,
            evaluations: 0,
            restarted: false,
            stop: None,
        };
        if !(state.loss.is_finite() && state.gradient_norm.is_finite()) {
            outcome.stop = Some(Stop::NotFinite);
            return Ok(outcome);
        }
        if state.gradient_norm <= settings.gradient_tolerance {
            outcome.stop = Some(Stop::Converged);
            return Ok(outcome);
        }

        let State { parameters: x, gradient: g, direction: d, .. } = state;
        loop {
            let [mut slope, mut dd] = problem.space().dots([(g, d), (d, d)])?;
            if !(slope <= -DOWNHILL * (gg * dd).sqrt()) {
                problem.space().axpby(-1.0, g, 0.0, d)?;
                (slope, dd) = (-gg, gg);
                outcome.restarted = true;
            }

            // The loss changes by about as much as in the last step (Nocedal and Wright, section 3.5).
            let first = state.step_length * (state.slope / slope).clamp(0.1, 10.0);
            let mut products = [f64::NAN; 3];
            let found = settings.line_search.search(state.loss, slope, first, |alpha| {
                problem.space().copy(x, trial_parameters)?;
                problem.space().axpby(alpha, d, 1.0, trial_parameters)?;
                let loss = problem.loss_and_gradient(trial_parameters, trial_gradient)?;
                // All that the search and β need, in one round trip.
                let t = &*trial_gradient;
                products = problem.space().dots([(t, d), (t, t), (t, g)])?;
                Ok((loss, products[0]))
            })?;
            outcome.evaluations += found.evaluations;

            if found.verdict == Verdict::Failed {
                if outcome.restarted {
                    outcome.stop = Some(Stop::LineSearchFailed);
                    return Ok(outcome);
                }
                problem.space().axpby(-1.0, g, 0.0, d)?;
                (state.slope, state.step_length) = (-gg, f64::min(1.0, 1e-2 / gg.sqrt()));
                outcome.restarted = true;
                continue;
            }

            let Trial { step: alpha, loss, .. } = found.trial;
            let beta = settings.beta.of(gg, slope, dd, products);
            swap(x, trial_parameters);
            swap(g, trial_gradient);
            problem.space().axpby(-1.0, g, beta, d)?;
            state.loss = loss;
            state.gradient_norm = products[1].sqrt();
            state.step_length = alpha;
            state.slope = slope;
            state.iteration += 1;
            outcome.loss = loss;
            outcome.gradient_norm = state.gradient_norm;
            outcome.step_norm = alpha * dd.sqrt();
            outcome.step_length = alpha;
            return Ok(outcome);
        }
    }

    fn parameters(&self) -> &Vector<P> {
        &self.state.parameters
    }

    fn loss(&self) -> f64 {
        self.state.loss
    }

    fn gradient_norm(&self) -> f64 {
        self.state.gradient_norm
    }
}

impl Beta {
    /// β from g₀ᵀg₀, g₀ᵀd, dᵀd before the step and (gᵀd, gᵀg, gᵀg₀) after it.
    fn of(self, gg0: f64, slope: f64, dd: f64, [gd, gg, gg01]: [f64; 3]) -> f64 {
        let gy = gg - gg01; // y = g − g₀
        match self {
            Self::PolakRibierePlus => f64::max(0.0, gy / gg0),
            Self::HagerZhang => {
                let (dy, yy) = (gd - slope, gg - 2.0 * gg01 + gg0);
                let beta = if dy > 0.0 { (gy - 2.0 * yy * gd / dy) / dy } else { 0.0 };
                let eta = -1.0 / (dd.sqrt() * f64::min(0.01, gg0.sqrt()));
                beta.max(eta)
            }
        }
    }
}
