//! `gpu-subset plan` as a user runs it.

#[path = "common/mod.rs"]
mod common;

use common::program::{json, refused, run};
use serde_json::Value;

/// The plan for the digits with these options.
fn plan(options: &[&str]) -> Value {
    let output = run(&[&["plan", "--json", "--no-autotune"], options].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_plan_says_what_the_run_then_takes() {
    let Some(_gpu) = common::gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    // over before the measuring is; long; with looks at held-out examples; in stages whose last iterations go beyond
    // their budgets
    let schedules: [(&[&str], f64); 5] = [
        (&["--budget", "2"], 0.02),
        (&["--method", "adam", "--budget", "30"], 0.02),
        (&["--method", "muon", "--budget", "40"], 0.02),
        (&["--budget", "60", "--held-out", "1/3", "--check-every", "1"], 0.15),
        (
            &[
                "--schedule",
                "paper",
                "--subset",
                "1/2",
                "--subset-passes",
                "9",
                "--full-passes",
                "7",
                "--tolerance",
                "0",
            ],
            0.25,
        ),
    ];
    for (i, (options, tolerance)) in schedules.into_iter().enumerate() {
        let planned = plan(options);
        assert_eq!((planned["examples"].as_u64(), planned["parameters"].as_u64()), (Some(1437), Some(1370)));
        let half = &planned["fractions"][1];
        assert_eq!(half["examples"], 718);
        assert!((half["overdetermination"].as_f64().unwrap() - 7180.0 / 1370.0).abs() < 1e-9);
        assert!(planned["memory_bytes"].as_f64().unwrap() > 1437.0 * 64.0);

        let out = folder.path().join(i.to_string());
        let trained = run(&[&["train", "--no-autotune", "--out", out.to_str().unwrap()], options].concat());
        assert!(trained.status.success(), "{}", String::from_utf8_lossy(&trained.stderr));
        let record = json(&out.join("run.json"));
        let ratio = |key: &str, of: &str| record[key].as_f64().unwrap() / planned[of].as_f64().unwrap();
        let cost = ratio("cost_epochs", "cost_epochs");
        assert!((cost - 1.0).abs() < tolerance, "{options:?}: costs {cost} of what was planned");
        // other tests run beside this one, so time is only about right
        let time = ratio("wall_seconds", "seconds");
        assert!((0.2..5.0).contains(&time), "{options:?}: takes {time} of what was planned");
    }
}

#[test]
fn a_plan_is_readable_and_refuses_what_train_refuses() {
    let Some(_gpu) = common::gpu() else { return };
    let output = run(&["plan", "--no-autotune", "--budget", "0.5"]);
    let text = String::from_utf8(output.stdout).unwrap();
    for part in ["N = 1437", "P = 1370", "the smallest with Q ≥ 4", "memory", "sweep: ", "cost ", "time "] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
    refused(&["plan", "--augment", "crops"], 2, &["crops", "flip"]);
    refused(&["plan", "--data", "/nowhere"], 3, &["/nowhere"]);
    refused(&["plan", "--subset", "1/2"], 2, &["--subset"]);
    refused(&["plan", "--budget", "0"], 2, &["--budget"]);
    let too_little = ["--no-autotune", "--budget", "0.1"];
    refused(&[&["plan"], &too_little[..]].concat(), 2, &["--budget", "0.1 epochs", "first step"]);
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    refused(&[&["train", "--out", out.to_str().unwrap()], &too_little[..]].concat(), 2, &["--budget", "first step"]);
}
