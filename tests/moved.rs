//! Runs whose data has moved, or that have moved themselves.

#[path = "common/mod.rs"]
mod common;

use common::program::{gpu_subset, refused};
use std::fs;
use std::path::Path;
use std::process::Output;

/// The digits as IDX files in a folder.
fn digits(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/digits");
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
    }
}

/// In a working folder.
fn run_in(folder: &Path, arguments: &[&str]) -> Output {
    gpu_subset().current_dir(folder).args(arguments).output().unwrap()
}

fn succeeds(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn data_that_has_moved_is_found_again_or_named() {
    let Some(_gpu) = common::gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    digits(&at("here/sets/d"));
    let options = ["train", "--no-autotune", "--data", "sets/d", "--budget", "1", "--out", "r"];
    succeeds(&run_in(&at("here"), &options));
    let run = at("here/r");

    // from elsewhere, by the folder it was made in
    fs::create_dir(at("elsewhere")).unwrap();
    succeeds(&run_in(&at("elsewhere"), &["eval", run.to_str().unwrap()]));
    // both on another machine
    fs::rename(at("here"), at("there")).unwrap();
    let run = at("there/r");
    let path = run.to_str().unwrap();
    succeeds(&run_in(&at("elsewhere"), &["eval", path]));
    // the data alone
    fs::rename(at("there/sets/d"), at("data")).unwrap();
    refused(&["eval", path], 3, &["sets/d", "--data"]);
    refused(&["train", "--resume", path, "--budget", "2", "--data", "digits-2"], 3, &["digits-2"]);
    let other = at("data");
    let go_on = ["train", "--no-autotune", "--resume", path, "--budget", "2", "--data", other.to_str().unwrap()];
    succeeds(&run_in(&at("elsewhere"), &go_on));
    succeeds(&run_in(&at("elsewhere"), &["eval", path]));
    // and what is no longer the same
    let labels = other.join("t10k-labels-idx1-ubyte.gz");
    fs::copy(other.join("train-labels-idx1-ubyte.gz"), &labels).unwrap();
    fs::copy(other.join("train-images-idx3-ubyte.gz"), other.join("t10k-images-idx3-ubyte.gz")).unwrap();
    refused(&["eval", path], 3, &["not the data that the run of", "there/r", "--data"]);
}

#[test]
fn a_complete_run_that_cannot_go_on_stays_complete() {
    let Some(_gpu) = common::gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("r");
    let path = run.to_str().unwrap();
    succeeds(&run_in(folder.path(), &["train", "--no-autotune", "--budget", "1", "--out", "r"]));
    let state = run.join("state.safetensors");
    let whole = fs::read(&state).unwrap();
    let mut damaged = whole.clone();
    *damaged.last_mut().unwrap() ^= 1;
    fs::write(&state, damaged).unwrap();
    refused(&["train", "--resume", path, "--budget", "2"], 3, &["state.safetensors", "damaged"]);
    succeeds(&run_in(folder.path(), &["eval", path]));
    fs::remove_file(&state).unwrap();
    refused(&["train", "--resume", path, "--budget", "2"], 3, &["--config"]);
    fs::write(&state, whole).unwrap();
    succeeds(&run_in(folder.path(), &["train", "--no-autotune", "--resume", path, "--budget", "2"]));
}
