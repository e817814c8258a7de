//! Runs that are stopped at any moment, or come to nothing, and programs whose output nobody reads.

#[path = "common/mod.rs"]
mod common;

use common::program::{gpu_subset, json, run};
use gpu_subset::data::Dataset;
use gpu_subset::device::Interrupt;
use gpu_subset::error::{Error, Result};
use gpu_subset::optimise::{Adam, BatchPlan, Method, Muon, Rule, Sweep};
use gpu_subset::run::{Run, RunBuilder, Schedule};
use gpu_subset::subset::{Observer, Progress, StepRecord};
use std::fs;
use std::path::Path;
use std::process::Stdio;

/// A short run on the digits.
const SHORT: [&str; 3] = ["train", "--budget", "1"];

/// Keeps what it is told, and stops where the device is asked to.
#[derive(Default)]
struct Stopper {
    interrupt: Interrupt,
    records: Vec<StepRecord>,
    checkpoint: Option<Progress<Vec<f32>>>,
}

impl Observer for Stopper {
    fn step(&mut self, record: &StepRecord) -> Result<()> {
        self.records.push(StepRecord { wall_seconds: 0.0, ..record.clone() });
        Ok(())
    }

    fn checkpoint(&mut self, progress: &Progress<Vec<f32>>) -> Result<()> {
        self.checkpoint = Some(progress.clone());
        Ok(())
    }

    fn is_interrupted(&self) -> bool {
        self.interrupt.is_asked()
    }
}

/// Stops a run so many times, each as soon as it has begun, then lets it go on to its end: the same as one that was
/// never stopped. On the way, whether it was stopped between two mini-batches.
fn stop_often(builder: RunBuilder<'_>, times: usize) -> bool {
    let Some(gpu) = common::gpu() else { return true };
    let mut run = builder.on(&gpu).unwrap();
    let mut whole = Stopper::default();
    let expected = run.train(&mut whole).unwrap().record;
    let (mut stopped, mut was_within) = (Stopper::default(), false);
    for _ in 0..times {
        stopped.interrupt = Interrupt::default();
        stopped.interrupt.ask();
        gpu.heed(&stopped.interrupt);
        let error = run.resume(stopped.checkpoint.clone(), &mut stopped).unwrap_err();
        assert!(matches!(error, Error::Interrupted { .. }), "{error}");
        let scalars = &stopped.checkpoint.as_ref().expect("there is something to save").scalars;
        was_within |= scalars.is_within;
        stopped.records.truncate(scalars.state.iteration as usize);
    }
    stopped.interrupt = Interrupt::default();
    gpu.heed(&stopped.interrupt);
    let record = run.resume(stopped.checkpoint.take(), &mut stopped).unwrap().record;
    assert_eq!(record.weights_sha256, expected.weights_sha256);
    assert_eq!(record.cost_epochs, expected.cost_epochs);
    assert_eq!(stopped.records, whole.records);
    was_within
}

#[test]
fn a_run_is_stopped_between_two_mini_batches_and_goes_on_to_the_same_bits() {
    let data = Dataset::digits().unwrap();
    let adam = Adam { batches: BatchPlan { batch: 16, select: true, ..BatchPlan::default() }, ..Adam::default() };
    let batches = BatchPlan { batch: 16, average: true, ..Muon::default().batches };
    let muon = Muon { batches, ..Muon::default() };
    let was_within = [
        stop_often(Run::sweep(&data).budget(6.0), 20),
        stop_often(Run::by(&data, Schedule::Stochastic(Rule::Adam(adam))).budget(2.0), 7),
        stop_often(Run::by(&data, Schedule::Stochastic(Rule::Muon(muon))).model("cifar-43k").budget(2.0), 7),
        stop_often(Run::by(&data, Schedule::Stochastic(Rule::Sweep(Sweep::default()))).budget(4.0), 5),
    ];
    assert!(was_within.contains(&true), "each step takes longer than a device waits to be stopped");
}

#[test]
fn a_device_that_is_stopped_in_the_middle_leaves_the_state_before() {
    let Some(gpu) = common::gpu() else { return };
    let data = Dataset::digits().unwrap();
    let mut run = Run::by(&data, Schedule::Full(Method::Lbfgs(Default::default()))).on(&gpu).unwrap();
    // nobody sees to a good end
    struct Deaf(Interrupt, Option<Progress<Vec<f32>>>);
    impl Observer for Deaf {
        fn step(&mut self, record: &StepRecord) -> Result<()> {
            if record.iteration == 3 {
                self.0.ask();
            }
            Ok(())
        }

        fn checkpoint(&mut self, progress: &Progress<Vec<f32>>) -> Result<()> {
            self.1 = Some(progress.clone());
            Ok(())
        }
    }
    let mut deaf = Deaf(Interrupt::default(), None);
    gpu.heed(&deaf.0);
    match run.train(&mut deaf) {
        Err(error @ Error::Interrupted { .. }) => assert!(deaf.1.is_some(), "{error}"),
        ended => {
            ended.expect("a device that is faster than its grace comes to the end");
        }
    }
    gpu.heed(&Interrupt::default());
    let whole = run.train(&mut ()).unwrap().record;
    assert_eq!(run.resume(deaf.1, &mut ()).unwrap().record.weights_sha256, whole.weights_sha256);
}

#[test]
fn a_run_without_a_checkpoint_starts_from_its_configuration() {
    let Some(_gpu) = common::gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let out_text = out.to_str().unwrap();
    assert!(run(&[&SHORT[..], &["--seed", "4", "--out", out_text]].concat()).status.success());
    let (first, steps) = (json(&out.join("run.json")), lines(&out.join("steps.jsonl")));
    // as if it had been killed before its first checkpoint, with records of some steps
    fs::remove_file(out.join("run.json")).unwrap();
    fs::remove_file(out.join("weights.safetensors")).unwrap();
    let output = run(&["train", "--resume", out_text]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && stderr.contains("no checkpoint"), "{stderr}");
    assert_eq!(json(&out.join("run.json"))["weights_sha256"], first["weights_sha256"]);
    assert_eq!(lines(&out.join("steps.jsonl")), steps);
}

fn lines(path: &Path) -> usize {
    fs::read_to_string(path).unwrap().lines().count()
}

#[test]
fn a_run_that_comes_to_nothing_leaves_no_folder() {
    let Some(_gpu) = common::gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let train = |options: &[&str]| {
        let mut command = gpu_subset();
        command.current_dir(folder.path()).arg("train").args(options).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().unwrap().code()
    };
    let left = || fs::read_dir(folder.path()).unwrap().count();
    let diverges = ["--method", "sgd", "--learning-rate", "1e30", "--budget", "1"];
    assert_eq!((train(&diverges), left()), (Some(6), 0), "nor the folder of all runs");
    let too_little = ["--budget", "0.001", "--out", "a/b"];
    assert_eq!((train(&too_little), left()), (Some(2), 0));
    // what was there before stays
    fs::create_dir(folder.path().join("mine")).unwrap();
    fs::write(folder.path().join("mine/notes"), "x").unwrap();
    assert_eq!(train(&[&diverges[..], &["--out", "mine"]].concat()), Some(6));
    assert_eq!(fs::read_dir(folder.path().join("mine")).unwrap().count(), 1);
}

#[test]
fn nobody_has_to_read_what_the_program_says() {
    let Some(_gpu) = common::gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let experiment = folder.path().join("e.toml");
    fs::write(&experiment, "[[grid]]\ndata = \"digits\"\nseed = [1, 2, 3]\n").unwrap();
    let out = folder.path().join("run");
    let trains = [&SHORT[..], &["--json", "--out", out.to_str().unwrap()]].concat();
    let dry = ["experiment", experiment.to_str().unwrap(), "--dry-run"];
    for arguments in [&trains[..], &dry, &["--help"], &["devices"], &["train", "--version"], &["train", "--sed"]] {
        let mut child = gpu_subset().args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop((child.stdout.take(), child.stderr.take()));
        let expected = if arguments.ends_with(&["--version"]) || arguments.ends_with(&["--sed"]) { 2 } else { 0 };
        assert_eq!(child.wait().unwrap().code(), Some(expected), "{arguments:?}");
    }
    assert!(out.join("run.json").exists() && out.join("weights.safetensors").exists());
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_under_stdout_is_said_and_under_stderr_is_not() {
    let Some(_gpu) = common::gpu() else { return };
    let full = || fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let trains = [&SHORT[..], &["--out", out.to_str().unwrap()]].concat();
    for arguments in [&["--help"][..], &["devices"], &trains] {
        let output = gpu_subset().args(arguments).stdout(full()).stderr(Stdio::piped()).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {stderr}");
        let errors: Vec<_> = stderr.lines().filter(|line| line.starts_with("error: ")).collect();
        assert!(errors.len() == 1 && errors[0].contains("writing standard output failed"), "{stderr}");
    }
    assert!(out.join("run.json").exists(), "the run is saved first");
    let silent = gpu_subset().args([&trains[..], &["--overwrite"]].concat()).stderr(full()).output().unwrap();
    assert!(silent.status.success() && !silent.stdout.is_empty());
}

#[cfg(unix)]
#[test]
fn an_experiment_that_is_stopped_stops_its_run_and_waits_for_it() {
    use std::process::Command;
    use std::time::{Duration, Instant};
    let Some(_gpu) = common::gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (folder.path().join("e.toml"), folder.path().join("out"));
    fs::write(&file, "[[grid]]\ndata = \"digits\"\nbudget = 4000\n").unwrap();
    let mut command = gpu_subset();
    command.args(["experiment", file.to_str().unwrap(), "--out", out.to_str().unwrap()]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let start = Instant::now();
    let run_folder = || fs::read_dir(&out).ok()?.flatten().map(|entry| entry.path()).find(|path| path.is_dir());
    while !run_folder().is_some_and(|run| run.join("steps.jsonl").exists()) {
        assert!(start.elapsed() < Duration::from_secs(120), "no iteration");
        std::thread::sleep(Duration::from_millis(1));
    }
    let kill = format!("kill -TERM {}", child.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let log = fs::read_to_string(run_folder().unwrap().join("train.log")).unwrap();
    assert!(log.contains("error: stopped in iteration") && log.contains("--resume"), "{log}");
    assert!(run_folder().unwrap().join("checkpoint.safetensors").exists());
}
