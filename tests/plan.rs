//! `gpu-subset plan` as a user runs it.

use serde_json::Value;
use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gpu-subset")).args(arguments).output().unwrap()
}

/// The plan for the digits with these options.
fn plan(options: &[&str]) -> Value {
    let output = run(&[&["plan", "--json", "--no-autotune"], options].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_plan_counts_what_the_run_then_costs() {
    let folder = tempfile::tempdir().unwrap();
    let schedules: [&[&str]; 3] = [
        &["--budget", "2"],
        &["--method", "adam", "--budget", "2"],
        &["--schedule", "paper", "--subset", "1/2", "--subset-passes", "4", "--full-passes", "3", "--tolerance", "0"],
    ];
    for (i, options) in schedules.into_iter().enumerate() {
        let planned = plan(options);
        assert_eq!((planned["examples"].as_u64(), planned["parameters"].as_u64()), (Some(1437), Some(1370)));
        let fractions = planned["fractions"].as_array().unwrap();
        assert_eq!(fractions[1]["examples"], 718);
        let q = 7180.0 / 1370.0;
        assert!((fractions[1]["overdetermination"].as_f64().unwrap() - q).abs() < 1e-9);
        let (memory, seconds) = (planned["memory_bytes"].as_f64().unwrap(), planned["seconds"].as_f64().unwrap());
        assert!(memory > 1437.0 * 64.0 && seconds > 0.0 && seconds.is_finite());

        let out = folder.path().join(i.to_string());
        let train = ["train", "--json", "--no-autotune", "--out", out.to_str().unwrap()];
        let output = run(&[&train[..], options].concat());
        let record: Value = serde_json::from_slice(&output.stdout).unwrap();
        let [got, want] = [&record, &planned].map(|of| of["cost_epochs"].as_f64().unwrap());
        // a method ends its last iteration where the budget is spent, or a step before
        assert!((got / want - 1.0).abs() < 0.25, "{options:?}: {got} epochs, planned were {want}");
    }
}

#[test]
fn a_plan_is_readable_and_refuses_what_train_refuses() {
    let output = run(&["plan", "--no-autotune", "--budget", "0.5"]);
    let text = String::from_utf8(output.stdout).unwrap();
    for part in ["N = 1437", "P = 1370", "the smallest with Q ≥ 4", "memory", "sweep: ", "0.50 epochs", "time "] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
    for (options, code) in [(&["--augment", "crops"][..], 2), (&["--data", "/nowhere"], 3), (&["--subset", "1/2"], 2)] {
        let output = run(&[&["plan"], options].concat());
        assert_eq!(output.status.code(), Some(code), "{options:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
