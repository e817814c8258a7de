//! K-FAC with exact step lengths and momentum on one subset: the direction of the Kronecker factors and the previous step span a
//! plane, in which the damped Gauss-Newton model is minimised exactly (Martens and Grosse, *Optimizing neural networks with
//! Kronecker-factored approximate curvature*, 2015, arXiv 1503.05671, sections 6 and 7).

use super::line_search::{NOISE, change};
use super::{
    Curved, Look, Lowest, Optimiser, Outcome, Point, Problem, Rejected, Snapshot, Space, State, Stop, Trial, Vector,
    named, to_json,
};
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// Rejections in a row, each with more damping, after which no step will do.
const MAX_REJECTIONS: usize = 8;

/// The choices of [`Kfac`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct KfacSettings {
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

impl Default for KfacSettings {
    fn default() -> Self {
        Self { damping: 0.01, least_damping: 1e-8, first_looks: 4, look_every: 5, gradient_tolerance: 0.0 }
    }
}

/// K-FAC with momentum. Holds seven vectors besides the factors.
#[derive(Debug)]
pub struct Kfac<V> {
    settings: KfacSettings,
    point: Point<V>,
    /// The last step.
    momentum: V,
    known: KfacMemory,
    direction: V,
    // x and g at the trial point
    trial_parameters: V,
    trial_gradient: V,
}

/// What earlier steps taught.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct KfacMemory {
    /// λ.
    damping: f64,
    /// Since the last step that was taken.
    rejections: usize,
    /// Iteration of the last look.
    look: Option<u64>,
    lowest: Lowest,
}

impl<V: Clone> Kfac<V> {
    /// Starts at x, with one evaluation of the problem there. The λ and the last step are those of `before`, if that is K-FAC's state on a
    /// problem much like this one; an λ above that of the settings only says that it found no lower loss there.
    ///
    /// # Errors
    /// What the problem reports, and those of [`Kfac::resume`]; so for the others.
    pub fn new<P>(problem: &mut P, x: V, before: Option<&State<V>>, settings: KfacSettings) -> Result<Self>
    where
        P: Problem<Space: Space<Vector = V>>,
    {
        let point = Point::start(problem, x)?;
        let (damping, momentum) = match before {
            Some(before) => (settings.damping.min(before.numbers::<KfacMemory>()?.damping), before.vector("momentum")?),
            None => (settings.damping, problem.space().zeros()?),
        };
        let known = KfacMemory { damping, rejections: 0, look: None, lowest: Lowest::at(&point) };
        Self::at(problem, settings, point, momentum, known)
    }

    /// Goes on from a saved state of the same problem, which remembers the look.
    ///
    /// # Errors
    /// [`Error::Data`](crate::error::Error::Data) when it is another method's.
    pub fn resume<P>(problem: &P, state: &State<V>, settings: KfacSettings) -> Result<Self>
    where
        P: Problem<Space: Space<Vector = V>>,
    {
        Self::at(problem, settings, Point::resume(state)?, state.vector("momentum")?, state.numbers()?)
    }

    fn at<P>(problem: &P, settings: KfacSettings, point: Point<V>, momentum: V, known: KfacMemory) -> Result<Self>
    where
        P: Problem<Space: Space<Vector = V>>,
    {
        let space = problem.space();
        Ok(Self {
            settings,
            point,
            momentum,
            known,
            direction: space.zeros()?,
            trial_parameters: space.zeros()?,
            trial_gradient: space.zeros()?,
        })
    }

    /// Looks at the factors where that is due.
    fn look<P>(&mut self, problem: &mut P) -> Result<()>
    where
        P: Curved<Space: Space<Vector = V>>,
    {
        let KfacSettings { first_looks, look_every, .. } = self.settings;
        let iteration = self.point.iteration;
        let is_due = match self.known.look {
            None => true,
            Some(look) if look == iteration => false,
            Some(look) => iteration < first_looks || iteration >= look + look_every,
        };
        if is_due {
            self.known.look = Some(iteration);
            problem.update_preconditioner(&self.point.parameters, Look::anew(iteration))?;
        }
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
        let before = self.point.before_step(self.settings.gradient_tolerance);
        let mut outcome = Outcome { damping: Some(damping), ..before };
        outcome.stop = outcome.stop.or(self.known.lowest.stop());
        if outcome.stop.is_some() {
            return Ok(outcome);
        }
        self.look(problem)?;
        let Self { settings, point, momentum: p, direction: d, known, .. } = self;
        let (x, g) = (&point.parameters, &point.gradient);
        problem.precondition(damping, g, d)?;

        // the model g·s + ½ sᵀGs of s = a d + b p, minimised with λ added to G
        let [gd, gp, dd, dp, pp] = problem.space().dots([(g, d), (g, p), (d, d), (d, p), (p, p)])?;
        let [gdd, gdp, gpp] = problem.curvature(x, [d, p], [dd, dp, pp])?;
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
            let start = Trial { step: 0.0, loss: point.loss, slope };
            let trial = Trial { step: 1.0, loss, slope: a * td + b * tp };
            if loss.is_finite() && tt.is_finite() {
                let change = change(&start, &trial, NOISE * point.loss.abs());
                outcome.rho = Some(change / model);
                outcome.rejected = (change >= 0.0 || loss > point.loss * (1.0 + NOISE)).then_some(Rejected::NotLower);
            } else {
                outcome.rejected = Some(Rejected::NotFinite);
            }
            taken = outcome.rejected.is_none().then_some((loss, tt.sqrt()));
        } else {
            outcome.rejected = Some(if slope.is_finite() { Rejected::NotDownhill } else { Rejected::NotFinite });
        }

        let Some((loss, gradient_norm)) = taken else {
            point.iteration += 1;
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
        point.move_to((&mut self.trial_parameters, &mut self.trial_gradient), loss, gradient_norm);
        known.lowest.note(point);
        Ok(Outcome { loss, gradient_norm, ..outcome })
    }

    fn snapshot(&self) -> Snapshot<'_, Vector<P>> {
        self.point.snapshot()
    }

    fn memory(&self) -> (Vec<(String, Vector<P>)>, String) {
        let Self { point, momentum, .. } = self;
        (named([("gradient", &point.gradient), ("momentum", momentum)]), to_json(&self.known))
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
        let state = Optimiser::<Quadratic>::state(&first);
        let next = Kfac::new(&mut problem, START.to_vec(), Some(&state), KfacSettings::default())?;
        assert_eq!(next.known.damping, 0.36 * 0.01, "the model was exact");
        assert_eq!(next.momentum, first.momentum);
        assert!(next.momentum.iter().any(|step| *step != 0.0));
        assert_eq!((next.point.iteration, next.known.look), (0, None));
        Ok(())
    }

    #[test]
    fn the_damping_of_a_problem_without_a_lower_loss_is_not_taken_over() -> Result<()> {
        let mut problem = Quadratic { sign: -1.0, ..Quadratic::new(&[1.0, 10.0]) };
        let mut first = Kfac::new(&mut problem, vec![1.0, -1.0], None, KfacSettings::default())?;
        first.step(&mut problem)?;
        assert_eq!(first.known.damping, 4.0 * 0.01);
        let state = Optimiser::<Quadratic>::state(&first);
        let next = Kfac::new(&mut problem, vec![1.0, -1.0], Some(&state), KfacSettings::default())?;
        assert_eq!(next.known.damping, 0.01);
        Ok(())
    }
}
