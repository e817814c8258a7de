//! L-BFGS (Liu and Nocedal, *On the limited memory BFGS method for large scale optimization*, Math. Prog. 45,
//! 1989; Nocedal and Wright, *Numerical Optimization*, 2nd edition, section 7.2).

use super::line_search::{ACUTE, LineSearch, Trial, Verdict, is_downhill};
use super::optimiser::{Optimiser, Snapshot, State, named, to_json};
use super::outcome::{Outcome, Stop};
use super::point::{Lowest, Point};
use super::problem::{Calls, Evaluated, Problem, Vector, unaffordable};
use super::space::Space;
use crate::error::Result;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::mem::replace;

/// The choices of [`Lbfgs`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LbfgsSettings {
    /// m, the pairs remembered: one at least.
    pub memory: usize,
    /// The search along the direction.
    pub line_search: LineSearch,
    /// Stop once ‖g‖ is no larger. By default 0: only where the gradient vanishes.
    pub gradient_tolerance: f64,
}

impl Default for LbfgsSettings {
    fn default() -> Self {
        let line_search = LineSearch { curvature: 0.9, ..LineSearch::default() };
        Self { memory: 20, line_search, gradient_tolerance: 0.0 }
    }
}

impl LbfgsSettings {
    /// What it takes to start.
    pub(super) const START: Calls = Calls { vectors: 2, ..Calls::of_evaluations(1) };

    /// What a step with so many evaluations takes, at most.
    pub(super) fn step(&self, evaluations: usize) -> Calls {
        // two products and a restart before, two terms and two products a trial; then a pair, its products with all
        // pairs and the direction out of these
        let pairs = self.memory.max(1).saturating_add(1);
        let vectors = evaluations.saturating_mul(4).saturating_add(pairs.saturating_mul(6)).saturating_add(8);
        Calls { vectors, ..Calls::of_evaluations(evaluations) }
    }
}

/// L-BFGS, which forgets its pairs and goes down the gradient where they mislead it. Holds 2m + 5 vectors.
pub struct Lbfgs<P: Problem> {
    settings: LbfgsSettings,
    point: Point<P>,
    /// d = −Hg, along which the next step goes.
    direction: Vector<P>,
    /// s = x − x₀ and y = g − g₀ of the last steps, the oldest first.
    pairs: VecDeque<(Vector<P>, Vector<P>)>,
    memory: LbfgsMemory,
    // x and g at a trial point of the line search
    trial_parameters: Vector<P>,
    trial_gradient: Vector<P>,
}

/// What is known of the steps without another look at the vectors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct LbfgsMemory {
    /// ‖s‖ of the last step, and the first try of one down the gradient.
    step_norm: f64,
    gram: Gram,
    lowest: Lowest,
}

/// The inner products of the pairs that the two loops need: `sy[i][j]` is sⱼᵀyᵢ, `yy[i][j]` is yⱼᵀyᵢ, for j ≤ i.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Gram {
    sy: VecDeque<Vec<f64>>,
    yy: VecDeque<Vec<f64>>,
}

impl<P: Problem> Lbfgs<P> {
    /// Starts at x, with one evaluation of the problem there. The first step is tried as long as `step_norm`, where
    /// there is a guess.
    ///
    /// # Errors
    /// What the problem reports; so for the others.
    pub fn new(problem: &mut P, x: Vector<P>, step_norm: Option<f64>, settings: LbfgsSettings) -> Result<Self> {
        let point = Point::start(problem, x)?;
        let mut direction = problem.space().zeros()?;
        problem.space().axpby(-1.0, &point.gradient, 0.0, &mut direction)?;
        let step_norm = step_norm.unwrap_or(f64::min(1.0, point.gradient_norm));
        let memory = LbfgsMemory { step_norm, gram: Gram::default(), lowest: Lowest::at(&point) };
        Self::at(problem, settings, point, direction, VecDeque::new(), memory)
    }

    /// Goes on from a saved state of the same problem.
    ///
    /// # Errors
    /// [`Error::Data`](crate::error::Error::Data) when it is another method's.
    pub fn resume(problem: &P, state: &State<Vector<P>>, settings: LbfgsSettings) -> Result<Self> {
        let memory: LbfgsMemory = state.numbers()?;
        let pair = |i| Ok((state.vector(&format!("s.{i}"))?, state.vector(&format!("y.{i}"))?));
        let pairs = (0..memory.gram.len()).map(pair).collect::<Result<_>>()?;
        Self::at(problem, settings, Point::resume(state)?, state.vector("direction")?, pairs, memory)
    }

    fn at(
        problem: &P,
        settings: LbfgsSettings,
        point: Point<P>,
        direction: Vector<P>,
        pairs: VecDeque<(Vector<P>, Vector<P>)>,
        memory: LbfgsMemory,
    ) -> Result<Self> {
        let (trial_parameters, trial_gradient) = (problem.space().zeros()?, problem.space().zeros()?);
        Ok(Self { settings, point, direction, pairs, memory, trial_parameters, trial_gradient })
    }

    /// Makes a pair of the step from the trial's x and g to the new ones, if its curvature is positive, and
    /// d = −Hg.
    fn update_pairs(&mut self, space: &P::Space, ss: f64) -> Result<()> {
        let (g, s, y) = (&self.point.gradient, &mut self.trial_parameters, &mut self.trial_gradient);
        space.axpby(1.0, &self.point.parameters, -1.0, s)?;
        space.axpby(1.0, g, -1.0, y)?;
        let (s, y) = (&*s, &*y);
        let all_s = self.pairs.iter().map(|(s, _)| s).chain([s]);
        let all_y = self.pairs.iter().map(|(_, y)| y).chain([y]);
        let basis: Vec<&Vector<P>> = all_s.chain(all_y).collect();
        let pairs: Vec<_> = [y, g].iter().flat_map(|&v| basis.iter().map(move |&b| (b, v))).collect();
        let products = space.inner_products(&pairs)?;
        let mut rows = products.chunks(self.pairs.len() + 1).map(|row| row.to_vec());
        let [sy, yy, mut sg, mut yg] = std::array::from_fn(|_| rows.next().expect("four rows"));

        let k = self.pairs.len();
        if sy[k] > ACUTE * (ss * yy[k]).sqrt() {
            self.memory.gram.push(sy, yy);
            // The oldest pair lends its memory to the next trials.
            let spare = if k < self.settings.memory.max(1) {
                (space.zeros()?, space.zeros()?)
            } else {
                self.memory.gram.pop();
                sg.remove(0);
                yg.remove(0);
                self.pairs.pop_front().expect("as many pairs as the memory holds")
            };
            let s = replace(&mut self.trial_parameters, spare.0);
            let y = replace(&mut self.trial_gradient, spare.1);
            self.pairs.push_back((s, y));
        }
        let (of_pairs, of_g) = self.memory.gram.two_loops(&sg, &yg);
        let terms = self.pairs.iter().zip(of_pairs).flat_map(|((s, y), (a, b))| [(-a, s), (-b, y)]);
        space.combine(&terms.chain([(-of_g, &self.point.gradient)]).collect::<Vec<_>>(), &mut self.direction)
    }

    /// Searches along d, and once more down the gradient where that fails, without the pairs; none where both do.
    fn search(&mut self, problem: &mut P, outcome: &mut Outcome) -> Result<Option<LbfgsStep<P>>> {
        let Self { settings, point, direction: d, pairs, memory, .. } = self;
        let (x, g) = (&point.parameters, &point.gradient);
        let gg = point.gradient_norm.powi(2);
        let [mut slope, mut dd] = problem.space().dots([(g, d), (d, d)])?;
        let mut restart = !is_downhill(slope, gg, dd);
        loop {
            if restart {
                pairs.clear();
                memory.gram = Gram::default();
                problem.space().axpby(-1.0, g, 0.0, d)?;
                (slope, dd) = (-gg, gg);
                outcome.restarted = true;
            }

            let first = if pairs.is_empty() { memory.step_norm / point.gradient_norm } else { 1.0 };
            let (mut trial_gg, mut evaluation) = (f64::NAN, None);
            let (trial_x, trial_g) = (&mut self.trial_parameters, &mut self.trial_gradient);
            let most = settings.line_search.most(problem, |evaluations| settings.step(evaluations));
            let found = settings.line_search.search(most, (point.loss, slope), first, |alpha| {
                problem.space().combine(&[(1.0, x), (alpha, d)], trial_x)?;
                let loss = evaluation.insert(problem.loss_and_gradient(trial_x, trial_g)?).loss();
                let [slope, norm2] = problem.space().dots([(trial_g, d), (trial_g, trial_g)])?;
                trial_gg = norm2;
                Ok((loss, slope))
            })?;
            outcome.evaluations += found.evaluations;
            if let Some(evaluation) = evaluation.filter(|_| found.verdict != Verdict::Failed) {
                return Ok(Some(LbfgsStep { trial: found.trial, evaluation, gg: trial_gg, dd }));
            }
            if outcome.restarted {
                return Ok(None);
            }
            restart = true; // down the gradient, from a small first step
            memory.step_norm = f64::min(point.gradient_norm, 1e-2);
        }
    }
}

/// A step that lowered the loss.
struct LbfgsStep<P: Problem> {
    trial: Trial,
    evaluation: P::Evaluation,
    /// gᵀg at its end, and dᵀd.
    gg: f64,
    dd: f64,
}

impl Gram {
    fn len(&self) -> usize {
        self.sy.len()
    }

    fn push(&mut self, sy: Vec<f64>, yy: Vec<f64>) {
        self.sy.push_back(sy);
        self.yy.push_back(yy);
    }

    /// Forgets the oldest pair.
    fn pop(&mut self) {
        for rows in [&mut self.sy, &mut self.yy] {
            rows.pop_front();
            for row in rows {
                row.remove(0);
            }
        }
    }

    /// Hg from sᵢᵀg and yᵢᵀg: its coefficients on each pair's s and y, and on g. The two loops of Nocedal and Wright,
    /// algorithm 7.4, on coefficients instead of vectors (Chen, Wang and Zhou, *Large-scale L-BFGS using MapReduce*,
    /// NIPS 2014).
    fn two_loops(&self, sg: &[f64], yg: &[f64]) -> (Vec<(f64, f64)>, f64) {
        let Self { sy, yy } = self;
        let k = self.len();
        if k == 0 {
            return (Vec::new(), 1.0);
        }
        // q = g + Σ bᵢ yᵢ
        let mut b = vec![0.0; k];
        for i in (0..k).rev() {
            let sq = sg[i] + (i + 1..k).map(|j| b[j] * sy[j][i]).sum::<f64>();
            b[i] = -sq / sy[i][i];
        }
        let gamma = sy[k - 1][k - 1] / yy[k - 1][k - 1];
        // r = γq + Σ aᵢ sᵢ
        let mut a = vec![0.0; k];
        for i in 0..k {
            let yq = yg[i] + (0..k).map(|j| b[j] * yy[i.max(j)][i.min(j)]).sum::<f64>();
            let yr = gamma * yq + (0..i).map(|j| a[j] * sy[i][j]).sum::<f64>();
            a[i] = -b[i] - yr / sy[i][i];
        }
        (a.into_iter().zip(b.iter().map(|b| gamma * b)).collect(), gamma)
    }
}

impl<P: Problem> Optimiser<P> for Lbfgs<P> {
    fn step(&mut self, problem: &mut P) -> Result<Outcome> {
        let mut outcome = self.point.before_step(self.settings.gradient_tolerance);
        outcome.stop = outcome.stop.or(self.memory.lowest.stop()).or(unaffordable(problem, self.settings.step(1)));
        if outcome.stop.is_some() {
            return Ok(outcome);
        }
        let Some(LbfgsStep { trial, evaluation, gg, dd }) = self.search(problem, &mut outcome)? else {
            outcome.stop = unaffordable(problem, self.settings.step(1)).or(Some(Stop::LineSearchFailed));
            return Ok(outcome);
        };

        let Trial { step: alpha, loss, .. } = trial;
        let Self { point, memory, .. } = self;
        point.move_to((&mut self.trial_parameters, &mut self.trial_gradient), evaluation, gg.sqrt());
        memory.step_norm = alpha * dd.sqrt();
        memory.lowest.note(point);
        outcome = Outcome {
            loss,
            gradient_norm: point.gradient_norm,
            step_norm: memory.step_norm,
            step_length: alpha,
            ..outcome
        };
        self.update_pairs(problem.space(), outcome.step_norm.powi(2))?;
        Ok(outcome)
    }

    fn snapshot(&self) -> Snapshot<'_, P> {
        self.point.snapshot()
    }

    fn memory(&self) -> (Vec<(String, Vector<P>)>, String) {
        let mut vectors = named([("gradient", &self.point.gradient), ("direction", &self.direction)]);
        for (i, (s, y)) in self.pairs.iter().enumerate() {
            vectors.extend([(format!("s.{i}"), s.clone()), (format!("y.{i}"), y.clone())]);
        }
        (vectors, to_json(&self.memory))
    }
}

#[cfg(test)]
mod tests {
    use super::super::quadratic::Quadratic;
    use super::super::space::Euclidean;
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// H of the BFGS formula (Nocedal and Wright, equation 6.17), H₀ = γI, times g.
    fn dense(pairs: &[(Vec<f64>, Vec<f64>)], g: &[f64]) -> Vec<f64> {
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let (n, (s, y)) = (g.len(), &pairs[pairs.len() - 1]);
        let gamma = dot(s, y) / dot(y, y);
        let mut h: Vec<Vec<f64>> = (0..n).map(|i| (0..n).map(|j| if i == j { gamma } else { 0.0 }).collect()).collect();
        for (s, y) in pairs {
            let rho = 1.0 / dot(s, y);
            let hy: Vec<f64> = h.iter().map(|row| dot(row, y)).collect();
            let yhy = dot(y, &hy);
            for i in 0..n {
                for j in 0..n {
                    h[i][j] += rho * (rho * yhy + 1.0) * s[i] * s[j] - rho * (hy[i] * s[j] + s[i] * hy[j]);
                }
            }
        }
        h.iter().map(|row| dot(row, g)).collect()
    }

    #[test]
    fn the_two_loops_on_products_are_the_formula_on_matrices() -> Result<()> {
        let mut random = ChaCha8Rng::seed_from_u64(2);
        let (space, n) = (Euclidean::new(6), 6);
        let mut vector = || -> Vec<f64> { (0..n).map(|_| random.random_range(-1.0..1.0)).collect() };
        let (mut gram, mut pairs) = (Gram::default(), Vec::new());
        let g = vector();
        for _ in 0..9 {
            let (s, mut y) = (vector(), vector());
            space.axpby(2.0, &s, 0.1, &mut y)?;
            assert!(space.dot(&s, &y)? > 0.0);
            pairs.push((s, y));
            if pairs.len() == 5 {
                pairs.remove(0);
                gram.pop();
            }
            let (_, y) = &pairs[pairs.len() - 1];
            let with = |of: &Vec<f64>| -> (Vec<f64>, Vec<f64>) {
                let product = |v: &Vec<f64>| v.iter().zip(of).map(|(a, b)| a * b).sum::<f64>();
                pairs.iter().map(|(s, y)| (product(s), product(y))).unzip()
            };
            let (sy, yy) = with(y);
            gram.push(sy, yy);
            let (sg, yg) = with(&g);
            let (of_pairs, of_g) = gram.two_loops(&sg, &yg);
            let mut hg = g.iter().map(|g| of_g * g).collect();
            for ((s, y), (a, b)) in pairs.iter().zip(of_pairs) {
                space.axpby(a, s, 1.0, &mut hg)?;
                space.axpby(b, y, 1.0, &mut hg)?;
            }
            for (got, want) in hg.iter().zip(dense(&pairs, &g)) {
                assert!((got - want).abs() < 1e-10 * (1.0 + want.abs()), "{} pairs: {got}, not {want}", pairs.len());
            }
        }
        Ok(())
    }

    #[test]
    fn exact_searches_minimise_a_quadratic_in_as_many_steps_as_it_has_eigenvalues() -> Result<()> {
        let mut problem = Quadratic::new(&[1.0, 3.0, 10.0, 40.0].repeat(3));
        let line_search = LineSearch { curvature: 1e-8, ..LineSearch::default() };
        let settings = LbfgsSettings { line_search, ..LbfgsSettings::default() };
        let mut lbfgs = Lbfgs::new(&mut problem, vec![1.0; 12], None, settings)?;
        let mut norms = vec![lbfgs.gradient_norm()];
        for _ in 0..4 {
            norms.push(lbfgs.step(&mut problem)?.gradient_norm);
        }
        assert!(norms[3] > 1e-3 * norms[0] && norms[4] < 1e-6 * norms[0], "{norms:?}");
        Ok(())
    }

    #[test]
    fn as_many_pairs_are_kept_as_the_memory_holds_and_none_without_curvature() -> Result<()> {
        let mut problem = Quadratic::new(&[1.0, 3.0, 10.0, 40.0, 90.0]);
        let settings = LbfgsSettings { memory: 2, ..LbfgsSettings::default() };
        let mut lbfgs = Lbfgs::new(&mut problem, vec![1.0; 5], None, settings)?;
        for step in 1..=5 {
            lbfgs.step(&mut problem)?;
            assert_eq!((lbfgs.pairs.len(), lbfgs.memory.gram.len()), (step.min(2), step.min(2)));
        }
        // x and g at a trial point beyond which the gradient falls along the step
        let before = lbfgs.pairs.clone();
        lbfgs.trial_parameters = lbfgs.point.parameters.iter().map(|x| x - 1.0).collect();
        lbfgs.trial_gradient = lbfgs.point.gradient.iter().map(|g| g + 1.0).collect();
        lbfgs.update_pairs(problem.space(), 5.0)?;
        assert_eq!(lbfgs.pairs, before);
        Ok(())
    }

    #[test]
    fn a_direction_that_is_not_downhill_is_replaced_by_the_negative_gradient() -> Result<()> {
        let mut problem = Quadratic::new(&[1.0, 10.0]);
        for direction in [vec![1.0, 10.0], vec![10.0, -1.0], vec![f64::NAN, 1.0], vec![0.0, 0.0]] {
            let mut lbfgs = Lbfgs::new(&mut problem, vec![1.0, 1.0], None, LbfgsSettings::default())?;
            lbfgs.step(&mut problem)?;
            let loss = lbfgs.point.loss;
            lbfgs.direction = direction;
            let outcome = lbfgs.step(&mut problem)?;
            assert!(outcome.restarted && outcome.stop.is_none() && outcome.loss < loss, "{outcome:?}");
            assert_eq!(lbfgs.pairs.len(), 1, "the older pair is forgotten");
        }
        Ok(())
    }
}
