//! A linear model tells which examples are worth it: where it is used, where not, and that runs stay what they are.

#[path = "common/mod.rs"]
mod common;

use common::idx::{idx_images, idx_labels};
use common::program::{json, run};
use gpu_subset::data::Split;
use gpu_subset::shape::Shape;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

const SIDE: usize = 8;
const CLASSES: usize = 10;

/// An IDX data set: a class is a bright pair of pixels, which some of the images have elsewhere. None without a device.
fn set(misleading: f64) -> Option<TempDir> {
    common::gpu()?;
    let folder = tempfile::tempdir().unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    for (part, examples) in [("train", 6000), ("t10k", 500)] {
        let classes = (0..examples).map(|i| i % CLASSES);
        let split = Split {
            images: classes.clone().flat_map(|class| image(class, misleading, &mut rng)).collect::<Vec<u8>>().into(),
            labels: classes.map(|class| class as u32).collect(),
        };
        let images = idx_images(&split, Shape::new(1, SIDE, SIDE));
        fs::write(folder.path().join(format!("{part}-images-idx3-ubyte")), images).unwrap();
        fs::write(folder.path().join(format!("{part}-labels-idx1-ubyte")), idx_labels(&split, 0)).unwrap();
    }
    Some(folder)
}

fn image(class: usize, misleading: f64, rng: &mut impl Rng) -> Vec<u8> {
    let mut pixels: Vec<u8> = (0..SIDE * SIDE).map(|_| rng.random_range(0..60)).collect();
    let shown = if rng.random::<f64>() < misleading { rng.random_range(0..CLASSES) } else { class };
    pixels[6 * shown] = 255;
    pixels[6 * shown + 1] = 255;
    pixels
}

fn train(data: &Path, out: &Path, options: &[&str]) -> Value {
    let paths = ["train", "--model", "digits-1k", "--data", data.to_str().unwrap(), "--out", out.to_str().unwrap()];
    let output = run(&[&paths[..], options].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    json(&out.join("run.json"))
}

#[test]
fn examples_that_a_linear_model_is_sure_of_are_rare() {
    let Some(folder) = set(0.05) else { return };
    let at = |name: &str| folder.path().join(name);
    for (name, options) in
        [("sweep", &["--budget", "2"][..]), ("adam", &["--budget", "2", "--method", "adam", "--screen", "on"])]
    {
        let record = train(folder.path(), &at(name), options);
        let screening = &record["screening"];
        let number = |key: &str| screening[key].as_f64().unwrap();
        assert_eq!(screening["examples"], 300, "{record}");
        assert!(number("accuracy") > 0.9, "{record}");
        assert!((0.05..0.5).contains(&number("share")), "{record}");
        // charged, within the budget
        assert!((1.9..2.05).contains(&record["cost_epochs"].as_f64().unwrap()), "{record}");
        assert!(number("units") > 0.0 && number("units") < 0.1 * 2.0 * 6000.0, "{record}");
        assert!(record["test_accuracy"].as_f64().unwrap() > 0.9, "{record}");
        let off = train(folder.path(), &at(&format!("{name} off")), &[&options[..2], &["--screen", "off"]].concat());
        assert_eq!(off["screening"], Value::Null);
        assert_ne!(off["weights_sha256"], record["weights_sha256"]);
    }
}

#[test]
fn shares_stay_shares_and_a_constant_rate_ends_with_the_budget() {
    let Some(folder) = set(0.05) else { return };
    let out = folder.path().join("run");
    let options = ["--method", "adam", "--decay", "constant", "--screen", "on", "--whiten", "on", "--budget", "2"];
    let record = train(folder.path(), &out, &options);
    // the last stretch of mini-batches, a twentieth of an epoch, may go beyond
    let cost = record["cost_epochs"].as_f64().unwrap();
    assert!((2.0..2.06).contains(&cost), "{record}");
    let steps = fs::read_to_string(out.join("steps.jsonl")).unwrap();
    for line in steps.lines() {
        let step: Value = serde_json::from_str(line).unwrap();
        assert!(step["accuracy"].as_f64().unwrap() <= 1.0 + 1e-6, "{step}");
    }
}

#[test]
fn an_epoch_that_would_not_fill_a_mini_batch_has_all_examples() {
    let Some(folder) = set(0.05) else { return };
    let record = train(
        folder.path(),
        &folder.path().join("run"),
        &["--budget", "2", "--method", "adam", "--screen", "on", "--batch", "5000"],
    );
    assert_eq!(record["screening"]["share"], 1.0, "{record}");
}

#[test]
fn where_a_linear_model_knows_nothing_all_examples_are_taken() {
    let Some(folder) = set(1.0) else { return };
    let record = train(folder.path(), &folder.path().join("run"), &["--budget", "2"]);
    assert_eq!(record["screening"]["share"], 1.0, "{record}");
    assert!(record["screening"]["remaining_cost"].as_f64().unwrap() > 0.75, "{record}");
}

#[test]
fn where_it_would_take_much_of_the_budget_or_has_few_examples_it_is_not_asked() {
    let Some(folder) = set(0.05) else { return };
    let record = train(folder.path(), &folder.path().join("little"), &["--budget", "0.2"]);
    assert_eq!(record["screening"], Value::Null);
    assert!((0.05..0.4).contains(&record["cost_epochs"].as_f64().unwrap()), "{record}");
    let digits = folder.path().join("digits");
    let output = run(&["train", "--out", digits.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(json(&digits.join("run.json"))["screening"], Value::Null);
}

#[cfg(unix)]
#[test]
fn a_screened_run_that_is_stopped_goes_on_to_the_same_bits() {
    let Some(folder) = set(0.05) else { return };
    let options = ["--budget", "8", "--checkpoint-every", "0"];
    let whole = train(folder.path(), &folder.path().join("whole"), &options);
    let out = folder.path().join("stopped");
    let command = ["train", "--model", "digits-1k", "--data", folder.path().to_str().unwrap()];
    assert_eq!(common::program::stopped(&[&command[..], &options].concat(), &out, "-TERM"), Some(130));
    let resumed = run(&["train", "--resume", out.to_str().unwrap()]);
    assert!(resumed.status.success(), "{}", String::from_utf8_lossy(&resumed.stderr));
    let record = json(&out.join("run.json"));
    for key in ["weights_sha256", "cost_epochs", "screening"] {
        assert_eq!(record[key], whole[key], "{key}");
    }
}
