//! Methods of the library on a loss.

use crate::device::check_caller;
use crate::errors::OrException;
use crate::objective::PyObjective;
use crate::request::{self, asked};
use crate::watcher::{Watched, Watcher, watched};
use gpu_subset::cost::Units;
use gpu_subset::device::Interrupt;
use gpu_subset::error::Result;
use gpu_subset::objective::{Evaluation, FactorWork, Objective};
use gpu_subset::optimise::{Optimiser, Outcome, Problem, Rule};
use gpu_subset::run::Schedule;
use gpu_subset::subset::{Plan, StageOptions};
use gpu_subset::training::SubsetProblem;
use numpy::PyReadonlyArray1;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde::Serialize;

/// A step, for the history.
#[derive(Serialize)]
struct MinimiseStep {
    iteration: u64,
    #[serde(flatten)]
    outcome: Outcome,
    cross_entropy: Option<f64>,
    accuracy: Option<f64>,
    cost_epochs: f64,
}

/// Steps of a method that goes over all examples, at most, unless the caller says otherwise.
const MOST_WHOLE_STEPS: u64 = 100;

/// How far a method goes.
struct Limits {
    iterations: u64,
    /// Of mini-batches.
    budget: Option<f64>,
    /// ‖∇f‖ at which a method ends that knows it.
    tolerance: f64,
    seed: u64,
}

/// Where a method ended: parameters without gaps, and why.
struct Minimum {
    theta: Vec<f32>,
    loss: f64,
    iterations: u64,
    why: String,
    is_success: bool,
}

/// Minimises a loss from parameters `[P]`, and returns a dict: `x`, `fun`, `nit`, `message`, `success`, `history`.
#[pyfunction]
#[pyo3(signature = (
    objective, theta, method, settings, iterations=None, budget=None, tolerance=0.0, seed=0, callback=None
))]
#[expect(clippy::too_many_arguments, reason = "one for each argument of Python's")]
pub(crate) fn minimise<'py>(
    py: Python<'py>,
    objective: &PyObjective,
    theta: PyReadonlyArray1<'py, f32>,
    method: &str,
    settings: &Bound<'py, PyDict>,
    iterations: Option<u64>,
    budget: Option<f64>,
    tolerance: f64,
    seed: u64,
    callback: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let settings = asked(settings)?;
    let method = request::method(method, &settings).or_exception()?;
    let most = if matches!(method, Schedule::Stochastic(_)) { u64::MAX } else { MOST_WHOLE_STEPS };
    check_caller().or_exception()?;
    let theta = objective.expanded(&theta)?;
    let limits = Limits { iterations: iterations.unwrap_or(most), budget, tolerance, seed };
    let Watched { ended, history, raised } = watched(py, callback, |watcher| {
        let _turn = objective.device.turn_or_stop(&watcher.interrupt)?;
        let again = objective.locked().again()?;
        let gpu = again.gpu().clone();
        gpu.heed(&watcher.interrupt);
        let ended = minimum(again, &theta, &method, &limits, watcher);
        gpu.heed(&Interrupt::default());
        ended
    });
    if let Some(raised) = raised {
        return Err(raised);
    }
    let Minimum { theta, loss, iterations, why, is_success } = ended.or_exception()?;
    let found = PyDict::new(py);
    found.set_item("x", objective.compact(py, &theta))?;
    found.set_item("fun", loss)?;
    found.set_item("nit", iterations)?;
    found.set_item("message", why)?;
    found.set_item("success", is_success)?;
    found.set_item("history", history)?;
    Ok(found)
}

fn minimum(
    objective: Objective,
    theta: &[f32],
    method: &Schedule,
    limits: &Limits,
    watcher: &mut Watcher,
) -> Result<Minimum> {
    let examples = objective.len();
    let mut problem = SubsetProblem::new(objective)?;
    let theta = problem.space().upload(theta)?;
    let mut optimiser = match method {
        Schedule::Paper(method) | Schedule::Growing(method) | Schedule::Full(method) => {
            method.start(&mut problem, theta, None)?
        }
        Schedule::Stochastic(rule) => {
            let (rule, budget) = resolved(&problem, *rule, limits.budget);
            watcher.planned = budget.count();
            problem.prepare(&rule)?;
            rule.start(&mut problem, theta, budget, limits.seed)?
        }
    };
    let (why, is_success) = loop {
        if optimiser.iteration() >= limits.iterations {
            break ("the most iterations that were asked for".to_owned(), false);
        }
        if optimiser.gradient_norm() <= limits.tolerance {
            break ("the gradient is within the tolerance".to_owned(), true);
        }
        let outcome = optimiser.step(&mut problem)?;
        tell(&*optimiser, &problem, outcome, examples, watcher);
        if let Some(stop) = outcome.stop {
            break (stop.to_string(), true);
        }
        if watcher.is_to_stop() {
            break ("the callback stopped it".to_owned(), false);
        }
    };
    let theta = problem.space().download(optimiser.parameters())?;
    Ok(Minimum { theta, loss: optimiser.loss(), iterations: optimiser.iteration(), why, is_success })
}

/// A rule within its budget, as a run has it.
fn resolved(problem: &SubsetProblem, rule: Rule, budget: Option<f64>) -> (Rule, Units) {
    let (objective, examples) = (problem.objective(), problem.objective().len());
    let model = &objective.workspace().model;
    let units = budget.map(|epochs| Units::of_passes(epochs, examples));
    let plan = Plan::stochastic(rule, units, examples, &StageOptions::default())
        .suiting(|looks| FactorWork::of(model, looks).units(model));
    (plan.rule().copied().unwrap_or(rule), plan.budget().unwrap_or_default())
}

fn tell(
    optimiser: &dyn Optimiser<SubsetProblem>,
    problem: &SubsetProblem,
    outcome: Outcome,
    examples: usize,
    watcher: &mut Watcher,
) {
    let of = |value: fn(&Evaluation) -> f64| optimiser.snapshot().evaluation.map(value);
    let units = problem.cost().units();
    let step = MinimiseStep {
        iteration: optimiser.iteration(),
        outcome,
        cross_entropy: of(|found| found.cross_entropy),
        accuracy: of(|found| found.accuracy),
        cost_epochs: units.passes(examples),
    };
    watcher.tell(step, units.count());
}
