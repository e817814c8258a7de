//! A grid in parts, each in a process of its own, and the table that is made of them.

#[path = "common/mod.rs"]
mod common;

use common::program::{gpu_subset, json, refused, run};
use std::fs;

#[test]
fn parts_of_a_grid_run_beside_each_other_and_make_the_table_of_the_whole() {
    let Some(_gpu) = common::gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (file, whole, parts) = (folder.path().join("g.toml"), folder.path().join("whole"), folder.path().join("parts"));
    fs::write(&file, "control = { method = \"adam\" }\n[[grid]]\nbudget = [1, 2]\nseed = [0, 1]\n").unwrap();
    let (file, out) = (file.to_str().unwrap(), parts.to_str().unwrap());
    assert!(run(&["experiment", file, "--out", whole.to_str().unwrap()]).status.success());

    let children: Vec<_> = ["1/2", "2/2"]
        .iter()
        .map(|part| gpu_subset().args(["experiment", file, "--out", out, "--shard", part]).spawn().unwrap())
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert!(!parts.join("table.md").exists(), "no part has all of it");
    let collected = run(&["experiment", file, "--out", out, "--collect"]);
    assert!(collected.status.success(), "{}", String::from_utf8_lossy(&collected.stderr));
    let accuracies = |folder: &std::path::Path| {
        let rows = json(&folder.join("table.json"))["rows"].as_array().unwrap().clone();
        rows.iter().map(|row| (row["options"].clone(), row["accuracy"].clone())).collect::<Vec<_>>()
    };
    let found = accuracies(&parts);
    assert!(found.len() == 6 && found == accuracies(&whole), "{found:?}");

    fs::remove_file(parts.join("budget-2-seed-1/run.json")).unwrap();
    let output = run(&["experiment", file, "--out", out, "--collect"]);
    assert_eq!(output.status.code(), Some(3), "a part is missing");
    let table = fs::read_to_string(parts.join("table.md")).unwrap();
    assert!(table.contains("budget-2-seed-1"), "{table}");
    refused(&["experiment", file, "--out", out, "--shard", "3/2"], 2, &["1/n to n/n"]);
}
