//! Networks that are no chains, from a file to weights: training under every method, evaluation, resumption, refusals.

#[path = "common/mod.rs"]
mod common;

use common::program::{json, refused, run, stopped};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// Two residual blocks for the digits, normalised.
const RESIDUAL: &str = r#"
group = 64

[[layer]]
kind = "conv"
channels = 8
size = 3
padding = 1
activation = "relu"

[[layer]]
kind = "block"
repeat = 2
layer = [
    { kind = "conv", channels = 8, size = 3, padding = 1 },
    { kind = "batch-norm", activation = "relu" },
    { kind = "conv", channels = 8, size = 3, padding = 1 },
    { kind = "batch-norm" },
    { kind = "add", from = "input", activation = "relu" },
]

[[layer]]
kind = "block"
layer = [
    { kind = "avg-pool", size = 2, name = "shortcut" },
    { kind = "conv", channels = 16, size = 3, stride = 2, padding = 1, from = "input" },
    { kind = "batch-norm" },
    { kind = "add", from = "shortcut", pad = true, activation = "relu" },
]

[[layer]]
kind = "global-avg-pool"

[[layer]]
kind = "dense"
"#;

/// The same, normalised by groups of channels.
fn by_groups() -> String {
    RESIDUAL.replace(r#"kind = "batch-norm""#, r#"kind = "group-norm", groups = 4"#)
}

fn model(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("net.toml");
    fs::write(&path, text).unwrap();
    path
}

#[track_caller]
fn printed(arguments: &[&str]) -> Value {
    let output = run(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_residual_network_learns_the_digits_under_every_kind_of_method() {
    let Some(_gpu) = common::gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let net = model(folder.path(), RESIDUAL);
    let net = net.to_str().unwrap();
    let methods: [(&[&str], f64); 4] = [
        (&["--budget", "8"], 0.93),
        (&["--method", "adam", "--budget", "8", "--select", "--batch", "32"], 0.8),
        (&["--method", "lbfgs", "--subset", "1/2", "--subset-passes", "30", "--full-passes", "5"], 0.85),
        (&["--method", "kfac", "--schedule", "full", "--full-passes", "20"], 0.85),
    ];
    for (number, (options, least)) in methods.into_iter().enumerate() {
        let out = folder.path().join(number.to_string());
        let out = out.to_str().unwrap();
        let record = printed(&[&["train", "--json", "--model", net, "--out", out], options].concat());
        let accuracy = record["test_accuracy"].as_f64().unwrap();
        assert!(accuracy >= least, "{options:?}: {accuracy}");
        // the weights have all it takes to say the same again
        let evaluation = printed(&["eval", out, "--json"]);
        assert_eq!(evaluation["accuracy"], record["test_accuracy"], "{options:?}: {evaluation}");
    }
}

#[test]
fn a_normalised_run_that_is_stopped_goes_on_to_the_same_bits() {
    let Some(_gpu) = common::gpu() else { return };
    let by_groups = by_groups();
    let nets: [(&str, &[&str]); 2] = [(RESIDUAL, &[]), (&by_groups, &["--label-smoothing", "0.1"])];
    for (net, more) in nets {
        let folder = tempfile::tempdir().unwrap();
        let net = model(folder.path(), net);
        let [whole, part] = ["whole", "part"].map(|name| folder.path().join(name));
        let options = ["train", "--model", net.to_str().unwrap(), "--budget", "5", "--seed", "3", "--held-out", "1/10"];
        let options = [&options[..], more].concat();
        let expected = printed(&[&options[..], &["--json", "--out", whole.to_str().unwrap()]].concat());
        assert_eq!(stopped(&options, &part, "-TERM"), Some(130));
        let record = printed(&["train", "--json", "--resume", part.to_str().unwrap()]);
        assert_eq!(record["weights_sha256"], expected["weights_sha256"]);
        assert_eq!(record["test_loss"], expected["test_loss"], "its moments are the same, too");
        assert_eq!(json(&part.join("run.json"))["cost_epochs"], expected["cost_epochs"]);
    }
}

#[test]
fn a_network_normalised_by_groups_learns_the_digits() {
    let Some(_gpu) = common::gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let net = model(folder.path(), &by_groups());
    let methods: [(&[&str], f64); 3] = [
        (&["--budget", "8"], 0.93),
        (&["--method", "muon", "--budget", "8", "--select"], 0.8),
        (&["--method", "kfac", "--schedule", "full", "--full-passes", "60"], 0.85),
    ];
    for (number, (options, least)) in methods.into_iter().enumerate() {
        let out = folder.path().join(number.to_string());
        let out = out.to_str().unwrap();
        let train = ["train", "--json", "--model", net.to_str().unwrap(), "--out", out];
        let record = printed(&[&train[..], options].concat());
        let accuracy = record["test_accuracy"].as_f64().unwrap();
        assert!(accuracy >= least, "{options:?}: {accuracy}");
        let evaluation = printed(&["eval", out, "--json"]);
        assert_eq!(evaluation["accuracy"], record["test_accuracy"], "{options:?}: {evaluation}");
    }
}

#[test]
fn what_is_no_graph_is_refused_by_layer_and_reason() {
    let folder = tempfile::tempdir().unwrap();
    let conv = r#"{ kind = "conv", channels = 4, size = 3, name = "a" }"#;
    let dense = r#"{ kind = "dense" }"#;
    let cases: [(&str, &[&str]); 11] = [
        (r#"{ kind = "add", from = "b" }"#, &["layer 2", "b", "no layer before it"]),
        (r#"{ kind = "add", from = ["a", "a", "a"] }"#, &["layer 2", "3 values", "takes 2"]),
        (r#"{ kind = "max-pool", size = 2, from = ["a", "input"] }"#, &["layer 2", "2 values", "takes 1"]),
        (r#"{ kind = "add", from = "input" }"#, &["layer 2", "4×6×6", "1×8×8", "pad = true"]),
        (r#"{ kind = "conv", channels = 5, size = 1 }, { kind = "add", from = "a" }"#, &["layer 3", "pad = true"]),
        (
            r#"{ kind = "avg-pool", size = 2 }, { kind = "conv", channels = 4, size = 1, from = "a" }"#,
            &["nothing reads", "avg_pool2"],
        ),
        (r#"{ kind = "conv", channels = 4, size = 1, name = "a" }"#, &["the name a is taken"]),
        (r#"{ kind = "conv", channels = 4, size = 1, name = "input" }"#, &["the name input is taken"]),
        (r#"{ kind = "group-norm", groups = 3 }"#, &["layer 2", "4 channels", "3 groups", "divides"]),
        (r#"{ kind = "group-norm", groups = 5 }"#, &["layer 2", "groups = 5", "between 1 and 4"]),
        (r#"{ kind = "block", repeat = 5000, layer = [{ kind = "batch-norm" }] }"#, &["repeat", "4096"]),
    ];
    for (layers, fragments) in cases {
        let net = model(folder.path(), &format!("layer = [{conv}, {layers}, {dense}]"));
        refused(&["plan", "--model", net.to_str().unwrap()], 2, fragments);
    }
    let nested = r#"{ kind = "block", repeat = 100, layer = [{ kind = "block", repeat = 100, layer = [
        { kind = "conv", channels = 1, size = 1 }] }] }"#;
    let net = model(folder.path(), &format!("layer = [{nested}, {dense}]"));
    refused(&["plan", "--model", net.to_str().unwrap()], 2, &["layers", "4096"]);
    // a block of blocks of nothing ends, too
    let empty = r#"{ kind = "block", repeat = 4096, layer = [{ kind = "block", repeat = 4096, layer = [
        { kind = "block", repeat = 4096, layer = [] }] }] }"#;
    let net = model(folder.path(), &format!("layer = [{empty}, {dense}]"));
    refused(&["plan", "--model", net.to_str().unwrap()], 2, &["layers", "4096"]);
    let unknown = model(folder.path(), "[[layer]]\nkind = \"dense\"\nform = \"a\"\n");
    refused(&["plan", "--model", unknown.to_str().unwrap()], 2, &["net.toml", "form"]);
    // names of a block are its own
    let hidden = r#"{ kind = "block", layer = [{ kind = "conv", channels = 1, size = 1, name = "c" }] },
        { kind = "add", from = "c" }"#;
    let net = model(folder.path(), &format!("layer = [{hidden}, {dense}]"));
    refused(&["plan", "--model", net.to_str().unwrap()], 2, &["it reads c"]);
}
