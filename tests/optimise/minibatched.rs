//! The rules for mini-batches on a least-squares problem: Adam, stochastic gradient descent and Muon next to PyTorch,
//! whose values `torch_values.py` made, and to the minimum.

use crate::regression::{EXAMPLES, FEATURES, Regression};
use gpu_subset::cost::Units;
use gpu_subset::error::Result;
use gpu_subset::optimise::{
    Adam, BatchPlan, Decay, Importance, Minibatched, Muon, Optimiser, Outcome, Problem, Sgd, State, Stop, Sweep,
    UpdateRule,
};
use serde::Deserialize;

/// Three mini-batches an epoch, two a step.
const BATCH_PLAN: BatchPlan = BatchPlan {
    learning_rate: 0.1,
    batch: EXAMPLES / 3,
    warm_up: 0.0,
    decay: Decay::Linear,
    select: false,
    screen: false,
    average: false,
    batches_per_step: 2,
    importance: Importance::USUAL,
    spread: false,
};

/// Of the order of the examples.
const SEED: u64 = 5;

/// Epochs that most runs may cost.
const EPOCHS: f64 = 3.0;

/// A matrix that is zero has no length of a step.
const START: [f64; FEATURES] = [0.5, -0.25, 0.5, 1.0, -0.75];

/// Either rule with its choices.
#[derive(Clone, Copy, Debug)]
enum AnyRule {
    Adam(Adam),
    Sgd(Sgd),
    Sweep(Sweep),
    Muon(Muon),
}

/// A rule, and the epochs that a run of it may cost.
#[derive(Clone, Copy, Debug)]
struct Method {
    rule: AnyRule,
    epochs: f64,
}

type Running = Box<dyn Optimiser<Regression>>;

impl Method {
    fn budget(self) -> Units {
        Units::of_passes(self.epochs, EXAMPLES)
    }

    fn start(self, problem: &mut Regression) -> Result<Running> {
        fn start<R: UpdateRule<Regression>>(problem: &mut Regression, rule: R, budget: Units) -> Result<Running> {
            Ok(Box::new(Minibatched::new(problem, START.to_vec(), rule, budget, SEED)?))
        }
        match self.rule {
            AnyRule::Adam(rule) => start(problem, rule, self.budget()),
            AnyRule::Sgd(rule) => start(problem, rule, self.budget()),
            AnyRule::Sweep(rule) => start(problem, rule, self.budget()),
            AnyRule::Muon(rule) => start(problem, rule, self.budget()),
        }
    }

    fn resume(self, problem: &Regression, state: &State<Vec<f64>>) -> Result<Running> {
        let budget = self.budget();
        Ok(match self.rule {
            AnyRule::Adam(rule) => Box::new(Minibatched::resume(problem, state, rule, budget, SEED)?),
            AnyRule::Sgd(rule) => Box::new(Minibatched::resume(problem, state, rule, budget, SEED)?),
            AnyRule::Sweep(rule) => Box::new(Minibatched::resume(problem, state, rule, budget, SEED)?),
            AnyRule::Muon(rule) => Box::new(Minibatched::resume(problem, state, rule, budget, SEED)?),
        })
    }

    fn with_epochs(self, epochs: f64) -> Self {
        Self { epochs, ..self }
    }
}

fn adam(batches: BatchPlan) -> Method {
    Method { rule: AnyRule::Adam(Adam { batches, ..Adam::default() }), epochs: EPOCHS }
}

/// With momentum 0.9.
fn sgd(batches: BatchPlan, nesterov: bool) -> Method {
    Method { rule: AnyRule::Sgd(Sgd { nesterov, batches, momentum: 0.9 }), epochs: EPOCHS }
}

/// Refreshes its factors every fourth update.
fn sweep(batches: BatchPlan) -> Method {
    let rule = Sweep { refresh_every: 4, divergence: Some(1e-3), batches, ..Sweep::default() };
    Method { rule: AnyRule::Sweep(rule), epochs: EPOCHS }
}

/// Four of the features are a matrix, the first is not.
fn muon(batches: BatchPlan, hold: bool) -> Method {
    Method { rule: AnyRule::Muon(Muon { hold, adam_rate: 0.1, momentum: 0.9, batches }), epochs: EPOCHS }
}

/// Every rule, with averaging and without.
fn methods(batches: BatchPlan) -> impl Iterator<Item = Method> {
    [false, true].into_iter().flat_map(move |average| {
        let batches = BatchPlan { average, ..batches };
        [adam(batches), sgd(batches, false), sgd(batches, true), sweep(batches), muon(batches, false)]
    })
}

/// And one with a matrix whose norm does not change, so that it ends elsewhere.
fn methods_that_go_on(batches: BatchPlan) -> impl Iterator<Item = Method> {
    methods(batches).chain([muon(batches, true)])
}

#[derive(Deserialize)]
struct Values {
    runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Run {
    rule: String,
    /// Of each mini-batch, before its update.
    losses: Vec<f64>,
    /// After it.
    parameters: Vec<Vec<f64>>,
}

#[test]
fn three_updates_are_those_of_pytorch() -> Result<()> {
    fn compare(rule: Method, theirs: &Run) -> Result<()> {
        let mut problem = Regression { in_turn: true, ..Regression::new() };
        let mut method = rule.start(&mut problem)?;
        assert_eq!(theirs.parameters.len(), 3);
        for (loss, parameters) in theirs.losses.iter().zip(&theirs.parameters) {
            let outcome = method.step(&mut problem)?;
            assert!((outcome.loss - loss).abs() <= 1e-14, "{}: {} {loss}", theirs.rule, outcome.loss);
            for (x, y) in method.parameters().iter().zip(parameters) {
                assert!(
                    (x - y).abs() <= if theirs.rule.starts_with("Muon") { 1e-12 } else { 1e-14 },
                    "{}: {x} {y}",
                    theirs.rule
                );
            }
        }
        Ok(())
    }
    let values: Values = serde_json::from_str(include_str!("torch_values.json")).expect("what the script prints");
    assert_eq!(values.runs.len(), 6);
    let batches = BatchPlan { batches_per_step: 1, ..BATCH_PLAN };
    for theirs in &values.runs {
        match theirs.rule.as_str() {
            "Adam" => compare(adam(batches), theirs)?,
            "Adam, other choices" => {
                let other = Adam { beta1: 0.8, beta2: 0.95, epsilon: 1e-2, batches };
                compare(Method { rule: AnyRule::Adam(other), epochs: EPOCHS }, theirs)
            }?,
            "SGD" => compare(sgd(batches, false), theirs)?,
            "SGD, Nesterov" => compare(sgd(batches, true), theirs)?,
            "Muon" => compare(muon(batches, false), theirs)?,
            "Muon, held" => compare(muon(batches, true), theirs)?,
            other => panic!("{other}"),
        }
    }
    Ok(())
}

#[test]
fn the_average_is_that_of_the_iterates() -> Result<()> {
    let rule = |average| adam(BatchPlan { average, batches_per_step: 1, ..BATCH_PLAN });
    let (mut problem, mut other_problem) = (Regression::new(), Regression::new());
    let mut plain = rule(false).start(&mut problem)?;
    let mut averaged = rule(true).start(&mut other_problem)?;
    let mut expected = [f64::NAN; FEATURES];
    for t in 1..=9 {
        plain.step(&mut problem)?;
        averaged.step(&mut other_problem)?;
        // (η + 1)/(t + η), η = 7
        let weight = 8.0 / (f64::from(t) + 7.0);
        for (mean, x) in expected.iter_mut().zip(plain.parameters()) {
            *mean = if t == 1 { *x } else { (1.0 - weight) * *mean + weight * x };
        }
        for (mean, expected) in averaged.parameters().iter().zip(expected) {
            assert!((mean - expected).abs() <= 1e-15, "{t}: {mean} {expected}");
        }
    }
    Ok(())
}

#[test]
fn a_learning_rate_that_falls_leads_to_the_minimum() -> Result<()> {
    let (minimiser, minimum) = Regression::new().minimum()?;
    assert!(minimum > 1e-3, "the examples contradict one another: {minimum}");
    let batches = BatchPlan { learning_rate: 0.05, warm_up: 5.0, ..BATCH_PLAN };
    for rule in methods(batches).map(|method| method.with_epochs(300.0)) {
        let mut problem = Regression::new();
        let mut method = rule.start(&mut problem)?;
        while method.step(&mut problem)?.stop.is_none() {}
        let x = method.parameters();
        let excess = problem.evaluate(x, 0..EXAMPLES, &mut START.clone()) - minimum;
        let distance = x.iter().zip(&minimiser).map(|(x, y)| (x - y).powi(2)).sum::<f64>().sqrt();
        println!("{rule:?}: {excess:e} above the minimum, {distance:e} from it");
        // a step of the sweep or of Muon is as long as its radius, however small the gradient: it ends within the last
        // few of them
        let is_long = matches!(rule.rule, AnyRule::Sweep(_) | AnyRule::Muon(_));
        let (most, farthest) = if is_long { (1e-5, 1e-2) } else { (1e-7, 1e-3) };
        assert!((0.0..=most).contains(&excess) && distance <= farthest, "{rule:?}: {excess:e}, {distance:e}");
    }
    Ok(())
}

#[test]
fn a_resumed_run_is_the_same_run_bit_for_bit() -> Result<()> {
    for rule in methods_that_go_on(BATCH_PLAN).map(|method| method.with_epochs(10.0)) {
        let (mut problem, mut other_problem) = (Regression::new(), Regression::new());
        let mut whole = rule.start(&mut problem)?;
        let mut resumed = rule.start(&mut other_problem)?;
        for step in 0..20 {
            if [0, 1, 2, 7, 13, 16].contains(&step) {
                // Nothing but the state survives, as bytes.
                let bytes = resumed.state().convert(|v| Ok(v.iter().map(|x| x.to_le_bytes()).collect::<Vec<_>>()))?;
                let state: State<Vec<f64>> =
                    bytes.convert(|v| Ok(v.iter().map(|&x| f64::from_le_bytes(x)).collect()))?;
                let memory = other_problem.memory();
                other_problem = Regression::new();
                other_problem.remember(&memory)?;
                resumed = rule.resume(&other_problem, &state)?;
            }
            let (expected, outcome) = (whole.step(&mut problem)?, resumed.step(&mut other_problem)?);
            assert_eq!(outcome, expected, "{rule:?} {step}");
            assert_eq!(resumed.state(), whole.state(), "{rule:?} {step}");
            assert_eq!(outcome.stop.is_some(), step >= 15, "{rule:?} {step}: the state knows the schedule");
        }
    }
    Ok(())
}

#[test]
fn a_step_that_is_paused_is_the_same_step_in_parts_here_or_elsewhere() -> Result<()> {
    let plan = BatchPlan { batches_per_step: 5, ..BATCH_PLAN };
    for rule in methods_that_go_on(plan).map(|method| method.with_epochs(10.0)) {
        for is_moved in [false, true] {
            let mut problem = Regression { cost_of_look: 40, ..Regression::new() };
            let mut paused_problem = Regression { pause_every: 2, cost_of_look: 40, ..Regression::new() };
            let mut whole = rule.start(&mut problem)?;
            let mut paused = rule.start(&mut paused_problem)?;
            let (mut pauses, mut stop) = (0, None);
            while stop.is_none() {
                let expected = whole.step(&mut problem)?;
                let mut outcome = paused.step(&mut paused_problem)?;
                while outcome.stop == Some(Stop::Paused) {
                    pauses += 1;
                    assert_eq!(paused.iteration(), whole.iteration() - 1, "{rule:?}: no step yet");
                    if is_moved {
                        let (state, memory) = (paused.state(), paused_problem.memory());
                        let Regression { minibatches, looks, .. } = paused_problem;
                        let anew = Regression { pause_every: 2, cost_of_look: 40, ..Regression::new() };
                        paused_problem = Regression { minibatches, looks, ..anew };
                        paused_problem.remember(&memory)?;
                        paused = rule.resume(&paused_problem, &state)?;
                    }
                    outcome = paused.step(&mut paused_problem)?;
                }
                assert_eq!(outcome, expected, "{rule:?}");
                assert_eq!(paused.state(), whole.state(), "{rule:?}");
                stop = outcome.stop;
            }
            assert!(pauses > 5, "{rule:?}: {pauses}");
        }
    }
    Ok(())
}

#[test]
fn a_loss_that_is_not_finite_ends_the_run_where_it_was() -> Result<()> {
    for rule in methods(BATCH_PLAN) {
        // in the first mini-batch of all, and in the first and the second of a later step
        for breaks_at in [0, 4, 5] {
            let mut problem = Regression { breaks_at, ..Regression::new() };
            let mut method = rule.start(&mut problem)?;
            let steps = breaks_at / 2;
            for _ in 0..steps {
                assert_eq!(method.step(&mut problem)?.stop, None, "{rule:?} {breaks_at}");
            }
            let before = method.parameters().clone();
            assert_eq!(before == START, steps == 0);
            for _ in 0..2 {
                let outcome = method.step(&mut problem)?;
                assert_eq!(outcome.stop, Some(Stop::NotFinite), "{rule:?} {breaks_at}: {outcome:?}");
                assert_eq!(outcome.step_norm, 0.0);
                assert_eq!(method.parameters(), &before, "{rule:?} {breaks_at}");
                assert_eq!(method.iteration(), steps as u64, "{rule:?} {breaks_at}");
            }
        }
    }
    Ok(())
}

#[test]
fn a_divergence_ends_where_numbers_are_still_finite() -> Result<()> {
    for average in [false, true] {
        let batches = BatchPlan { learning_rate: 1e3, decay: Decay::Constant, average, ..BATCH_PLAN };
        let mut problem = Regression::new();
        let mut method = sgd(batches, false).start(&mut problem)?;
        let stop = (0..1000).find_map(|_| method.step(&mut problem).map(|outcome| outcome.stop).transpose());
        assert_eq!(stop.transpose()?, Some(Stop::NotFinite));
        assert!(method.iteration() > 10 && method.parameters().iter().all(|x| x.is_finite()));
    }
    Ok(())
}

#[test]
fn the_schedule_ends_and_with_it_the_run() -> Result<()> {
    for rule in methods(BATCH_PLAN) {
        let mut problem = Regression::new();
        let mut method = rule.start(&mut problem)?;
        let mut taken = Vec::new();
        let end = loop {
            let outcome = method.step(&mut problem)?;
            if outcome.stop.is_some() {
                break outcome;
            }
            taken.push(outcome);
        };
        assert_eq!(end.stop, Some(Stop::ScheduleEnded), "{rule:?}");
        let evaluations: Vec<usize> = taken.iter().map(|outcome| outcome.evaluations).collect();
        assert_eq!((evaluations, problem.minibatches), (vec![2, 2, 2, 2, 1], 9), "{rule:?}");
        for (outcome, updates) in taken.iter().zip([1.0, 3.0, 5.0, 7.0, 8.0]) {
            let rate = 0.1 * (1.0 - updates / 9.0);
            assert!((outcome.step_length - rate).abs() <= 1e-16, "{rule:?}: {outcome:?}, not {rate}");
        }

        let before = method.state();
        let again = method.step(&mut problem)?;
        let stays = Outcome { evaluations: 0, step_norm: 0.0, ..end };
        assert_eq!((again, method.state(), problem.minibatches), (stays, before, 9), "{rule:?}");
    }
    Ok(())
}

#[test]
fn what_comes_before_the_first_update_is_part_of_the_budget() -> Result<()> {
    let mut problem = Regression { cost_of_refresh: EXAMPLES, ..Regression::new() };
    let mut method = sweep(BATCH_PLAN).start(&mut problem)?;
    let outcome = method.step(&mut problem)?;
    // a refresh from all examples, and two mini-batches, whose second is taken at the rate after four of nine
    assert_eq!((outcome.evaluations, problem.refreshes, problem.minibatches), (2, 1, 2));
    assert!((outcome.step_length - 0.1 * (1.0 - 4.0 / 9.0)).abs() <= 1e-16, "{outcome:?}");
    while method.step(&mut problem)?.stop.is_none() {}
    assert_eq!((problem.refreshes, problem.minibatches), (1, 6));
    Ok(())
}
