//! Nonlinear conjugate gradients (Nocedal and Wright, *Numerical Optimization*, 2nd edition, section 5.2).

use super::line_search::{LineSearch, Trial, Verdict, is_downhill};
use super::optimiser::{Optimiser, Snapshot, State, named, to_json};
use super::outcome::{Outcome, Stop};
use super::point::Point;
use super::problem::{Calls, Evaluated, Problem, Vector, unaffordable};
use super::space::Space;
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// How much of the old direction the new one keeps, d ← −g + βd.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Beta {
    /// β = max(0, gᵀ(g − g₀) / g₀ᵀg₀), g₀ being the gradient before (Nocedal and Wright, equations 5.44 and
    /// 5.45).
    #[default]
    PolakRibierePlus,
    /// Hager and Zhang (SIAM J. Optim. 16(1), 2005, equations 1.3 to 1.6): always downhill if the search is
    /// exact enough.
    HagerZhang,
}

/// The choices of [`NonlinearCg`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NcgSettings {
    /// The formula for β.
    pub beta: Beta,
    /// The search along the direction.
    pub line_search: LineSearch,
    /// Stop once ‖g‖ is no larger. By default 0: only where the gradient vanishes.
    pub gradient_tolerance: f64,
}

impl NcgSettings {
    /// What it takes to start.
    pub(super) const START: Calls = Calls { vectors: 2, ..Calls::of_evaluations(1) };

    /// What a step with so many evaluations takes, at most: two products and a restart, two terms and three products a
    /// trial, and the next direction.
    pub(super) fn step(evaluations: usize) -> Calls {
        Calls { vectors: evaluations.saturating_mul(5).saturating_add(5), ..Calls::of_evaluations(evaluations) }
    }
}

/// Nonlinear conjugate gradients with restarts. Holds five vectors.
pub struct NonlinearCg<P: Problem> {
    settings: NcgSettings,
    point: Point<P>,
    /// d, along which the next step goes.
    direction: Vector<P>,
    memory: NcgMemory,
    // x and g at a trial point of the line search
    trial_parameters: Vector<P>,
    trial_gradient: Vector<P>,
}

/// What the first trial of the next search is guessed from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct NcgMemory {
    /// α of the last step.
    step_length: f64,
    /// gᵀd at the start of the last step.
    slope: f64,
}

impl<P: Problem> NonlinearCg<P> {
    /// Starts at x, with one evaluation of the problem there. The first step is tried as long as `step_norm`, where
    /// there is a guess.
    ///
    /// # Errors
    /// What the problem reports; so for the others.
    pub fn new(problem: &mut P, x: Vector<P>, step_norm: Option<f64>, settings: NcgSettings) -> Result<Self> {
        let point = Point::start(problem, x)?;
        let mut direction = problem.space().zeros()?;
        problem.space().axpby(-1.0, &point.gradient, 0.0, &mut direction)?;
        let norm = point.gradient_norm;
        let step_length = step_norm.map_or(f64::min(1.0, 1.0 / norm), |step_norm| step_norm / norm);
        Self::at(problem, settings, point, direction, NcgMemory { step_length, slope: -norm * norm })
    }

    /// Goes on from a saved state of the same problem.
    ///
    /// # Errors
    /// [`Error::Data`](crate::error::Error::Data) when it is another method's.
    pub fn resume(problem: &P, state: &State<Vector<P>>, settings: NcgSettings) -> Result<Self> {
        Self::at(problem, settings, Point::resume(state)?, state.vector("direction")?, state.numbers()?)
    }

    fn at(
        problem: &P,
        settings: NcgSettings,
        point: Point<P>,
        direction: Vector<P>,
        memory: NcgMemory,
    ) -> Result<Self> {
        let (trial_parameters, trial_gradient) = (problem.space().zeros()?, problem.space().zeros()?);
        Ok(Self { settings, point, direction, memory, trial_parameters, trial_gradient })
    }

    /// Searches along d, and once more down the gradient where that fails; none where both do. What the last trial
    /// found, and what d was by then, go with it.
    fn search(&mut self, problem: &mut P, outcome: &mut Outcome) -> Result<Option<NcgStep<P>>> {
        let Self { settings, point, direction: d, memory, .. } = self;
        let (x, g) = (&point.parameters, &point.gradient);
        let gg = point.gradient_norm.powi(2);
        let [mut slope, mut dd] = problem.space().dots([(g, d), (d, d)])?;
        let mut restart = !is_downhill(slope, gg, dd);
        loop {
            if restart {
                problem.space().axpby(-1.0, g, 0.0, d)?;
                (slope, dd) = (-gg, gg);
                outcome.restarted = true;
            }

            // As if the loss changed by as much as in the last step (Nocedal and Wright, section 3.5).
            let first = memory.step_length * (memory.slope / slope).clamp(0.1, 10.0);
            let (mut products, mut evaluation) = ([f64::NAN; 3], None);
            let (trial_x, trial_g) = (&mut self.trial_parameters, &mut self.trial_gradient);
            let most = settings.line_search.most(problem, NcgSettings::step);
            let found = settings.line_search.search(most, (point.loss, slope), first, |alpha| {
                problem.space().combine(&[(1.0, x), (alpha, d)], trial_x)?;
                let loss = evaluation.insert(problem.loss_and_gradient(trial_x, trial_g)?).loss();
                // All that the search and then β need, in one round trip.
                let t = &*trial_g;
                products = problem.space().dots([(t, d), (t, t), (t, g)])?;
                Ok((loss, products[0]))
            })?;
            outcome.evaluations += found.evaluations;
            if let Some(evaluation) = evaluation.filter(|_| found.verdict != Verdict::Failed) {
                return Ok(Some(NcgStep { trial: found.trial, evaluation, slope, dd, products }));
            }
            if outcome.restarted {
                return Ok(None);
            }
            restart = true; // down the gradient, from a small first step
            *memory = NcgMemory { step_length: f64::min(1.0, 1e-2 / point.gradient_norm), slope: -gg };
        }
    }
}

/// A step that lowered the loss.
struct NcgStep<P: Problem> {
    trial: Trial,
    evaluation: P::Evaluation,
    /// gᵀd and dᵀd at its start.
    slope: f64,
    dd: f64,
    /// gᵀd, gᵀg and gᵀg₀ with the gradient g at its end.
    products: [f64; 3],
}

impl<P: Problem> Optimiser<P> for NonlinearCg<P> {
    fn step(&mut self, problem: &mut P) -> Result<Outcome> {
        let mut outcome = self.point.before_step(self.settings.gradient_tolerance);
        outcome.stop = outcome.stop.or(unaffordable(problem, NcgSettings::step(1)));
        if outcome.stop.is_some() {
            return Ok(outcome);
        }
        let gg = self.point.gradient_norm.powi(2);
        let Some(searched) = self.search(problem, &mut outcome)? else {
            outcome.stop = unaffordable(problem, NcgSettings::step(1)).or(Some(Stop::LineSearchFailed));
            return Ok(outcome);
        };

        let NcgStep { trial: Trial { step: alpha, loss, .. }, evaluation, slope, dd, products } = searched;
        let Self { settings, point, direction: d, memory, .. } = self;
        let beta = settings.beta.of(gg, slope, dd, products);
        point.move_to((&mut self.trial_parameters, &mut self.trial_gradient), evaluation, products[1].sqrt());
        problem.space().axpby(-1.0, &point.gradient, beta, d)?;
        *memory = NcgMemory { step_length: alpha, slope };
        Ok(Outcome {
            loss,
            gradient_norm: point.gradient_norm,
            step_norm: alpha * dd.sqrt(),
            step_length: alpha,
            ..outcome
        })
    }

    fn snapshot(&self) -> Snapshot<'_, P> {
        self.point.snapshot()
    }

    fn memory(&self) -> (Vec<(String, Vector<P>)>, String) {
        let vectors = named([("gradient", &self.point.gradient), ("direction", &self.direction)]);
        (vectors, to_json(&self.memory))
    }
}

impl Beta {
    /// β from g₀ᵀg₀, g₀ᵀd, dᵀd before the step and (gᵀd, gᵀg, gᵀg₀) after it.
    fn of(self, gg0: f64, slope0: f64, dd: f64, [slope, gg, gg_cross]: [f64; 3]) -> f64 {
        let gy = gg - gg_cross; // y = g − g₀
        match self {
            Self::PolakRibierePlus => f64::max(0.0, gy / gg0),
            Self::HagerZhang => {
                let dy = slope - slope0;
                let yy = gg - 2.0 * gg_cross + gg0;
                let beta = if dy > 0.0 { (gy - 2.0 * yy * slope / dy) / dy } else { 0.0 };
                let eta = -1.0 / (dd.sqrt() * f64::min(0.01, gg0.sqrt()));
                beta.max(eta)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::quadratic::Quadratic;
    use super::super::space::Euclidean;
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn exact(beta: Beta) -> NcgSettings {
        let line_search = LineSearch { curvature: 1e-8, ..LineSearch::default() };
        NcgSettings { beta, line_search, ..NcgSettings::default() }
    }

    #[test]
    fn exact_searches_minimise_a_quadratic_in_as_many_steps_as_it_has_eigenvalues() -> Result<()> {
        for beta in [Beta::PolakRibierePlus, Beta::HagerZhang] {
            // 12 dimensions, 4 distinct eigenvalues
            let mut problem = Quadratic::new(&[1.0, 3.0, 10.0, 40.0].repeat(3));
            let mut cg = NonlinearCg::new(&mut problem, vec![1.0; 12], None, exact(beta))?;
            let mut norms = vec![cg.gradient_norm()];
            for _ in 0..4 {
                let outcome = cg.step(&mut problem)?;
                assert!(!outcome.restarted && outcome.stop.is_none(), "{beta:?}: {outcome:?}");
                norms.push(outcome.gradient_norm);
            }
            assert!(norms[3] > 1e-3 * norms[0], "{beta:?}: too easy, {norms:?}");
            assert!(norms[4] < 1e-6 * norms[0], "{beta:?}: {norms:?}");
        }
        Ok(())
    }

    #[test]
    fn beta_is_the_formula_on_vectors() -> Result<()> {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let space = Euclidean::new(5);
        let (mut positive, mut truncated) = (0, 0);
        for _ in 0..200 {
            let [g0, mut g, d] = [(); 3].map(|()| (0..5).map(|_| random.random_range(-1.0..1.0)).collect::<Vec<f64>>());
            space.axpby(random.random_range(-1.0..2.0), &g0, 0.2, &mut g)?;
            let y: Vec<f64> = g.iter().zip(&g0).map(|(g, g0)| g - g0).collect();
            let [gg0, slope0, dd] = space.dots([(&g0, &g0), (&g0, &d), (&d, &d)])?;
            let products = space.dots([(&g, &d), (&g, &g), (&g, &g0)])?;

            let polak_ribiere = space.dot(&g, &y)? / gg0;
            let expected = polak_ribiere.max(0.0);
            let beta = Beta::PolakRibierePlus.of(gg0, slope0, dd, products);
            assert!((beta - expected).abs() <= 1e-12 * (1.0 + expected), "{beta} {expected}");
            if polak_ribiere > 0.0 {
                positive += 1
            } else {
                truncated += 1
            }

            // equation 1.3, as it is printed: β = (y − 2 d ‖y‖² / dᵀy)ᵀ g / dᵀy
            let [dy, yy] = space.dots([(&d, &y), (&y, &y)])?;
            let mut v = y.clone();
            space.axpby(-2.0 * yy / dy, &d, 1.0, &mut v)?;
            let hager_zhang = if dy > 0.0 { space.dot(&v, &g)? / dy } else { 0.0 };
            let expected = hager_zhang.max(-1.0 / (dd.sqrt() * 0.01));
            let beta = Beta::HagerZhang.of(gg0, slope0, dd, products);
            assert!((beta - expected).abs() <= 1e-9 * (1.0 + expected.abs()), "{beta} {expected}");
        }
        assert!(positive > 20 && truncated > 20, "both branches: {positive} {truncated}");
        Ok(())
    }

    #[test]
    fn a_direction_that_is_not_downhill_is_replaced_by_the_negative_gradient() -> Result<()> {
        let mut problem = Quadratic::new(&[1.0, 10.0]);
        let start = |problem: &mut Quadratic| NonlinearCg::new(problem, vec![1.0, 1.0], None, NcgSettings::default());
        let steepest = start(&mut problem)?.step(&mut problem)?;
        // uphill, across the slope, not finite, nothing
        for direction in [vec![1.0, 10.0], vec![10.0, -1.0], vec![f64::NAN, 1.0], vec![0.0, 0.0]] {
            let mut cg = start(&mut problem)?;
            let loss = cg.point.loss;
            cg.direction = direction;
            let outcome = cg.step(&mut problem)?;
            assert!(outcome.restarted && outcome.stop.is_none(), "{outcome:?}");
            assert!(outcome.loss < loss);
            assert_eq!(outcome, Outcome { restarted: true, ..steepest });
        }
        Ok(())
    }

    #[test]
    fn a_failed_search_is_tried_once_more_down_the_gradient() -> Result<()> {
        // The direction is downhill, but the minimiser along it is nearer than twelve trials can get.
        let mut problem = Quadratic::new(&[1.0, 1e-4]);
        let mut cg = NonlinearCg::new(&mut problem, vec![1.0, 1.0], None, NcgSettings::default())?;
        let loss = cg.point.loss;
        (cg.direction, cg.memory.step_length) = (vec![-1.0, -1e16], 1e9);
        let budget = LineSearch::default().evaluations;
        let outcome = cg.step(&mut problem)?;
        assert!(outcome.restarted && outcome.stop.is_none() && outcome.evaluations > budget, "{outcome:?}");
        assert!(outcome.evaluations <= budget + 4, "the second search starts afresh: {outcome:?}");
        assert!(outcome.loss < loss);
        Ok(())
    }

    #[test]
    fn a_gradient_that_is_not_finite_stops_before_the_first_step() -> Result<()> {
        for sign in [f64::NAN, f64::INFINITY] {
            let mut problem = Quadratic { sign, ..Quadratic::new(&[1.0, 2.0]) };
            let mut cg = NonlinearCg::new(&mut problem, vec![1.0, 1.0], None, NcgSettings::default())?;
            let outcome = cg.step(&mut problem)?;
            assert_eq!((outcome.stop, outcome.loss, outcome.evaluations), (Some(Stop::NotFinite), 1.5, 0));
        }
        Ok(())
    }

    #[test]
    fn a_gradient_of_the_wrong_sign_stops_the_search_and_moves_nothing() -> Result<()> {
        let mut problem = Quadratic { sign: -1.0, ..Quadratic::new(&[1.0, 2.0]) };
        let start = vec![1.0, 1.0];
        let mut cg = NonlinearCg::new(&mut problem, start.clone(), None, NcgSettings::default())?;
        let outcome = cg.step(&mut problem)?;
        assert_eq!(outcome.stop, Some(Stop::LineSearchFailed));
        assert!(outcome.restarted && outcome.evaluations <= 2 * LineSearch::default().evaluations);
        assert_eq!((cg.point.parameters, outcome.loss), (start, 1.5));
        Ok(())
    }
}
