//! Options of `train` that become a run's configuration, and what shells and `man` are told of all of them.

#[path = "common/mod.rs"]
mod common;

use common::program::{json, refused, run};
use std::fs;

#[test]
fn the_choices_of_a_sweep_are_options_and_stand_in_its_configuration() {
    let Some(_gpu) = common::gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let weights = folder.path().join("weights.toml");
    let line = |class: u32| format!("{class} = {}\n", if class == 3 { 4 } else { 1 });
    fs::write(&weights, (0..10).map(line).collect::<String>()).unwrap();
    let looks =
        ["--first-look", "96", "--look", "24", "--positions", "3", "--look-every", "7", "--look-growth", "0.25"];
    let step = ["--divergence", "4e-3", "--momentum", "0.8", "--damping", "0.05", "--batch", "48"];
    let drawn = ["--screen-one-in", "9", "--least-chance", "0.2", "--weight-power", "0.5"];
    let others = ["--screen-side", "6", "--spread", "off", "--whole-inputs", "20", "--weight-decay", "3e-3"];
    let smoothed = ["--label-smoothing", "0.1", "--class-weights", weights.to_str().unwrap()];
    let train = ["train", "--no-autotune", "--budget", "3", "--out", out.to_str().unwrap()];
    assert!(run(&[&train[..], &looks, &step, &drawn, &others, &smoothed].concat()).status.success());
    let config = out.join("config.toml");
    let text = fs::read_to_string(&config).unwrap();
    let lines = ["first = 96", "examples = 24", "positions = 3", "refresh_every = 7", "divergence = 0.004"];
    let others = ["momentum = 0.8", "damping = 0.05", "batch = 48", "one_in = 9", "least = 0.2", "power = 0.5"];
    let more = ["refresh_growth = 0.25", "side = 6", "spread = false", "whole_inputs = 20", "weight_decay = 0.003"];
    let problem = ["label_smoothing = 0.1"];
    for line in lines.iter().chain(&others).chain(&more).chain(&problem) {
        assert!(text.lines().any(|found| found == *line), "{line} is not in:\n{text}");
    }
    let again = folder.path().join("again");
    let as_before = ["train", "--config", config.to_str().unwrap(), "--out", again.to_str().unwrap()];
    assert!(run(&as_before).status.success());
    assert_eq!(json(&again.join("run.json"))["weights_sha256"], json(&out.join("run.json"))["weights_sha256"]);

    for (line, with, says) in [
        ("examples = 24", "examples = 0", "a look of the plan takes no examples"),
        ("one_in = 9", "one_in = 0", "one_in or side of the plan is 0"),
        ("least = 0.2", "least = 0.0", "least of the plan is no probability"),
        ("power = 0.5", "power = -1.0", "power of the plan is no number from 0 up"),
    ] {
        let faulty = folder.path().join("faulty.toml");
        fs::write(&faulty, text.replace(line, with)).unwrap();
        refused(&["train", "--config", faulty.to_str().unwrap()], 2, &[says]);
    }
    for (options, says) in [
        (["--schedule", "sweep", "--method", "muon"], "--method muon: --schedule sweep takes kfac alone"),
        (["--schedule", "full", "--method", "muon"], "--method muon: adam, sgd and muon go with --schedule minibatch"),
        (["--method", "adam", "--hold", "on"], "--hold: an option of --method muon, not of adam"),
        (["--method", "sgd", "--adam-rate", "1"], "--adam-rate: an option of --method muon, not of sgd"),
        (["--method", "adam", "--look", "3"], "--look: an option of --schedule sweep, not of adam"),
        (["--method", "lbfgs", "--momentum", "0.5"], "--momentum: an option of --schedule sweep, or of --method sgd"),
        (["--method", "ncg", "--weight-power", "1"], "--weight-power: an option of --schedule sweep, or of --method"),
    ] {
        refused(&[&["train"], &options[..]].concat(), 2, &[says]);
    }
}

#[test]
fn a_configuration_is_repeated_with_other_values_of_its_keys() {
    let Some(_gpu) = common::gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    assert!(run(&["train", "--no-autotune", "--budget", "3", "--out", out.to_str().unwrap()]).status.success());
    let config = out.join("config.toml");
    let text = fs::read_to_string(&config).unwrap();
    let set = ["--set", "seed=1", "--set", "plan.rule.batches.importance.least=0.3", "--set", "data=digits"];
    let changed = folder.path().join("changed");
    let with_others = ["train", "--config", config.to_str().unwrap(), "--out", changed.to_str().unwrap()];
    let logs = ["--log", "csv,tensorboard"];
    let output = run(&[&with_others[..], &set, &logs].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let others = fs::read_to_string(changed.join("config.toml")).unwrap();
    assert_eq!(others, text.replace("seed = 0", "seed = 1").replace("least = 0.05", "least = 0.3"));
    let lines = |name: &str| fs::read_to_string(changed.join(name)).unwrap().lines().count();
    assert_eq!(lines("steps.csv"), 1 + lines("steps.jsonl"));
    let summary = String::from_utf8(output.stdout).unwrap();
    for row in ["trained         digits-1k, 1370 parameters, on digits", "weights         ", "% of 360 images, "] {
        assert!(summary.contains(row), "{row}: {summary}");
    }
    let is_above = |found: &&str| !found.starts_with("refresh_every");
    let line = format!("unknown.toml, line {}:", 1 + text.lines().take_while(is_above).count());
    for (file, set, code, says) in [
        (&text, "sed=1", 2, &["--set sed=1", "did you mean seed?"][..]),
        (&text.replace("refresh_every", "refresh_evry"), "seed=1", 3, &[&line, "did you mean refresh_every?"]),
    ] {
        let faulty = folder.path().join("unknown.toml");
        fs::write(&faulty, file).unwrap();
        refused(&["train", "--config", faulty.to_str().unwrap(), "--set", set], code, says);
    }
    refused(&["train", "--config", config.to_str().unwrap(), "--seed", "1"], 2, &["--seed", "--set"]);
}

#[test]
fn shells_and_man_know_every_option() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = run(&["completions", shell]);
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && script.contains("whole-outputs") && script.contains("predict"), "{shell}");
    }
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("share/man1");
    assert!(run(&["man", pages.to_str().unwrap()]).status.success());
    let page = fs::read_to_string(pages.join("gpu-subset-train.1")).unwrap();
    assert!(page.contains("whole\\-outputs") && pages.join("gpu-subset.1").exists(), "{page}");
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    refused(&["man", file.to_str().unwrap()], 1, &["writing", "file"]);
}
