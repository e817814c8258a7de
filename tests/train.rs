//! Whole runs: the digits always, MNIST where the data is there.

#[path = "common/mod.rs"]
mod common;

use common::data::data;
use common::program::run;
use serde_json::Value;

fn train(arguments: &[&str]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let output = run(&[&["train", "--json", "--out", out.to_str().unwrap()], arguments].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_default_run_classifies_nine_of_ten_digits() {
    let Some(_gpu) = common::gpu() else { return };
    let record = train(&[]);
    let accuracy = record["test_accuracy"].as_f64().unwrap();
    assert!(accuracy >= 0.9, "{record}");
    assert!(record["train_loss"].as_f64().unwrap() < 0.2, "{record}");
}

#[test]
fn the_papers_schedule_classifies_nine_of_ten_digits() {
    let Some(_gpu) = common::gpu() else { return };
    let record = train(&["--schedule", "paper"]);
    let accuracy = record["test_accuracy"].as_f64().unwrap();
    assert!(accuracy >= 0.9, "{record}");
    // the minimum of the subset is near, the full set's loss after the adaptation is below chance by far
    let stages = record["stages"].as_array().unwrap();
    assert!(stages[0]["gradient_reduction"].as_f64().unwrap() < 0.1, "{record}");
    assert!(record["train_loss"].as_f64().unwrap() < 0.2, "{record}");
}

#[test]
fn growing_goes_from_subset_to_subset_and_keeps_what_it_learned() {
    let Some(_gpu) = common::gpu() else { return };
    let record = train(&["--schedule", "growing", "--subset", "40"]);
    let stages = record["stages"].as_array().unwrap();
    let examples: Vec<u64> = stages.iter().map(|stage| stage["examples"].as_u64().unwrap()).collect();
    assert_eq!(examples[..3], [40, 160, 640], "{record}");
    assert_eq!(examples.len(), 4, "{record}");
    let losses: Vec<f64> = stages.iter().map(|stage| stage["train_loss"].as_f64().unwrap()).collect();
    assert!(losses.windows(2).all(|pair| pair[1] < pair[0]), "{record}");
    assert!(record["test_accuracy"].as_f64().unwrap() >= 0.9, "{record}");
}

#[test]
fn a_schedule_without_passes_over_its_subset_starts_with_the_full_set() {
    let Some(_gpu) = common::gpu() else { return };
    let record = train(&["--schedule", "paper", "--subset-passes", "0", "--full-passes", "2"]);
    let stages = record["stages"].as_array().unwrap();
    assert_eq!(stages.len(), 1, "{record}");
    assert_eq!(stages[0]["stage"], "full");
}

#[test]
fn a_schedule_without_passes_over_the_full_set_ends_with_its_subset() {
    let Some(_gpu) = common::gpu() else { return };
    let record = train(&["--schedule", "paper", "--subset-passes", "3", "--full-passes", "0"]);
    let stages = record["stages"].as_array().unwrap();
    assert_eq!(stages.len(), 1, "{record}");
    assert_eq!(stages[0]["stage"], "subset");
}

#[test]
fn a_step_records_what_it_found_where_it_ended() {
    let Some(_gpu) = common::gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let walks_back = ["gauss-newton", "--damping", "1e-7", "--inner-iterations", "3"];
    for method in [&["kfac"][..], &["lbfgs"], &["ncg"], &walks_back] {
        let out = folder.path().join(method[0]);
        let schedule =
            ["train", "--schedule", "paper", "--subset", "1/2", "--subset-passes", "60", "--full-passes", "0"];
        let options = [&["--weight-decay", "1e-2", "--out", out.to_str().unwrap(), "--method"], method].concat();
        let output = run(&[&schedule[..], &options].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let steps = std::fs::read_to_string(out.join("steps.jsonl")).unwrap();
        let steps: Vec<Value> = steps.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(steps.len() > 2);
        for step in steps {
            let cross_entropy = step["cross_entropy"].as_f64();
            assert_eq!(cross_entropy.is_none(), !step["rejected"].is_null(), "{step}");
            // the rest of the loss is the penalty
            let penalty = cross_entropy.map_or(1.0, |part| step["loss"].as_f64().unwrap() - part);
            assert!(penalty > 0.0, "{step}");
        }
    }
}

#[test]
fn copies_are_trained_on_by_every_schedule() {
    let Some(_gpu) = common::gpu() else { return };
    let augment = ["--augment", "crop=1,rotate=5,brightness", "--seed", "1"];
    let fresh = train(&augment);
    assert!(fresh["test_accuracy"].as_f64().unwrap() >= 0.9, "{fresh}");
    // one copy again and again is another problem than another one in every epoch
    let one = train(&[&augment[..], &["--copies", "1"]].concat());
    assert_ne!(one["weights_sha256"], fresh["weights_sha256"]);
    let adam = train(&[&augment[..], &["--method", "adam", "--budget", "4", "--select"]].concat());
    assert!(adam["test_accuracy"].as_f64().unwrap() >= 0.8, "{adam}");
    // without a budget, the set is as many times as large
    let full = train(&[&augment[..], &["--schedule", "full", "--copies", "3", "--full-passes", "5"]].concat());
    assert_eq!(full["subset_examples"], 3 * (1437 - 1437 / 20));
    assert!(full["cost_epochs"].as_f64().unwrap() > 10.0, "{full}");
    let options =
        ["--schedule", "paper", "--copies", "2", "--subset", "1/2", "--subset-passes", "10", "--full-passes", "6"];
    let paper = train(&[&augment[..], &options].concat());
    assert_eq!(paper["subset_examples"], 1437);
    assert!(paper["test_accuracy"].as_f64().unwrap() >= 0.8, "{paper}");
    let adapted = paper["stages"][1]["iterations"].as_u64();
    assert!(adapted > Some(0), "any passes pay for a first step: {paper}");
}

#[test]
fn a_sweep_over_mnist_classifies_as_well_as_the_network_can_within_two_thirds_of_an_epoch() {
    let (Some(_gpu), Some(mnist)) = (common::gpu(), data("mnist")) else { return };
    let record = train(&["--data", mnist.to_str().unwrap(), "--budget", "0.6"]);
    let (accuracy, cost) = (record["test_accuracy"].as_f64().unwrap(), record["cost_epochs"].as_f64().unwrap());
    assert!(accuracy >= 0.984, "{record}");
    assert!((0.55..0.62).contains(&cost), "{record}");
    let share = record["screening"]["share"].as_f64().unwrap();
    assert!((0.15..0.5).contains(&share), "most digits are easy: {record}");
}

#[test]
fn a_small_subset_of_mnist_already_classifies_most_of_the_test_set() {
    let (Some(_gpu), Some(mnist)) = (common::gpu(), data("mnist")) else { return };
    let mnist = mnist.to_str().unwrap();
    let schedule = ["--schedule", "paper", "--subset", "1/32", "--subset-passes", "40", "--full-passes", "2"];
    let options = [&["--model", "mnist-2k"], &schedule[..]].concat();
    let record = train(&[&["--data", mnist][..], &options].concat());
    assert_eq!(record["subset_examples"], 1875);
    assert_eq!(record["parameters"], 2202);
    let accuracy = record["test_accuracy"].as_f64().unwrap();
    assert!(accuracy >= 0.88, "{record}");
}
