//! The search along a direction: Wolfe's conditions, in the form of Hager and Zhang that survives a loss in
//! f32.

use super::problem::{Calls, Problem, most_affordable};
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// An angle is below a right one if its cosine exceeds this: above what rounding an f32 inner product can fake. On a
/// quadratic, y = g − g₀ and s = x − x₀ are so up to a condition of 10¹².
pub(super) const ACUTE: f64 = 1e-6;

/// Whether a direction with this slope gᵀd, by gᵀg and dᵀd, leads downhill enough to be taken.
pub(super) fn is_downhill(slope: f64, gg: f64, dd: f64) -> bool {
    slope < -ACUTE * (gg * dd).sqrt()
}

/// Losses closer than this share of the loss cannot be told apart where they were summed in f32.
pub(super) const NOISE: f64 = 1e-6;

/// A line search for φ(α) = f(x + αd), which brackets a minimiser and closes in on it by cubic interpolation.
///
/// A step is accepted under the strong Wolfe conditions (Nocedal and Wright, *Numerical Optimization*, 2nd
/// edition, equation 3.7), with sufficient decrease tested so that rounding does not decide it; see `change`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LineSearch {
    /// c₁ of the sufficient decrease φ(α) − φ(0) ≤ c₁ α φ'(0).
    pub decrease: f64,
    /// c₂ of the curvature condition |φ'(α)| ≤ c₂ |φ'(0)|: 0.1 for conjugate gradients, 0.9 for quasi-Newton
    /// methods. On very ill-conditioned problems conjugate gradients want 1e-3, or the directions do not stay
    /// conjugate.
    pub curvature: f64,
    /// ε: losses closer than ε|φ(0)| cannot be told apart. No accepted step raises the loss by more.
    pub noise: f64,
    /// Evaluations after which the best step so far has to do.
    pub evaluations: usize,
}

impl Default for LineSearch {
    /// For conjugate gradients and a loss summed in f32.
    fn default() -> Self {
        Self { decrease: 1e-4, curvature: 0.1, noise: NOISE, evaluations: 12 }
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
    /// Evaluations that a search may take of a problem: as many as it affords, with the work that so many bring.
    pub(super) fn most<P: Problem>(&self, problem: &P, work: impl Fn(usize) -> Calls) -> usize {
        let most = self.evaluations.saturating_add(1);
        most_affordable(problem, most, work).unwrap_or(0)
    }

    /// Searches from φ(0) = `loss` with φ'(0) = `slope` < 0, trying α = `first` first, with no more than `most`
    /// evaluations whatever the settings say. `phi` gives (φ(α),
    /// φ'(α)).
    ///
    /// Unless the search fails, the last call of `phi` was at the step returned, so whatever `phi` left
    /// behind (the gradient there) belongs to it.
    pub fn search(
        &self,
        most: usize,
        (loss, slope): (f64, f64),
        first: f64,
        mut phi: impl FnMut(f64) -> Result<(f64, f64)>,
    ) -> Result<Found> {
        let start = Trial { step: 0.0, loss, slope };
        let noise = self.noise * loss.abs();
        let mut low = start; // low enough and falling: a minimiser lies beyond it …
        let mut high = None; // … and before this one
        let (mut best, mut best_change) = (start, 0.0);
        let mut trial = start;
        let mut step = first;
        let mut evaluations = 0;
        // the last of all is kept for the way back to the best
        while evaluations < self.evaluations && evaluations < most && (best == start || evaluations + 1 < most) {
            let (loss, slope) = phi(step)?;
            trial = Trial { step, loss, slope };
            evaluations += 1;

            let change_from_start = if trial.is_finite() { change(&start, &trial, noise) } else { f64::INFINITY };
            let decrease = change_from_start <= self.decrease * step * start.slope;
            let curvature = slope.abs() <= self.curvature * start.slope.abs();
            if decrease && curvature {
                return Ok(Found { trial, verdict: Verdict::Wolfe, evaluations });
            }
            if change_from_start < best_change && trial.loss < start.loss {
                (best, best_change) = (trial, change_from_start);
            }

            let last = low;
            if decrease && slope < 0.0 {
                low = trial;
            } else {
                high = Some(trial);
            }
            step = match &high {
                None => expand(&last, &low),
                Some(high) if high.step - low.step <= 1e-9 * high.step => break,
                Some(high) => between(&low, high, noise),
            };
        }

        if best == start {
            return Ok(Found { trial: start, verdict: Verdict::Failed, evaluations });
        }
        if best != trial {
            // So rare that one more evaluation is better than holding two more vectors all the time.
            phi(best.step)?;
            evaluations += 1;
        }
        Ok(Found { trial: best, verdict: Verdict::Decrease, evaluations })
    }
}

impl Trial {
    pub(super) fn is_finite(&self) -> bool {
        self.loss.is_finite() && self.slope.is_finite()
    }
}

/// The loss at `to` less the loss at `from`. Where this difference and the trapezoid rule on the two slopes
/// agree within the noise of the loss, it is the trapezoid: few digits of the difference of two f32 losses
/// are correct then, while a slope keeps all of its own. Where they disagree by more, the function is too
/// curved for the trapezoid.
///
/// With the trapezoid, sufficient decrease is φ'(α) ≤ (2c₁ − 1) φ'(0): the approximate Wolfe condition of
/// Hager and Zhang (*A new conjugate gradient method with guaranteed descent and an efficient line search*,
/// SIAM J. Optim. 16(1), 2005, section 4), and the cubic step of [`between`] is their secant step.
pub(super) fn change(from: &Trial, to: &Trial, noise: f64) -> f64 {
    let difference = to.loss - from.loss;
    let trapezoid = 0.5 * (from.slope + to.slope) * (to.step - from.step);
    if (difference - trapezoid).abs() <= noise { trapezoid } else { difference }
}

/// The next step while φ still falls: where the secant of the last two slopes reaches zero, within limits. On
/// a quadratic it is the minimiser.
fn expand(last: &Trial, low: &Trial) -> f64 {
    let secant = low.step - low.slope * (low.step - last.step) / (low.slope - last.slope);
    if secant > low.step { secant.clamp(1.1 * low.step, 10.0 * low.step) } else { 10.0 * low.step }
}

/// The minimiser of the cubic through two points and their slopes (Nocedal and Wright, equation 3.59), kept
/// off the ends of the bracket, so that every trial shrinks it. A `high` that is not finite says nothing but
/// no: a tenth of the way.
fn between(low: &Trial, high: &Trial, noise: f64) -> f64 {
    let width = high.step - low.step;
    if !high.is_finite() {
        return low.step + 0.1 * width;
    }
    let d1 = low.slope + high.slope - 3.0 * change(low, high, noise) / width;
    let scale = d1.abs().max(low.slope.abs()).max(high.slope.abs()); // no square overflows
    let d2 = scale * ((d1 / scale).powi(2) - (low.slope / scale) * (high.slope / scale)).sqrt();
    let fraction = 1.0 - (high.slope + d2 - d1) / (high.slope - low.slope + 2.0 * d2);
    low.step + width * if fraction.is_nan() { 0.5 } else { fraction.clamp(0.1, 0.9) }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Function = fn(f64) -> (f64, f64);

    /// φ and φ' with φ'(0) < 0, each with a minimiser.
    const FUNCTIONS: [(&str, Function); 9] = [
        ("quadratic", |a| (1.0 + 0.5 * (a - 3.0).powi(2), a - 3.0)),
        // Moré and Thuente, Line search algorithms with guaranteed sufficient decrease, ACM TOMS 20(3), 1994,
        // eq. 5.1, 5.2
        ("concave far out", |a| (-a / (a * a + 2.0), (a * a - 2.0) / (a * a + 2.0).powi(2))),
        ("steep at the end", |a| {
            let b: f64 = a + 0.004;
            (b.powi(5) - 2.0 * b.powi(4), 5.0 * b.powi(4) - 8.0 * b.powi(3))
        }),
        ("waves", |a| (0.3 * (5.0 * a).cos() - a + 0.1 * a * a, 0.2 * a - 1.0 - 1.5 * (5.0 * a).sin())),
        ("overflow", |a| ((20.0 * a - 60.0).exp() - a, 20.0 * (20.0 * a - 60.0).exp() - 1.0)),
        ("wall", |a| (-(5.0 - a).ln() - 3.0 * a, 1.0 / (5.0 - a) - 3.0)),
        ("cliff", |a| (1e4 * (a - 0.95).max(0.0).powi(2) - a, 2e4 * (a - 0.95).max(0.0) - 1.0)),
        ("uphill waves", |a| (0.5 * a - 2.0 * (2.0 * a).sin(), 0.5 - 4.0 * (2.0 * a).cos())),
        ("quartic", |a| ((a - 2.0).powi(4), 4.0 * (a - 2.0).powi(3))),
    ];

    /// Searches, and checks what every search promises. Returns where it ended.
    fn run(search: &LineSearch, name: &str, first: f64, phi: impl Fn(f64) -> (f64, f64)) -> Found {
        let (loss, slope) = phi(0.0);
        let mut calls = Vec::new();
        let found = search
            .search(usize::MAX, (loss, slope), first, |step| {
                let value = phi(step);
                calls.push((step, value));
                Ok(value)
            })
            .unwrap();
        let Trial { step, .. } = found.trial;
        assert_eq!(calls.len(), found.evaluations, "{name} {first}");
        if found.verdict == Verdict::Failed {
            assert_eq!(step, 0.0, "{name} {first}");
            return found;
        }
        let (f, s) = (found.trial.loss, found.trial.slope);
        assert_eq!(calls.last(), Some(&(step, (f, s))), "{name} {first}: the caller's vectors belong to another step");
        let (c1, noise) = (search.decrease, search.noise * loss.abs());
        assert!(f <= loss + noise, "{name} {first}: rose to {f}");
        if found.verdict == Verdict::Wolfe {
            let armijo = f <= loss + c1 * step * slope;
            let approximate = f <= loss + noise && s <= (2.0 * c1 - 1.0) * slope;
            assert!(armijo || approximate, "{name} {first}: not low enough, {found:?}");
            assert!(s.abs() <= search.curvature * slope.abs(), "{name} {first}: too steep, {found:?}");
        }
        found
    }

    #[test]
    fn the_conditions_hold_whatever_the_first_step() {
        for (name, phi) in FUNCTIONS {
            for curvature in [0.1, 0.9] {
                for exponent in -4..=4 {
                    let search = LineSearch { curvature, evaluations: 30, ..LineSearch::default() };
                    let found = run(&search, name, 10f64.powi(exponent), phi);
                    println!("{name:18} c2 {curvature} first 1e{exponent}: {found:?}");
                    assert_eq!(found.verdict, Verdict::Wolfe, "{name} 1e{exponent}");
                }
            }
        }
    }

    #[test]
    fn slopes_decide_where_rounding_hides_the_loss() {
        // The whole dip is 3e-9 deep: none of it is left in f32.
        let dip = |a: f64| {
            let loss = 1.0 + 3e-9 * (0.5 * (a - 1.0).powi(2) - 0.5);
            (f64::from(loss as f32), 3e-9 * (a - 1.0))
        };
        let search = LineSearch::default();
        for first in [1e-3, 0.5, 7.0, 1e3] {
            let found = run(&search, "dip", first, dip);
            assert_eq!(found.verdict, Verdict::Wolfe);
            assert!((found.trial.step - 1.0).abs() < 0.1, "{found:?}");
            let blind = run(&LineSearch { noise: 0.0, ..search }, "dip", first, dip);
            assert_eq!(blind.verdict, Verdict::Failed, "{blind:?}");
        }
        // Beyond the noise the losses are believed: this one rises, whatever its slopes say.
        let rising = |a: f64| (1.0 + a, -1.0 + 0.99 * a.min(1.0));
        assert_eq!(run(&search, "rising", 1.0, rising).verdict, Verdict::Failed);
    }

    #[test]
    fn an_exhausted_search_returns_the_lowest_point_it_saw() {
        let (name, steep) = FUNCTIONS[2];
        let mut losses = Vec::new();
        let impatient = LineSearch { evaluations: 6, ..LineSearch::default() };
        let (loss, slope) = steep(0.0);
        let found = impatient.search(usize::MAX, (loss, slope), 10.0, |a| {
            losses.push(steep(a).0);
            Ok(steep(a))
        });
        let found = found.unwrap();
        assert_eq!((found.verdict, losses.len()), (Verdict::Decrease, found.evaluations));
        assert_eq!(found.trial.loss, losses.iter().copied().fold(f64::INFINITY, f64::min));
        for evaluations in 1..10 {
            for first in [0.1, 10.0, 1e3] {
                run(&LineSearch { evaluations, ..impatient }, name, first, steep);
            }
        }
        // A kink has no slope small enough: the bracket closes on it before the evaluations run out.
        let patient = LineSearch { evaluations: 200, ..impatient };
        let found = run(&patient, "kink", 0.3, |a| ((a - 1.0).abs(), (a - 1.0).signum()));
        assert_eq!(found.verdict, Verdict::Decrease);
        assert!(found.evaluations < 100 && found.trial.loss < 1e-8, "{found:?}");
        // Falling for ever: the last step is the lowest, and needs no second evaluation.
        let found = run(&impatient, "falling", 1.0, |a| (-a, -1.0));
        assert_eq!((found.verdict, found.evaluations, found.trial.step), (Verdict::Decrease, 6, 1e5));
    }

    #[test]
    fn no_more_is_evaluated_than_may_be() {
        let search = LineSearch::default();
        for (name, phi) in FUNCTIONS {
            for most in 0..8 {
                for first in [1e-2, 0.5, 10.0, 1e3] {
                    let (mut calls, mut last) = (0, f64::NAN);
                    let count = |a| {
                        (calls, last) = (calls + 1, a);
                        Ok(phi(a))
                    };
                    let found = search.search(most, phi(0.0), first, count).unwrap();
                    assert!(calls <= most && calls == found.evaluations, "{name} {first}: {calls} of {most}");
                    assert!(found.verdict == Verdict::Failed || found.trial.step == last, "{name} {first}: {found:?}");
                }
            }
        }
    }

    #[test]
    fn a_search_without_a_lower_point_fails() {
        let search = LineSearch::default();
        let cases: [(&str, Function); 4] = [
            ("wrong slope", |a| (1.0 + a, -1.0)),
            ("NaN", |a| (if a > 0.0 { f64::NAN } else { 1.0 }, -1.0)),
            ("infinite", |a| (if a > 0.0 { f64::INFINITY } else { 1.0 }, -1.0)),
            ("NaN slope", |a| (1.0 - a, if a > 0.0 { f64::NAN } else { -1.0 })),
        ];
        for (name, phi) in cases {
            let found = run(&search, name, 1.0, phi);
            assert_eq!((found.verdict, found.evaluations), (Verdict::Failed, search.evaluations), "{name}");
        }
    }

    #[test]
    fn the_cubic_step_finds_the_minimiser_of_a_cubic() {
        // φ = α³ − 3α has its minimum at 1.
        let at = |step: f64| Trial { step, loss: step.powi(3) - 3.0 * step, slope: 3.0 * step * step - 3.0 };
        for (low, high) in [(0.0, 2.0), (-0.5, 1.5), (0.3, 3.0)] {
            assert!((between(&at(low), &at(high), 0.0) - 1.0).abs() < 1e-12);
        }
        // Kept off the ends: the minimum is at a fiftieth of this bracket.
        assert!((between(&at(0.9), &at(5.9), 0.0) - 1.4).abs() < 1e-12);
        // With the difference of the losses lost, the secant of −3 and 9 on [0, 2].
        let flat = |trial: Trial| Trial { loss: 1.0, ..trial };
        assert_eq!(between(&flat(at(0.0)), &flat(at(2.0)), 10.0), 0.5);
        // Slopes and losses whose squares overflow.
        let huge = Trial { step: 1.0, loss: 1e300, slope: 1e300 };
        assert_eq!(between(&Trial { step: 0.0, loss: 0.0, slope: -1.0 }, &huge, 0.0), 0.1);
    }
}
