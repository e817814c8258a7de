//! What a page begins with: what was trained, on what, how well and at which cost, in one sentence.

use super::history::History;
use super::network::grouped;
use crate::run::RunRecord;

/// The sentence, once a run is over.
pub(super) fn sentence(runs: &[History]) -> Option<String> {
    let done: Vec<(&History, &RunRecord)> = runs.iter().filter_map(|run| Some((run, run.record.as_ref()?))).collect();
    match (runs, &done[..]) {
        (_, []) => None,
        ([_], [(_, record)]) => Some(of_one(record)),
        (_, done) => Some(of_several(done)),
    }
}

fn of_one(record: &RunRecord) -> String {
    let RunRecord { model, parameters, data, cost_epochs, wall_seconds, adapter, .. } = record;
    let examples = record.test_examples().map_or(String::new(), |count| format!("{} ", grouped(count)));
    format!(
        "{model}, a network of {} parameters, was trained on {data} and classifies {} of its {examples}test images \
         right; that took {}, {cost_epochs:.2} epochs' worth of work, on {adapter}.",
        grouped(*parameters),
        percent(record.test_accuracy),
        spoken(*wall_seconds, 1)
    )
}

fn of_several(done: &[(&History, &RunRecord)]) -> String {
    let names = |of: fn(&RunRecord) -> &String| {
        let mut names: Vec<&String> = done.iter().map(|(_, record)| of(record)).collect();
        names.sort();
        names.dedup();
        names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ")
    };
    let range = |of: fn(&RunRecord) -> f64| {
        let values = done.iter().map(|(_, record)| of(record));
        values.fold([f64::INFINITY, f64::NEG_INFINITY], |[least, most], x| [least.min(x), most.max(x)])
    };
    let between = |[least, most]: [f64; 2], text: fn(f64) -> String| match [text(least), text(most)] {
        [least, most] if least == most => least,
        [least, most] => format!("{least} to {most}"),
    };
    let best = done.iter().max_by(|a, b| a.1.test_accuracy.total_cmp(&b.1.test_accuracy));
    let best = best.map_or(String::new(), |(run, _)| format!(" ({} the most)", run.name));
    format!(
        "{} runs of {} on {} classify {}{best} of the test images right, at a cost of {} epochs each.",
        done.len(),
        names(|record| &record.model),
        names(|record| &record.data),
        between(range(|record| record.test_accuracy), percent),
        between(range(|record| record.cost_epochs), |cost| format!("{cost:.2}"))
    )
}

pub(super) fn percent(share: f64) -> String {
    format!("{:.2}%", 100.0 * share)
}

/// A time as a person says it: seconds with so many decimals, or minutes or hours where these are many.
pub fn spoken(seconds: f64, decimals: usize) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.decimals$} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(name: &str, accuracy: f64, seconds: f64) -> History {
        let record = serde_json::json!({
            "test_accuracy": accuracy, "test_loss": 0.1, "train_loss": 0.1, "cost_epochs": 1.5,
            "reporting_epochs": 1.0, "wall_seconds": seconds, "parameters": 14074, "overdetermination": 1.0,
            "subset_examples": 10, "subset_sha256": "", "stages": [], "weights": "last iteration",
            "weights_sha256": "", "seed": 0, "model": "mnist-14k", "data": "mnist", "data_sha256": "",
            "adapter": "a device", "backend": "vulkan", "driver": "", "version": "",
            "balanced_accuracy": 0.9, "top_5_accuracy": 1.0, "calibration_error": 0.1,
            "classes": [{ "class": "a", "support": 10000, "precision": null, "recall": 0.5, "f1": 0.5 }]
        });
        History {
            name: name.to_owned(),
            config: String::new(),
            record: Some(serde_json::from_value(record).unwrap()),
            steps: Vec::new(),
            stages: Vec::new(),
            network: None,
            evaluation: Err("none".to_owned()),
        }
    }

    #[test]
    fn a_sentence_says_what_how_well_and_at_which_cost() {
        assert_eq!(
            sentence(&[run("a", 0.98613, 34.21)]).unwrap(),
            "mnist-14k, a network of 14,074 parameters, was trained on mnist and classifies 98.61% of its 10,000 test \
             images right; that took 34.2 s, 1.50 epochs' worth of work, on a device."
        );
        let runs = [run("a", 0.97, 600.0), run("b", 0.98, 9000.0)];
        assert_eq!(
            sentence(&runs).unwrap(),
            "2 runs of mnist-14k on mnist classify 97.00% to 98.00% (b the most) of the test images right, at a cost \
             of 1.50 epochs each."
        );
        let going_on = History { record: None, ..run("a", 0.5, 1.0) };
        assert_eq!(sentence(&[going_on]), None);
        assert_eq!([1.0, 600.0, 9000.0].map(|seconds| spoken(seconds, 1)), ["1.0 s", "10 min", "2.5 h"]);
        assert_eq!([1.4, 150.0, 9000.0].map(|seconds| spoken(seconds, 0)), ["1 s", "2 min", "2.5 h"]);
    }
}
