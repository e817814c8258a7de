//! What a run may cost, and what it then costs; more of it for a run that was made already.

#[path = "common/mod.rs"]
mod common;

use common::program::{json, refused, run};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// What a run came to.
fn train(out: &Path, options: &[&str]) -> Value {
    let output = run(&[&["train", "--no-autotune", "--out", out.to_str().unwrap()], options].concat());
    assert!(output.status.success(), "{options:?}: {}", String::from_utf8_lossy(&output.stderr));
    json(&out.join("run.json"))
}

#[test]
fn a_stage_spends_no_more_than_its_passes_and_a_run_no_more_than_its_plan() {
    let Some(_gpu) = common::gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let full = |method, passes| vec!["--schedule", "full", "--method", method, "--full-passes", passes];
    let mut runs: Vec<(Vec<&str>, f64)> = ["kfac", "lbfgs", "ncg", "gauss-newton"].map(|m| (full(m, "8"), 8.0)).into();
    runs.push((full("ncg", "5"), 5.0));
    // with fewer examples the factors of a first step, which there is in any case, cost more than its passes
    let growing = ["--schedule", "growing", "--subset", "1/4", "--full-passes", "6", "--subset-passes", "6"];
    runs.push((growing.into(), 6.0));
    runs.push((vec!["--schedule", "paper", "--subset", "3/3", "--full-passes", "4", "--subset-passes", "5"], 5.0));
    for (i, (options, most)) in runs.iter().enumerate() {
        let options = [&options[..], &["--tolerance", "0"]].concat();
        let record = train(&folder.path().join(i.to_string()), &options);
        for stage in record["stages"].as_array().unwrap() {
            let passes = stage["passes"].as_f64().unwrap();
            assert!(passes <= *most && stage["iterations"].as_u64().unwrap() > 0, "{options:?}: {record:#}");
        }
        let output = run(&[&["plan", "--json", "--no-autotune"], &options[..]].concat());
        let planned: Value = serde_json::from_slice(&output.stdout).unwrap();
        let (cost, at_most) = (record["cost_epochs"].as_f64().unwrap(), planned["cost_epochs"].as_f64().unwrap());
        assert!(cost <= at_most, "{options:?}: costs {cost}, planned were {at_most}");
        let [network, about] = [&record, &planned].map(|of| of["network_epochs"].as_f64().unwrap());
        assert!(network < cost && about < at_most, "{options:?}: {network} of {cost}, {about} of {at_most}");
    }
}

#[test]
fn a_budget_below_the_first_step_is_refused_before_anything_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let arguments = ["train", "--budget", "0.1", "--adapter", "no such", "--out", out.to_str().unwrap()];
    refused(&arguments, 2, &["0.1 epochs", "first step", "raise --budget"]);
    assert!(!out.exists());
}

#[test]
fn a_run_goes_on_with_more_budget_complete_or_not() {
    let Some(_gpu) = common::gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    for (name, options) in [("sweep", &["--budget", "4"][..]), ("adam", &["--method", "adam", "--budget", "4"])] {
        let out = folder.path().join(name);
        let first = train(&out, options);
        let path = out.to_str().unwrap();
        refused(&["train", "--resume", path], 2, &["complete", "more than its --budget of 4 epochs"]);
        refused(&["train", "--resume", path, "--budget", "3"], 2, &["--budget 3", "4 epochs already"]);
        let steps = fs::read_to_string(out.join("steps.jsonl")).unwrap();
        let output = run(&["train", "--no-autotune", "--resume", path, "--budget", "7"]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stderr}");
        assert_eq!(stderr.matches("note: the budget is 7 epochs in place of 4 epochs").count(), 1, "{stderr}");
        let second = json(&out.join("run.json"));
        let [a, b] = [&first, &second].map(|record| record["cost_epochs"].as_f64().unwrap());
        assert!((3.8..4.2).contains(&a) && (6.8..7.2).contains(&b), "{a} {b}");
        assert_ne!(first["weights_sha256"], second["weights_sha256"]);
        let now = fs::read_to_string(out.join("steps.jsonl")).unwrap();
        assert!(now.len() > steps.len() && now.starts_with(&steps), "what was done stays");
        assert!(fs::read_to_string(out.join("config.toml")).unwrap().contains("prepared_for"));
        assert!(run(&["eval", path]).status.success());
    }
    let out = folder.path().join("paper");
    train(&out, &["--schedule", "paper", "--subset-passes", "4", "--full-passes", "3"]);
    refused(&["train", "--resume", out.to_str().unwrap(), "--budget", "9"], 2, &["--budget 9", "passes, no budget"]);
}
