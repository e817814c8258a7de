//! The search along a direction: Wolfe's conditions, in the form of Hager and Zhang that survives a loss in f32.

use crate::error::Result;
use serde::{Deserialize, Serialize};

/// A line search for φ(α) = f(x + αd), which brackets a minimiser and closes in on it by cubic interpolation.
///
/// A step is accepted under the strong Wolfe conditions (Nocedal and Wright, *Numerical Optimization*, 2nd edition,
/// equation 3.7), with sufficient decrease tested so that rounding does not decide it; see `change`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LineSearch {
    /// c₁ of the sufficient decrease φ(α) − φ(0) ≤ c₁ α φ'(0).
    pub decrease: f64,
    /// c₂ of the curvature condition |φ'(α)| ≤ c₂ |φ'(0)|: 0.1 for conjugate gradients, 0.9 for quasi-Newton methods.
    pub curvature: f64,
    /// ε: losses closer than ε|φ(0)| cannot be told apart. No accepted step raises the loss by more.
    pub noise: f64,
    /// Evaluations after which the best step so far has to do.
    pub evaluations: usize,
}

impl Default for LineSearch {
    /// For conjugate gradients and a loss summed in f32.
    fn default() -> Self {
        Self { decrease: 1e-4, curvature: 0.1, noise: 1e-6, evaluations: 12 }
    }
}

/// φ and its derivative at one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trial {
    /// α.
    pub step: f64,
    /// φ(α).
    pub loss: f64,
    /// φ'(α) = ∇f(x + αd)ᵀd.
    pub slope: f64,
}

/// What a search is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The step satisfies the Wolfe conditions.
    Wolfe,
    /// The evaluations ran out, or the bracket closed; the step is the one that lowered the loss most.
    Decrease,
    /// No step lowered the loss.
    Failed,
}

/// The end of a search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Found {
    /// The step chosen; α = 0 if the search failed.
    pub trial: Trial,
    /// How good it is.
    pub verdict: Verdict,
    /// Evaluations taken.
    pub evaluations: usize,
}

impl LineSearch {
    /// Searches from φ(0) = `loss` with φ'(0) = `slope` < 0, trying α = `first` first. `phi` gives (φ(α), φ'(α)).
    ///
    /// Unless the search fails, the last call of `phi` was at the step returned, so whatever `phi` left behind (the
    /// gradient there) belongs to it.
    pub fn search(
        &self,
        loss: f64,
        slope: f64,
        first: f64,
        mut phi: impl FnMut(f64) -> Result<(f64, f64)>,
    ) -> Result<Found> {
        let start = Trial { step: 0.0, loss, slope };
        let noise = self.noise * loss.abs();
        let mut low = start; // downhill there and low enough: a minimiser lies beyond it …
        let mut high = None; // … and before this one
        let mut best = start;
        let mut latest = start;
        let mut widths = [f64::INFINITY; 2];
        let mut step = first;
        let mut evaluations = 0;
        while evaluations < self.evaluations {
            let (loss, slope) = phi(step)?;
            evaluations += 1;
            let trial = Trial { step, loss, slope };
            latest = trial;
            let finite = loss.is_finite() && slope.is_finite();
            let decrease = change(&start, &trial, noise);
            let enough = finite && decrease <= self.decrease * step * start.slope;
            if enough && slope.abs() <= -self.curvature * start.slope {
                return Ok(Found { trial, verdict: Verdict::Wolfe, evaluations });
            }
            if finite && decrease < change(&start, &best, noise) {
                best = trial;
            }

            let last = low;
            if enough && slope < 0.0 && change(&low, &trial, noise) < 0.0 {
                low = trial;
            } else {
                high = Some(trial);
            }
            step = match high {
                None => expand(&last, &low),
                Some(high) => {
                    let width = high.step - low.step;
                    if width <= 1e-9 * high.step {
                        break;
                    }
                    let slow = width > 0.66 * widths[0]; // Hager and Zhang's γ: two trials should do better than that
                    widths = [widths[1], width];
                    if slow { low.step + 0.5 * width } else { between(&low, &high, noise) }
                }
            };
        }
        if best.step == 0.0 {
            return Ok(Found { trial: start, verdict: Verdict::Failed, evaluations });
        }
        if best != latest {
            // Rare enough that evaluating once more beats holding two more vectors.
            phi(best.step)?;
            evaluations += 1;
        }
        Ok(Found { trial: best, verdict: Verdict::Decrease, evaluations })
    }
}

/// The loss at `to` less the loss at `from`. Where that difference and the trapezoid rule on the two slopes agree within
/// the noise of the loss, it is the trapezoid: the difference of two f32 losses has few correct digits then, a slope
/// keeps all of its own. Where they disagree by more, the function is not quadratic between the two, and the trapezoid
/// is wrong.
///
/// With the trapezoid, sufficient decrease is φ'(α) ≤ (2c₁ − 1) φ'(0), the approximate Wolfe condition of Hager and Zhang
/// (*A new conjugate gradient method with guaranteed descent and an efficient line search*, SIAM J. Optim. 16(1), 2005,
/// equation 4.1), and the cubic of [`between`] is their secant step.
fn change(from: &Trial, to: &Trial, noise: f64) -> f64 {
    let difference = to.loss - from.loss;
    let trapezoid = 0.5 * (from.slope + to.slope) * (to.step - from.step);
    if (difference - trapezoid).abs() <= noise { trapezoid } else { difference }
}

/// The next step when φ still falls at `to`.
fn expand(from: &Trial, to: &Trial) -> f64 {
    let secant = to.step + (to.step - from.step) * to.slope / (from.slope - to.slope);
    if secant > to.step { secant.clamp(1.1 * to.step, 10.0 * to.step) } else { 10.0 * to.step }
}

/// The minimiser of the cubic through two points and their slopes (Nocedal and Wright, equation 3.59), kept off the ends
/// of the bracket. A `high` that is not finite says nothing about where: from the start, a tenth of the way is tried,
/// later the middle.
fn between(low: &Trial, high: &Trial, noise: f64) -> f64 {
    let width = high.step - low.step;
    if !(high.loss.is_finite() && high.slope.is_finite()) {
        return low.step + if low.step == 0.0 { 0.1 } else { 0.5 } * width;
    }
    let d1 = low.slope + high.slope - 3.0 * change(low, high, noise) / width;
    let scale = d1.abs().max(low.slope.abs()).max(high.slope.abs()); // so that no square overflows
    let d2 = scale * ((d1 / scale).powi(2) - (low.slope / scale) * (high.slope / scale)).sqrt();
    let fraction = 1.0 - (high.slope + d2 - d1) / (high.slope - low.slope + 2.0 * d2);
    low.step + width * if fraction.is_nan() { 0.5 } else { fraction.clamp(0.1, 0.9) }
}
