//! The charts of some runs.

use super::History;
use super::chart::{Axis, Chart, Mark, Scale, Series};
use crate::subset::{Stage, StageReport, StepRecord};

const COST: Axis = Axis { label: "cost, epochs", scale: Scale::FromZero };
const TIME: Axis = Axis { label: "wall time, s", scale: Scale::FromZero };
const LOSS: Axis = Axis { label: "cross entropy", scale: Scale::Log };
const ACCURACY: Axis = Axis { label: "accuracy", scale: Scale::Percent };

/// Every chart, some of them empty.
pub fn charts(runs: &[History]) -> Vec<Chart> {
    let cost = |step: &StepRecord| step.cost_epochs;
    let time = |step: &StepRecord| step.wall_seconds;
    let parameters = |name, title, caption: &str, label, of| {
        let y = Axis { label, scale: Scale::Log };
        Chart { name, title, caption: caption.to_owned(), x: COST, y, series: one_line_each(runs, of) }
    };
    let mut kept =
        parameters("kept", "Kept share", "The share of the examples that went backward.", "share kept", |step| {
            step.kept
        });
    kept.y.scale = Scale::Percent;
    let charts = vec![
        progress(runs, ("loss-cost", "Loss against cost"), COST, cost, &LOSSES),
        progress(runs, ("loss-time", "Loss against time"), TIME, time, &LOSSES),
        progress(runs, ("accuracy-cost", "Accuracy against cost"), COST, cost, &ACCURACIES),
        progress(runs, ("accuracy-time", "Accuracy against time"), TIME, time, &ACCURACIES),
        minima(runs),
        parameters("damping", "Damping", "λ, added to the curvature.", "λ", |step| step.outcome.damping),
        parameters(
            "radius",
            "Radius of the trust region",
            "The longest step allowed, √(2 KL): KL is the divergence of the predictions by the quadratic model.",
            "√(2 KL)",
            |step| step.outcome.radius,
        ),
        kept,
        parameters("step", "Length of a step", "‖Δθ‖ of the parameters reported.", "‖Δθ‖", |step| {
            Some(step.outcome.step_norm)
        }),
    ];
    charts.into_iter().map(Chart::placed).collect()
}

/// What is drawn of a run's progress: of each step, of each look, of each stage's end.
struct Quantity {
    axis: Axis,
    steps: &'static str,
    of_step: fn(&StepRecord) -> Option<f64>,
    of_look: fn(&StepRecord) -> Option<f64>,
    of_stage: fn(&StageReport) -> Option<f64>,
}

const LOSSES: Quantity = Quantity {
    axis: LOSS,
    steps: "training (λ included)",
    of_step: |step| Some(step.outcome.loss),
    of_look: |step| step.held_out.map(|look| look.loss),
    of_stage: |stage| stage.test_loss,
};

const ACCURACIES: Quantity = Quantity {
    axis: ACCURACY,
    steps: "training",
    of_step: |step| step.accuracy,
    of_look: |step| step.held_out.map(|look| look.accuracy),
    of_stage: |stage| Some(stage.test_accuracy),
};

fn progress(
    runs: &[History],
    (name, title): (&'static str, &'static str),
    x: Axis,
    at: fn(&StepRecord) -> f64,
    quantity: &Quantity,
) -> Chart {
    let mut series = Vec::new();
    for (i, run) in runs.iter().enumerate() {
        let of_steps = |of: fn(&StepRecord) -> Option<f64>| -> Vec<(f64, f64)> {
            run.steps.iter().filter_map(|step| Some((at(step), of(step)?))).collect()
        };
        let ends = run.stage_ends().filter_map(|(step, stage)| Some((at(step), (quantity.of_stage)(stage)?)));
        let kinds = [
            (quantity.steps, Mark::Line, of_steps(quantity.of_step)),
            ("held-out", Mark::Circles, of_steps(quantity.of_look)),
            ("test", Mark::Triangles, ends.collect()),
        ];
        for (kind, (what, mark, points)) in kinds.into_iter().enumerate() {
            let (label, colour) = labelled(runs, i, kind, what);
            series.push(Series { label, colour, mark, points });
        }
    }
    let caption =
        "Line: over what each step worked on; circles: held-out examples; triangles: test set, at the end of a stage.";
    Chart { name, title, caption: caption.to_owned(), x, y: quantity.axis, series }
}

/// Where a subset's minimum stands for the full set's: the cross entropies at the end of each subset stage.
fn minima(runs: &[History]) -> Chart {
    let mut series = Vec::new();
    let kinds: [(_, _, fn(&StageReport) -> Option<f64>); 3] = [
        ("subset", Mark::Circles, |stage| stage.cross_entropy),
        ("training set", Mark::Crosses, |stage| stage.train_loss),
        ("test set", Mark::Triangles, |stage| stage.test_loss),
    ];
    for (kind, (what, mark, of)) in kinds.into_iter().enumerate() {
        for (i, run) in runs.iter().enumerate() {
            let subsets = run.stages.iter().filter(|stage| stage.stage == Stage::Subset);
            let points = subsets.filter_map(|stage| Some((stage.overdetermination, of(stage)?))).collect();
            // what it is of matters more than which run: colours are kinds
            let label = if i == 0 { what.to_owned() } else { String::new() };
            series.push(Series { label, colour: kind, mark, points });
        }
    }
    Chart {
        name: "minima",
        title: "Subset minimum and full-set loss by Q",
        caption: "Cross entropies where each subset stage ended, over the subset itself, the whole training set and the test set.".to_owned(),
        x: Axis { label: "Q = K·M/P of the subset", scale: Scale::Log },
        y: LOSS,
        series,
    }
}

fn one_line_each(runs: &[History], of: fn(&StepRecord) -> Option<f64>) -> Vec<Series> {
    let line = |(i, run): (usize, &History)| {
        let points = run.steps.iter().filter_map(|step| Some((step.cost_epochs, of(step)?))).collect();
        let label = if runs.len() == 1 { String::new() } else { run.name.clone() };
        Series { label, colour: i, mark: Mark::Line, points }
    };
    runs.iter().enumerate().map(line).collect()
}

/// Of one run, colours tell kinds apart; of several, the runs.
fn labelled(runs: &[History], run: usize, kind: usize, what: &str) -> (String, usize) {
    match (runs.len(), kind) {
        (1, _) => (what.to_owned(), kind),
        (_, 0) => (runs[run].name.clone(), run),
        _ => (String::new(), run),
    }
}
