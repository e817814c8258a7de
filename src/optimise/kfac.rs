//! K-FAC with exact step lengths and momentum on one subset: the direction of the Kronecker factors and the previous step span a
//! plane, in which the damped Gauss-Newton model is minimised exactly (Martens and Grosse, *Optimizing neural networks with
//! Kronecker-factored approximate curvature*, 2015, arXiv 1503.05671, sections 6 and 7).

use super::line_search::change;
use super::{
    Curved, Lowest, Optimiser, Outcome, Problem, Rejected, Space, State, Stop, Trial, Vector, stands_still, to_json,
};
use crate::error::Result;
use serde::{Deserialize, Serialize};
use std::mem::swap;

/// Losses closer than this share of the loss cannot be told apart in f32.
const NOISE: f64 = 1e-6;

/// Rejections in a row, each with more damping, after which no step will do.
const MAX_REJECTIONS: usize = 8;

/// The choices of [`Kfac`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// λ of the first step; later ones adapt it to how good the model was.
    pub damping: f64,
    /// λ does not fall below this.
    pub least_damping: f64,
    /// The factors are looked at anew before each of the first so many iterations …
    pub first_looks: u64,
    /// … and then before every so many.
    pub look_every: u64,
    /// Stop once ‖g‖ is no larger. By default 0: only where the gradient vanishes.
    pub gradient_tolerance: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { damping: 0.01, least_damping: 1e-8, first_looks: 4, look_every: 5, gradient_tolerance: 0.0 }
    }
}

/// K-FAC with momentum. Holds seven vectors besides the factors.
#[derive(Debug)]
pub struct Kfac<V> {
    settings: Settings,
    /// x, g = ∇f(x), and the last step.
    parameters: V,
    gradient: V,
    momentum: V,
    /// x at the last look at the factors.
    looked_at: V,
    loss: f64,
    gradient_norm: f64,
    iteration: u64,
    known: Known,
    /// Whether the problem has seen the last look: not after a resumption.
    is_current: bool,
    direction: V,
    // x and g at the trial point
    trial_parameters: V,
    trial_gradient: V,
}

/// What earlier steps taught.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Known {
    /// λ.
    damping: f64,
    /// Since the last step that was taken.
    rejections: usize,
    /// Iteration of the last look.
    look: Option<u64>,
    lowest: Lowest,
}

impl<V: Clone> Kfac<V> {
    /// Starts at x, with one evaluation of the problem there.
    ///
    /// # Errors
    /// What the problem reports; so for the others.
    pub fn new<P>(problem: &mut P, x: V, settings: Settings) -> Result<Self>
    where
        P: Problem<Space: Space<Vector = V>>,
    {
        let space = problem.space();
        let (mut gradient, momentum, looked_at) = (space.zeros()?, space.zeros()?, space.zeros()?);
        let loss = problem.loss_and_gradient(&x, &mut gradient)?;
        let gradient_norm = problem.space().dot(&gradient, &gradient)?.sqrt();
        let lowest = Lowest::new(loss, gradient_norm);
        let known = Known { damping: settings.damping, rejections: 0, look: None, lowest };
        let state = (x, gradient, momentum, looked_at);
        Self::with(problem, settings, state, (loss, gradient_norm, 0), known)
    }

    /// Goes on from a saved state of the same problem.
    ///
    /// # Errors
    /// [`Error::Data`](crate::error::Error::Data) when it is another method's.
    pub fn resume<P>(problem: &P, state: &State<V>, settings: Settings) -> Result<Self>
    where
        P: Problem<Space: Space<Vector = V>>,
    {
        let vectors = (
            state.parameters.clone(),
            state.vector("gradient")?,
            state.vector("momentum")?,
            state.vector("looked at")?,
        );
        Self::with(problem, settings, vectors, (state.loss, state.gradient_norm, state.iteration), state.numbers()?)
    }

    fn with<P>(
        problem: &P,
        settings: Settings,
        (parameters, gradient, momentum, looked_at): (V, V, V, V),
        (loss, gradient_norm, iteration): (f64, f64, u64),
        known: Known,
    ) -> Result<Self>
    where
        P: Problem<Space: Space<Vector = V>>,
    {
        let space = problem.space();
        Ok(Self {
            settings,
            parameters,
            gradient,
            momentum,
            looked_at,
            loss,
            gradient_norm,
            iteration,
            known,
            is_current: false,
            direction: space.zeros()?,
            trial_parameters: space.zeros()?,
            trial_gradient: space.zeros()?,
        })
    }

    /// Looks at the factors where that is due, or again where the last look was before a resumption.
    fn look<P>(&mut self, problem: &mut P) -> Result<()>
    where
        P: Curved<Space: Space<Vector = V>>,
    {
        let Settings { first_looks, look_every, .. } = self.settings;
        let is_due = match self.known.look {
            None => true,
            Some(look) if look == self.iteration => false,
            Some(look) => self.iteration < first_looks || self.iteration >= look + look_every,
        };
        if is_due {
            problem.space().copy(&self.parameters, &mut self.looked_at)?;
            self.known.look = Some(self.iteration);
        }
        let sample = self.known.look.unwrap_or(0);
        if is_due {
            problem.update_preconditioner(&self.looked_at, sample)?;
        } else if !self.is_current {
            problem.repeat_preconditioner(&self.looked_at, sample)?;
        }
        self.is_current = true;
        Ok(())
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

impl<P: Curved> Optimiser<P> for Kfac<Vector<P>> {
    fn step(&mut self, problem: &mut P) -> Result<Outcome> {
        let damping = self.known.damping;
        let mut outcome = Outcome { damping: Some(damping), ..Outcome::before(self.loss, self.gradient_norm) };
        if let Some(stop) = stands_still(self.loss, self.gradient_norm, self.settings.gradient_tolerance) {
            outcome.stop = Some(stop);
            return Ok(outcome);
        }
        if self.known.lowest.is_stuck() {
            outcome.stop = Some(Stop::LineSearchFailed);
            return Ok(outcome);
        }
        self.look(problem)?;
        let Self { settings, parameters: x, gradient: g, momentum: p, direction: d, known, .. } = self;
        problem.precondition(damping, g, d)?;

        // the model g·s + ½ sᵀGs of s = a d + b p, minimised with λ added to G
        let [gdd, gdp, gpp] = problem.curvature(x, [d, p])?;
        let [gd, gp, dd, dp, pp] = problem.space().dots([(g, d), (g, p), (d, d), (d, p), (p, p)])?;
        let (a, b) = minimise_in_plane([gd, gp], [gdd + damping * dd, gdp + damping * dp, gpp + damping * pp]);
        let slope = a * gd + b * gp;
        let model = slope + 0.5 * (a * a * gdd + 2.0 * a * b * gdp + b * b * gpp);
        outcome.step_length = a;
        outcome.step_norm = (a * a * dd + 2.0 * a * b * dp + b * b * pp).max(0.0).sqrt();

        let is_downhill = slope < 0.0 && model < 0.0;
        let mut taken = None;
        if is_downhill {
            problem.space().combine(&[(1.0, x), (a, d), (b, p)], &mut self.trial_parameters)?;
            let loss = problem.loss_and_gradient(&self.trial_parameters, &mut self.trial_gradient)?;
            outcome.evaluations += 1;
            let t = &self.trial_gradient;
            let [td, tp, tt] = problem.space().dots([(t, d), (t, p), (t, t)])?;
            let start = Trial { step: 0.0, loss: self.loss, slope };
            let trial = Trial { step: 1.0, loss, slope: a * td + b * tp };
            if loss.is_finite() && tt.is_finite() {
                let change = change(&start, &trial, NOISE * self.loss.abs());
                outcome.rho = Some(change / model);
                outcome.rejected = (change >= 0.0 || loss > self.loss * (1.0 + NOISE)).then_some(Rejected::NotLower);
            } else {
                outcome.rejected = Some(Rejected::NotFinite);
            }
            taken = outcome.rejected.is_none().then_some((loss, tt.sqrt()));
        } else {
            outcome.rejected = Some(if slope.is_finite() { Rejected::NotDownhill } else { Rejected::NotFinite });
        }

        self.iteration += 1;
        let Some((loss, gradient_norm)) = taken else {
            known.rejections += 1;
            known.damping *= 4f64.powi(known.rejections as i32); // by 4, then 16, 64 …
            problem.space().axpby(0.0, g, 0.0, p)?; // forget the step that led here
            outcome.step_norm = 0.0;
            if known.rejections >= MAX_REJECTIONS {
                outcome.stop = Some(Stop::LineSearchFailed);
            }
            return Ok(outcome);
        };
        known.rejections = 0;
        known.damping *= match outcome.rho.unwrap_or(0.0) {
            rho if rho > 0.9 => 0.36,
            rho if rho > 0.7 => 0.6,
            rho if rho < 0.3 => 2.0,
            _ => 1.0,
        };
        known.damping = known.damping.max(settings.least_damping);
        problem.space().axpby(a, d, b, p)?;
        swap(x, &mut self.trial_parameters);
        swap(g, &mut self.trial_gradient);
        (self.loss, self.gradient_norm) = (loss, gradient_norm);
        known.lowest.note(loss, gradient_norm);
        Ok(Outcome { loss, gradient_norm, ..outcome })
    }

    fn parameters(&self) -> &Vector<P> {
        &self.parameters
    }

    fn loss(&self) -> f64 {
        self.loss
    }

    fn gradient_norm(&self) -> f64 {
        self.gradient_norm
    }

    fn iteration(&self) -> u64 {
        self.iteration
    }

    fn state(&self) -> State<Vector<P>> {
        let vectors = [("gradient", &self.gradient), ("momentum", &self.momentum), ("looked at", &self.looked_at)];
        State {
            parameters: self.parameters.clone(),
            loss: self.loss,
            gradient_norm: self.gradient_norm,
            iteration: self.iteration,
            vectors: vectors.map(|(name, vector)| (name.to_owned(), vector.clone())).into(),
            numbers: to_json(&self.known),
        }
    }
}
