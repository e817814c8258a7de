//! The charts of some runs.

use super::chart::{Axis, Chart, Mark, Scale, Series};
use super::history::History;
use crate::subset::{StageKind, StageReport, StepRecord};

const COST: Axis = Axis { label: "cost, epochs", scale: Scale::FromZero };
const TIME: Axis = Axis { label: "wall time, s", scale: Scale::FromZero };
const LOSS: Axis = Axis { label: "cross entropy", scale: Scale::Log };
const ACCURACY: Axis = Axis { label: "accuracy", scale: Scale::Percent };

/// A number that a record may have.
type Of<R> = fn(&R) -> Option<f64>;

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

/// What is drawn of a run's progress: of each step, of each validation, of each stage's end.
struct Quantity {
    axis: Axis,
    of_step: Of<StepRecord>,
    of_validation: Of<StepRecord>,
    of_stage: Of<StageReport>,
}

const LOSSES: Quantity = Quantity {
    axis: LOSS,
    // an earlier version has the loss alone, weight decay included; a step that was not taken has neither
    of_step: |step| step.cross_entropy.or(step.outcome.rejected.is_none().then_some(step.outcome.loss)),
    of_validation: |step| step.held_out.map(|found| found.loss),
    of_stage: |stage| stage.test_loss,
};

const ACCURACIES: Quantity = Quantity {
    axis: ACCURACY,
    of_step: |step| step.accuracy,
    of_validation: |step| step.held_out.map(|found| found.accuracy),
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
        let of_steps = |of: Of<StepRecord>| -> Vec<(f64, f64)> {
            run.steps.iter().filter_map(|step| Some((at(step), of(step)?))).collect()
        };
        let ends = run.stage_ends().filter_map(|(step, stage)| Some((at(step), (quantity.of_stage)(stage)?)));
        let kinds = [
            ("training", Mark::None, of_steps(quantity.of_step)),
            ("held-out", Mark::Circles, of_steps(quantity.of_validation)),
            ("test", Mark::Triangles, ends.collect()),
        ];
        for (kind, (what, mark, points)) in kinds.into_iter().enumerate() {
            let (label, colour) = labelled(runs, i, kind, what);
            series.push(Series { label, colour, mark, joined: mark != Mark::Triangles, points });
        }
    }
    let caption =
        "Line: over what each step worked on; circles: held-out examples; triangles: test set, at the end of a stage.";
    Chart { name, title, caption: caption.to_owned(), x, y: quantity.axis, series }
}

/// Where a subset's minimum stands for the full set's: the cross entropies at the end of each subset stage.
fn minima(runs: &[History]) -> Chart {
    let kinds: [(&str, Mark, Of<StageReport>); 3] = [
        ("subset", Mark::Circles, |stage| stage.cross_entropy),
        ("training set", Mark::Crosses, |stage| stage.train_loss),
        ("test set", Mark::Triangles, |stage| stage.test_loss),
    ];
    // a run in progress does not say what it works on, so it stands alone
    let works_on = |run: &History| run.record.as_ref().map(|record| (record.data_sha256.clone(), record.model.clone()));
    let mut families: Vec<Vec<&History>> = Vec::new();
    for run in runs {
        let is_like = |family: &&mut Vec<&History>| run.record.is_some() && works_on(family[0]) == works_on(run);
        match families.iter_mut().find(is_like) {
            Some(family) => family.push(run),
            None => families.push(vec![run]),
        }
    }
    let mut series = Vec::new();
    for family in &families {
        let stages = || family.iter().flat_map(|run| &run.stages).filter(|stage| stage.stage == StageKind::Subset);
        for (colour, (what, mark, of)) in kinds.into_iter().enumerate() {
            let mut points: Vec<_> = stages().filter_map(|stage| Some((stage.overdetermination, of(stage)?))).collect();
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            series.push(Series { label: what.to_owned(), colour, mark, joined: true, points });
        }
    }
    Chart {
        name: "minima",
        title: "Subset minimum and full-set loss by Q",
        caption: "Cross entropies where each subset stage ended, over the subset itself, the whole training set and \
                  the test set. Lines join what is of the same data and model."
            .to_owned(),
        x: Axis { label: "Q = K·M/P of the subset", scale: Scale::Log },
        y: LOSS,
        series,
    }
}

fn one_line_each(runs: &[History], of: Of<StepRecord>) -> Vec<Series> {
    let line = |(i, run): (usize, &History)| {
        let points = run.steps.iter().filter_map(|step| Some((step.cost_epochs, of(step)?))).collect();
        let label = if runs.len() == 1 { String::new() } else { distinct(runs, &run.name) };
        Series { label, colour: i, mark: Mark::None, joined: true, points }
    };
    runs.iter().enumerate().map(line).collect()
}

/// Of one run, colours tell kinds apart; of several, the runs.
fn labelled(runs: &[History], run: usize, kind: usize, what: &str) -> (String, usize) {
    match (runs.len(), kind) {
        (1, _) => (what.to_owned(), kind),
        (_, 0) => (distinct(runs, &runs[run].name), run),
        _ => (String::new(), run),
    }
}

/// A run's name without the parts, between dashes, with which the names of all begin and end, but for one that leads
/// over.
fn distinct(runs: &[History], name: &str) -> String {
    let parts = |name: &str| name.split('-').map(str::to_owned).collect::<Vec<_>>();
    let mine = parts(name);
    let others: Vec<Vec<String>> = runs.iter().map(|run| parts(&run.name)).collect();
    let shortest = others.iter().map(Vec::len).min().unwrap_or(0);
    let first = (0..shortest).take_while(|&i| others.iter().all(|of| of[i] == mine[i])).count();
    let last = |of: &[String], i: usize| of[of.len() - 1 - i].clone();
    let same = |&i: &usize| others.iter().all(|of| last(of, i) == last(&mine, i));
    let behind = (0..shortest.saturating_sub(first + 1)).take_while(same).count();
    mine[first.saturating_sub(1)..mine.len() - behind].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_legend_says_what_tells_runs_apart() {
        let labels = |names: &[&str]| {
            let runs: Vec<_> = names.iter().map(|name| history(name, Vec::new(), Vec::new())).collect();
            names.iter().map(|name| distinct(&runs, name)).collect::<Vec<_>>()
        };
        let flip = labels(&["augment-flip-budget-6-data-mnist-seed-0", "budget-16-data-mnist-seed-0"]);
        assert_eq!(flip, ["augment-flip-budget-6", "budget-16"]);
        assert_eq!(labels(&["mnist-seed-0", "mnist-seed-1"]), ["seed-0", "seed-1"]);
        assert_eq!(labels(&["a", "b"]), ["a", "b"]);
        assert_eq!(labels(&["run", "run-2"]), ["run", "run-2"]);
        assert_eq!(labels(&["same", "same"]), ["same", "same"]);
    }

    fn step(cost: f64, loss: &str, more: &str) -> StepRecord {
        let line = format!(
            r#"{{"stage":"subset","examples":10,"iteration":1,"loss":{loss},"gradient_norm":1,"step_norm":0.5,
            "step_length":1,"evaluations":1,"restarted":false,"inner_iterations":0,"units":1,"cost_epochs":{cost},
            "wall_seconds":{cost}{more}}}"#
        );
        serde_json::from_str(&line).unwrap()
    }

    fn stage(q: f64, more: &str) -> StageReport {
        let text = format!(
            r#"{{"stage":"subset","examples":10,"overdetermination":{q},"iterations":2,"passes":1,"loss":0.5,
            "gradient_reduction":0.1,
            "held_out":null,"test_accuracy":0.9,"stopped":"it was enough"{more}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    fn history(name: &str, steps: Vec<StepRecord>, stages: Vec<StageReport>) -> History {
        let evaluation = Err("none".to_owned());
        History { name: name.to_owned(), config: String::new(), record: None, steps, stages, network: None, evaluation }
    }

    fn points(charts: &[Chart], name: &str, series: usize) -> Vec<(f64, f64)> {
        charts.iter().find(|chart| chart.name == name).unwrap().series[series].points.clone()
    }

    #[test]
    fn curves_are_those_of_the_records() {
        let held_out = r#","held_out":{"loss":0.7,"accuracy":0.8},"accuracy":0.75,"kept":0.25,"cross_entropy":0.4,
            "radius":0.1,"damping":0.5"#;
        let steps = vec![step(0.5, "null", ""), step(1.0, "0.5", held_out)];
        let charts = charts(&[history(
            "a",
            steps,
            vec![stage(4.0, r#","cross_entropy":0.4,"train_loss":0.6,"test_loss":0.65"#)],
        )]);
        assert_eq!(points(&charts, "loss-cost", 0), [(1.0, 0.4)], "null has no place");
        assert_eq!(points(&charts, "loss-time", 1), [(1.0, 0.7)]);
        assert_eq!(points(&charts, "loss-time", 2), [(1.0, 0.65)], "the stage ended with the second step");
        assert_eq!(points(&charts, "accuracy-cost", 0), [(1.0, 0.75)]);
        assert_eq!(points(&charts, "accuracy-cost", 2), [(1.0, 0.9)]);
        for (name, value) in [("kept", 0.25), ("radius", 0.1), ("damping", 0.5)] {
            assert_eq!(points(&charts, name, 0), [(1.0, value)], "{name}");
        }
        assert_eq!(points(&charts, "step", 0), [(0.5, 0.5), (1.0, 0.5)]);
        assert_eq!(
            [0, 1, 2].map(|kind| points(&charts, "minima", kind)),
            [0.4, 0.6, 0.65].map(|loss| vec![(4.0, loss)])
        );
    }

    #[test]
    fn what_earlier_versions_did_not_record_is_left_out() {
        let old = history("old", vec![step(1.0, "0.5", "")], vec![stage(4.0, "")]);
        let charts = charts(&[old, history("new", Vec::new(), Vec::new())]);
        assert_eq!(points(&charts, "loss-cost", 0), [(1.0, 0.5)]);
        let empty: Vec<_> = charts.iter().filter(|chart| chart.is_empty()).map(|chart| chart.name).collect();
        assert_eq!(empty, ["accuracy-cost", "accuracy-time", "minima", "damping", "radius", "kept"]);
        assert_eq!(charts[0].series[0].label, "old");
    }
}
