//! The program as its users run it: results, exit codes, messages, stopping and going on.

#[path = "common/mod.rs"]
mod common;

#[cfg(unix)]
use common::program::stopped;
use common::program::{gpu_subset, json, refused, run};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// A short run on the digits.
const SHORT: [&str; 9] =
    ["train", "--schedule", "paper", "--subset", "1/4", "--subset-passes", "20", "--full-passes", "4"];

#[test]
fn a_run_leaves_its_folder_and_its_weights_evaluate_to_what_it_reported() {
    let Some(_gpu) = common::gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("a run");
    let out_text = out.to_str().unwrap();
    let output = run(&[&SHORT[..], &["--seed", "3", "--json", "--out", out_text]].concat());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");

    // stdout is the last record and nothing else
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(printed, json(&out.join("run.json")));
    for key in ["test_loss", "train_loss", "subset_loss", "cost_epochs", "wall_seconds", "overdetermination"] {
        assert!(printed[key].as_f64().is_some_and(|x| x.is_finite() && x > 0.0), "{key}: {printed}");
    }
    for key in ["data_sha256", "adapter", "backend", "weights_sha256"] {
        assert!(printed[key].as_str().is_some_and(|text| !text.is_empty()), "{key}: {printed}");
    }
    assert_eq!(printed["parameters"], 1370);
    assert_eq!(printed["seed"], 3);
    let accuracy = printed["test_accuracy"].as_f64().unwrap();
    assert!((0.5..=1.0).contains(&accuracy), "{accuracy}");
    let q = printed["overdetermination"].as_f64().unwrap();
    assert!((q - 359.0 * 10.0 / 1370.0).abs() < 1e-12, "{q}");

    // a record an iteration, costs that only grow and end where run.json says
    let steps: Vec<Value> = fs::read_to_string(out.join("steps.jsonl"))
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let iterations: u64 = printed["stages"].as_array().unwrap().iter().map(|s| s["iterations"].as_u64().unwrap()).sum();
    assert_eq!(steps.len() as u64, iterations);
    let costs: Vec<f64> = steps.iter().map(|step| step["cost_epochs"].as_f64().unwrap()).collect();
    assert!(costs.is_sorted() && *costs.last().unwrap() <= printed["cost_epochs"].as_f64().unwrap());
    assert!(!out.join("checkpoint.safetensors").exists(), "a complete run needs none");

    let config = fs::read_to_string(out.join("config.toml")).unwrap();
    assert!(config.contains("seed = 3") && config.contains("subset = 359"), "{config}");

    let output = run(&["eval", out_text, "--json"]);
    let evaluated: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(evaluated["accuracy"], printed["test_accuracy"]);
    let (a, b) = (evaluated["loss"].as_f64().unwrap(), printed["test_loss"].as_f64().unwrap());
    assert!((a - b).abs() <= 1e-6 * b, "{a} {b}");
    let metrics = ["balanced_accuracy", "top_5_accuracy", "calibration_error", "classes"];
    assert!(metrics.iter().all(|key| !printed[key].is_null() && evaluated[key] == printed[key]), "{printed}");
    let output = run(&["eval", out_text, "--split", "train"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("1437 examples"));

    refused(&["train", "--out", out_text], 2, &["holds a run already", "--overwrite"]);
    refused(&["train", "--resume", out_text], 2, &["complete"]);
}

#[test]
fn the_same_seed_gives_the_same_bits_and_another_seed_others() {
    let Some(_gpu) = common::gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let weights = |name: &str, seed: &str, options: &[&str]| {
        let out = folder.path().join(name);
        let output = run(&[&["train"], options, &["--seed", seed, "--out", out.to_str().unwrap()]].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        json(&out.join("run.json"))["weights_sha256"].clone()
    };
    let mut all = Vec::new();
    let whole = ["kfac", "lbfgs", "ncg", "gauss-newton"].map(|method| [&SHORT[1..], &["--method", method]].concat());
    let on_batches = ["adam", "sgd", "muon"].map(|method| vec!["--method", method]);
    let others = [
        vec!["--budget", "3"],
        vec!["--method", "adam", "--select", "--batch", "64"],
        vec!["--method", "muon", "--model", "cifar-43k", "--no-autotune", "--budget", "4"],
        vec!["--method", "muon", "--model", "cifar-43k", "--no-autotune", "--budget", "4", "--hold", "off"],
        vec!["--schedule", "full", "--full-passes", "5"],
    ];
    for options in whole.into_iter().chain(on_batches).chain(others) {
        let name = options.join(" ").replace('/', " of ");
        let first = weights(&format!("{name} a"), "0", &options);
        assert_eq!(first, weights(&format!("{name} b"), "0", &options), "{name}");
        assert_ne!(first, weights(&format!("{name} c"), "1", &options), "{name}");
        assert!(!all.contains(&first), "{name} is another run");
        all.push(first);
    }
}

#[test]
fn an_option_of_another_method_is_refused() {
    refused(&["train", "--method", "kfac", "--learning-rate", "0.1"], 2, &["--learning-rate", "adam or sgd", "kfac"]);
    refused(&["train", "--beta", "hager-zhang"], 2, &["--beta", "ncg"]);
    refused(&["train", "--method", "sdg"], 2, &["sdg"]);
    refused(&["train", "--schedule", "sweep", "--method", "lbfgs"], 2, &["lbfgs", "sweep takes kfac"]);
    refused(&["train", "--schedule", "minibatch", "--method", "kfac"], 2, &["kfac", "adam or sgd"]);
    refused(&["train", "--schedule", "full", "--method", "adam"], 2, &["adam", "--schedule minibatch"]);
    refused(&["train", "--schedule", "paper", "--budget", "1"], 2, &["--budget", "sweep or minibatch"]);
    refused(&["train", "--full-passes", "1"], 2, &["--full-passes", "paper, growing or full"]);
    refused(&["train", "--subset", "1/2"], 2, &["--subset", "paper or growing"]);
    refused(&["train", "--batch", "1024"], 2, &["there is room for", "; lower --batch\n"]);
    refused(&["train", "--augment", "crop,turn"], 2, &["turn", "rotate"]);
    refused(&["train", "--augment", "crop=8"], 2, &["crop=8", "from 0 to 7"]);
    refused(&["train", "--copies", "2"], 2, &["--augment"]);
    refused(&["train", "--augment", "flip", "--copies", "3000000"], 2, &["--copies 3000000", "told apart"]);
    let many = ["train", "--augment", "flip", "--copies", "1500000", "--schedule", "full"];
    refused(&many, 5, &["--copies 1500000"]);
}

#[cfg(unix)]
#[test]
fn a_run_that_is_stopped_goes_on_to_the_same_bits() {
    let Some(_gpu) = common::gpu() else { return };
    // long enough to be stopped in the middle, short enough for a test
    stop_and_go_on(&["--subset", "1/2", "--subset-passes", "300", "--full-passes", "10", "--schedule", "paper"]);
    stop_and_go_on(&["--budget", "80", "--augment", "crop=1,flip"]);
    stop_and_go_on(&["--budget", "30", "--batch", "20", "--look", "16", "--positions", "2", "--look-every", "5"]);
    // what a mini-batch costs is no whole number of units here, and how many there are depends on it
    stop_and_go_on(&["--method", "adam", "--select", "--batch", "8", "--budget", "12", "--seed", "2"]);
}

/// What a run recorded, times aside.
#[cfg(unix)]
fn steps(run: &Path) -> Vec<Value> {
    let text = fs::read_to_string(run.join("steps.jsonl")).unwrap();
    let mut steps: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    steps.iter_mut().for_each(|step| step["wall_seconds"] = Value::Null);
    steps
}

#[cfg(unix)]
fn stop_and_go_on(schedule: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let options = [&["train", "--checkpoint-every", "0"], schedule].concat();
    let whole = run(&[&options[..], &["--out", at("whole").to_str().unwrap()]].concat());
    assert!(whole.status.success());

    for (name, signal, code) in [("terminated", "-TERM", Some(130)), ("killed", "-KILL", None)] {
        let out = at(name);
        assert_eq!(stopped(&options, &out, signal), code, "{name}");
        refused(&["eval", out.to_str().unwrap()], 3, &["not complete", "--resume"]);

        let resumed = run(&["train", "--resume", out.to_str().unwrap()]);
        assert!(resumed.status.success(), "{}", String::from_utf8_lossy(&resumed.stderr));
        let (a, b) = (json(&at("whole").join("run.json")), json(&out.join("run.json")));
        for key in ["weights_sha256", "cost_epochs", "test_loss"] {
            assert_eq!(a[key], b[key], "{name}: {key}");
        }
        assert!(steps(&at("whole")) == steps(&out), "{name}: each iteration is recorded once, and the same");
    }
}

#[test]
fn bad_usage_is_refused_with_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    refused(&["train", "--schedule", "paper", "--subset", "9/8"], 2, &["9/8"]);
    refused(&["train", "--schedule", "paper", "--subset", "100000"], 2, &["100000 examples", "1437"]);
    refused(&["train", "--held-out", "1/1"], 2, &["--held-out 1/1"]);
    refused(&["train", "--memory", "3 parsecs"], 2, &["3 parsecs"]);
    refused(&["train", "--weight-decay", "-1"], 2, &["weight-decay"]);
    refused(&["train", "--label-smoothing", "1"], 2, &["label-smoothing", "below 1"]);
    refused(&["train", "--resume", "runs/x", "--seed", "3"], 2, &["--seed", "--resume"]);
    refused(&["train", "--backend", "cuda"], 2, &["cuda", "vulkan"]);
    refused(&["train", "--model", "resnet"], 2, &["resnet", "mnist-14k"]);
    let model = |text: &str| file("model.toml", text);
    refused(&["train", "--model", &model("[[layer]]\nkind = \"conv\"\nchannels = 8\n")], 2, &["model.toml", "size"]);
    refused(&["train", "--model", &model("[[layer]]\nkind = \"convolution\"")], 2, &["model.toml", "convolution"]);
    refused(&["train", "--model", &model("[[layer]]\nkind = \"dense\"\nunits = 12")], 2, &["12", "10 classes"]);
    refused(&["train", "--model", &model("[[layer]]\nkind = \"dense\"\nactivaton = \"relu\"")], 2, &["activaton"]);
    let too_large = "[[layer]]\nkind = \"conv\"\nchannels = 8\nsize = 9\n\n[[layer]]\nkind = \"dense\"";
    refused(&["train", "--model", &model(too_large)], 2, &["layer 1", "9×9", "1×8×8"]);
    refused(&["train", "--model", &model("")], 2, &["model"]);
}

#[test]
fn bad_data_is_refused_with_code_3() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    refused(&["train", "--data", "/nonexistent"], 3, &["/nonexistent"]);
    refused(&["train", "--data", path], 3, &[path]);
    refused(&["eval", path], 3, &["not a run folder"]);
    refused(&["train", "--resume", path], 3, &["not a run folder"]);
    fs::write(folder.path().join("train-images-idx3-ubyte"), [0, 0, 8, 3, 0, 0]).unwrap();
    refused(&["train", "--data", path], 3, &["train-labels-idx1-ubyte", "missing"]);
}

#[test]
fn a_damaged_run_is_refused_with_code_3() {
    let Some(_gpu) = common::gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    assert!(run(&[&SHORT[..], &["--out", out.to_str().unwrap()]].concat()).status.success());
    let weights = out.join("weights.safetensors");
    let bytes = fs::read(&weights).unwrap();
    for damaged in [&bytes[..bytes.len() / 2], &bytes[..5], b"", &[0xff; 100]] {
        fs::write(&weights, damaged).unwrap();
        refused(&["eval", out.to_str().unwrap()], 3, &["weights.safetensors"]);
    }
    fs::write(out.join("config.toml"), "seed = \"?\"").unwrap();
    refused(&["eval", out.to_str().unwrap()], 3, &["config.toml"]);
}

#[test]
fn a_missing_adapter_is_said_with_code_4() {
    let output = gpu_subset()
        .args(["train", "--backend", "vulkan"])
        .env("VK_DRIVER_FILES", "/nonexistent")
        .env("VK_ICD_FILENAMES", "/nonexistent")
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{stderr}");
    assert!(stderr.contains("no GPU adapter") && stderr.contains("mesa-vulkan-drivers"), "{stderr}");
    refused(&["train", "--adapter", "voodoo"], 4, &["voodoo"]);
}

#[test]
fn too_little_memory_is_said_with_code_5() {
    let Some(_gpu) = common::gpu() else { return };
    refused(&["train", "--memory", "4KiB"], 5, &["--memory", "digits-1k"]);
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("wide.toml");
    let wide = "[[layer]]\nkind = \"dense\"\nunits = 65536\n\n";
    fs::write(&model, format!("{wide}{wide}[[layer]]\nkind = \"dense\"")).unwrap();
    refused(&["train", "--model", model.to_str().unwrap()], 5, &["wide", "smaller model"]);
}

#[test]
fn divergence_is_said_with_code_6() {
    let Some(_gpu) = common::gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    refused(
        &["train", "--schedule", "paper", "--weight-decay", "1e300", "--out", out.to_str().unwrap()],
        6,
        &["gradient", "not finite", "iteration 0"],
    );
}

#[test]
fn devices_are_listed() {
    let Some(gpu) = common::gpu() else { return };
    let output = run(&["devices", "--json"]);
    assert!(output.status.success());
    let rows: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(rows.as_array().unwrap().iter().any(|row| row["name"] == gpu.info.name.as_str() && row["usable"] == true));
    let text = String::from_utf8(run(&["devices"]).stdout).unwrap();
    assert!(text.contains(&gpu.info.name) && text.contains("binding / buffer"), "{text}");
}

#[test]
fn help_documents_the_exit_codes() {
    for arguments in [&["--help"][..], &["train", "--help"], &["eval", "--help"]] {
        let text = String::from_utf8(run(arguments).stdout).unwrap();
        for code in ["0    done", "3    data", "6    diverged"] {
            assert!(text.contains(code), "{arguments:?}: {code}");
        }
    }
}

#[test]
fn a_benchmark_checks_its_kernels_and_prints_them() {
    let Some(_gpu) = common::gpu() else { return };
    let bench = |arguments: &[&str]| -> Value {
        let output = run(&[&["bench", "--repetitions", "1", "--json"], arguments].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let record = bench(&["--filter", "5x5/2 8->16"]);
    let rows = record["kernels"]["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 4, "forward, jvp and two gradients: {record:#}");
    for row in rows {
        assert!(row["error"].as_f64().unwrap() <= 2e-5 && row["gflops"].as_f64().unwrap() > 0.0, "{row:#}");
    }
    assert!(record["objective"].is_null(), "no network is called so");

    let record = bench(&["factors", "--filter", "inverse 513"]);
    let residual = record["factors"][0]["residual"].as_f64().unwrap();
    assert!(residual <= 1e-5 && record["factors"][0]["seconds"].as_f64().unwrap() > 0.0, "{record:#}");

    let record = bench(&["objective", "--filter", "mnist", "--examples", "200"]);
    let passes: Vec<_> = record["objective"].as_array().unwrap().iter().map(|pass| pass["pass"].clone()).collect();
    assert_eq!(passes, ["gradient", "forward", "r-forward", "gauss-newton", "gradient"], "the last over 192");
    refused(&["bench", "--filter", "no such case"], 2, &["--filter no such case"]);
}

#[test]
fn a_sweeps_step_is_measured_dispatch_by_dispatch() {
    let Some(_gpu) = common::gpu() else { return };
    let output = run(&["bench", "sweep", "--budget", "3", "--batch", "32", "--json", "--no-autotune"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let record: Value = serde_json::from_slice(&output.stdout).unwrap();
    let sweep = &record["sweep"];
    assert_eq!(
        (&sweep["data"], &sweep["model"], &sweep["subset"]),
        (&"digits".into(), &"digits-1k".into(), &32.into())
    );
    let rows = sweep["rows"].as_array().unwrap();
    let sum = |field: &str| rows.iter().map(|row| row[field].as_f64().unwrap()).sum::<f64>();
    assert!((sum("of_step") / sweep["of_dispatches"].as_f64().unwrap() - 1.0).abs() < 1e-9 && sum("of_step") > 0.0);
    assert!(rows.is_sorted_by(|a, b| a["of_step"].as_f64() >= b["of_step"].as_f64()));
    let calls =
        |kernel: &str| rows.iter().find(|row| row["kernel"] == kernel).map(|row| row["calls"].as_f64().unwrap());
    assert_eq!([calls("natural_update"), calls("selection_choose")], [Some(1.0); 2], "one of each in a step");
    refused(&["bench", "sweep", "--budget", "0.01"], 2, &["--budget"]);
}

#[test]
fn an_experiment_runs_its_grid_goes_on_where_it_was_and_makes_a_table() {
    let Some(_gpu) = common::gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (folder.path().join("grid.toml"), folder.path().join("out"));
    let grid = "targets = [0.9, 0.9999]\n[[grid]]\nbudget = [2, 6]\nseed = [0, 1]\n";
    fs::write(&file, grid).unwrap();
    let arguments = ["experiment", file.to_str().unwrap(), "--out", out.to_str().unwrap()];
    let output = run(&arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert!(stderr.contains("run 4 of 4, about"), "progress with the time left: {stderr}");
    let table = fs::read_to_string(out.join("table.md")).unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim_end(), table.trim_end());
    assert!(table.contains("| budget 2 | 0 1 |") && table.contains("| budget 6 | 0 1 |"), "{table}");
    let rows = json(&out.join("table.json"))["rows"].as_array().unwrap().clone();
    let accuracy = |row: &Value| row["accuracy"]["mean"].as_f64().unwrap();
    assert!(rows.len() == 2 && accuracy(&rows[1]) > accuracy(&rows[0]), "{table}");

    // one more seed: what is done is not done again, and a run is a normal one
    let first = out.join("budget-2-seed-0");
    let before = fs::metadata(first.join("run.json")).unwrap().modified().unwrap();
    fs::write(&file, grid.replace("[0, 1]", "[0, 1, 2]")).unwrap();
    assert!(run(&arguments).status.success());
    assert_eq!(fs::metadata(first.join("run.json")).unwrap().modified().unwrap(), before);
    assert!(fs::read_to_string(out.join("table.md")).unwrap().contains("| budget 6 | 0 1 2 |"));
    assert!(run(&["eval", first.to_str().unwrap()]).status.success());

    // controls beside each run on subsets, at its cost
    fs::write(&file, "control = { method = \"adam\", batch = 64 }\n[[grid]]\nbudget = 2\n").unwrap();
    assert!(run(&arguments).status.success());
    let table = fs::read_to_string(out.join("table.md")).unwrap();
    for row in [
        "| budget 2 | 0 |",
        "| batch 64, budget 2, method adam | 0 |",
        "| batch 64, budget 2, method adam, screen on, select true, spread on, whiten on | 0 |",
    ] {
        assert!(table.contains(row), "{table}");
    }

    fs::write(&file, "[[grid]]\nbudget = 1\nmethod = \"kfac\"\n").unwrap();
    refused(&arguments, 2, &["budget-1-method-kfac-seed-0", "--budget"]);
    fs::write(&file, "[[grid]]\nbudgets = 1\n").unwrap();
    refused(&arguments, 2, &["grid.toml", "--budgets"]);
}

#[test]
fn a_tile_does_not_change_a_bit_and_a_damaged_memory_of_tiles_does_no_harm() {
    let Some(_gpu) = common::gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("gpu-subset");
    fs::create_dir_all(&cache).unwrap();
    let memory = cache.join("tuning-3.json");
    fs::write(&memory, b"{ damaged").unwrap();
    let weights = |name: &str, more: &[&str]| {
        let out = folder.path().join(name);
        let schedule = ["--schedule", "paper", "--subset-passes", "4", "--full-passes", "2"];
        let arguments = [&schedule[..], &["--out", out.to_str().unwrap()]].concat();
        let mut command = gpu_subset();
        command.arg("train").args(arguments).args(more).env("XDG_CACHE_HOME", folder.path());
        command.env("MESA_SHADER_CACHE_DIR", dirs::cache_dir().unwrap()); // compiled shaders stay where they are
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        fs::read(out.join("weights.safetensors")).unwrap()
    };
    let plain = weights("plain", &["--no-autotune"]);
    if cfg!(target_os = "linux") {
        assert_eq!(fs::read(&memory).unwrap(), b"{ damaged", "--no-autotune leaves it alone");
    }
    assert!(weights("tuned", &[]) == plain, "other tiles, other bits");
    if cfg!(target_os = "linux") {
        assert_eq!(json(&memory)["version"], 3);
    }
    assert!(weights("again", &[]) == plain, "with what was remembered, other bits");
}
