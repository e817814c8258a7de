//! A run folder in the hands of chance: damage, crashes, other configurations, other processes, other people's files.

use gpu_subset::data::Dataset;
use gpu_subset::error::{Error, Result};
use gpu_subset::run::{Config, LogFormat, Resumed, Run, RunFolder};
use gpu_subset::subset::{Progress, ProgressScalars, ProgressVectors, StageReport, StepRecord};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

fn config() -> Config {
    Run::sweep(&Dataset::digits().unwrap()).config().unwrap()
}

fn record(iteration: u64) -> StepRecord {
    serde_json::from_value(serde_json::json!({
        "stage": "full", "examples": 10, "iteration": iteration, "loss": 0.5, "gradient_norm": 0.5, "step_norm": 0.1,
        "step_length": 1.0, "evaluations": 1, "restarted": false, "damping": null, "rho": null, "inner_iterations": 0,
        "rejected": null, "held_out": null, "units": 3.0, "cost_epochs": 0.05, "wall_seconds": 1.5
    }))
    .unwrap()
}

/// A run after so many steps.
fn progress(iteration: u64) -> Progress<Vec<f32>> {
    let mut scalars = ProgressScalars::default();
    scalars.state.iteration = iteration;
    let vectors =
        ProgressVectors { parameters: vec![iteration as f32; 2], optimiser: vec![], problem: vec![], best: None };
    Progress { scalars, vectors }
}

/// A run that was killed after seven steps, with checkpoints after the third and the fifth.
fn killed() -> TempDir {
    let at = tempfile::tempdir().unwrap();
    let mut folder = RunFolder::create(at.path(), false, &config()).unwrap();
    for iteration in 1..=7 {
        folder.append(&record(iteration)).unwrap();
        if [3, 5].contains(&iteration) {
            folder.save_checkpoint(&progress(iteration)).unwrap();
        }
    }
    at
}

/// Iteration that a run goes on from, 0 for its start, and whether with a note.
fn resumed(at: &Path, config: &Config) -> Result<(u64, bool)> {
    let Resumed { progress, fault } = RunFolder::take(at)?.resume(config, 2)?;
    let Some(progress) = progress else { return Ok((0, fault.is_some())) };
    assert_eq!(progress.vectors.parameters, [progress.scalars.state.iteration as f32; 2]);
    Ok((progress.scalars.state.iteration, fault.is_some()))
}

fn lines(at: &Path) -> usize {
    fs::read_to_string(at.join("steps.jsonl")).unwrap().lines().count()
}

/// Bytes of the first lines.
fn len_of(lines: usize, bytes: &[u8]) -> usize {
    bytes.split_inclusive(|&byte| byte == b'\n').take(lines).flatten().count()
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[track_caller]
fn refused(result: Result<(u64, bool)>, fragments: &[&str]) {
    let why = result.unwrap_err();
    assert!(matches!(why, Error::Data(_)), "{why:?}");
    fragments.iter().for_each(|fragment| assert!(why.to_string().contains(fragment), "{fragment}: {why}"));
}

#[test]
fn steps_are_cut_back_to_the_checkpoint_whatever_came_after() {
    for tail in ["", "{\"stage\":", "garbage\n\u{0}\n"] {
        let at = killed();
        change(&at.path().join("steps.jsonl"), |bytes| bytes.extend(tail.as_bytes()));
        assert_eq!(resumed(at.path(), &config()).unwrap(), (5, false));
        assert_eq!(lines(at.path()), 5);
        let mut folder = RunFolder::take(at.path()).unwrap();
        folder.resume(&config(), 2).unwrap();
        folder.append(&record(6)).unwrap();
        folder.save_checkpoint(&progress(6)).unwrap();
        assert_eq!(folder.read_steps().unwrap(), (1..=6).map(record).collect::<Vec<_>>());
    }
}

#[test]
fn a_damaged_or_missing_checkpoint_gives_way_to_the_one_before() {
    let whole = fs::read(killed().path().join("checkpoint.safetensors")).unwrap();
    for damaged in [None, Some(&b""[..]), Some(&whole[..whole.len() - 1])] {
        let at = killed();
        let path = at.path().join("checkpoint.safetensors");
        damaged.map_or_else(|| fs::remove_file(&path), |bytes| fs::write(&path, bytes)).unwrap();
        assert_eq!(resumed(at.path(), &config()).unwrap(), (3, true));
        assert_eq!(lines(at.path()), 3);
        // it has taken the other's place, and nothing more is to be said
        assert!(!at.path().join("checkpoint.previous.safetensors").exists());
        assert_eq!(resumed(at.path(), &config()).unwrap(), (3, false));
        fs::write(&path, "").unwrap();
        refused(resumed(at.path(), &config()), &["checkpoint.safetensors"]);
        fs::remove_file(&path).unwrap();
        assert_eq!(resumed(at.path(), &config()).unwrap(), (0, false));
        assert_eq!(lines(at.path()), 0);
    }
}

#[test]
fn damaged_steps_are_refused_unless_the_damage_came_after_the_checkpoint_before() {
    let damage = |by: fn(&mut Vec<u8>)| {
        let at = killed();
        change(&at.path().join("steps.jsonl"), by);
        at
    };
    for early in
        [damage(|bytes| bytes[30] ^= 1), damage(|bytes| drop(bytes.drain(..len_of(1, bytes)))), damage(Vec::clear)]
    {
        refused(resumed(early.path(), &config()), &["steps.jsonl", "first 5 lines", "checkpoint.safetensors"]);
    }
    let late = damage(|bytes| bytes.truncate(len_of(4, bytes) + 10));
    assert_eq!(resumed(late.path(), &config()).unwrap(), (3, true));
    assert_eq!(lines(late.path()), 3);
    let gone = killed();
    fs::remove_file(gone.path().join("steps.jsonl")).unwrap();
    refused(resumed(gone.path(), &config()), &["steps.jsonl"]);
}

#[test]
fn a_checkpoint_goes_on_with_its_own_configuration_alone() {
    let at = killed();
    let own = config();
    for other in [
        Config { seed: 1, ..own.clone() },
        Config { memory: own.memory / 2, ..own.clone() },
        Config { data_sha256: "0".repeat(64), ..own.clone() },
        Config { whiten: !own.whiten, ..own.clone() },
    ] {
        refused(resumed(at.path(), &other), &["config.toml", "checkpoint.safetensors"]);
    }
    // where the data is and how often a checkpoint is made do not change the result
    let moved = Config { data: "/elsewhere".to_owned(), checkpoint_every: 1.0, ..own.clone() };
    assert_eq!(resumed(at.path(), &moved).unwrap(), (5, false));
    assert_eq!(own.digest(), moved.digest());

    let longer = own.plan.with_budget(gpu_subset::cost::Units::new(1e4)).unwrap();
    let longer = Config { plan: longer, ..own.clone() };
    let mut folder = RunFolder::take(at.path()).unwrap();
    let progress = folder.resume(&own, 2).unwrap().progress.unwrap();
    folder.reconfigure(&longer, &progress).unwrap();
    drop(folder);
    assert_eq!(Config::load(&at.path().join("config.toml")).unwrap(), longer);
    assert_eq!(resumed(at.path(), &own).unwrap(), (5, false), "a crash may have come before it was written");
    assert_eq!(resumed(at.path(), &longer).unwrap(), (5, false));
    fs::remove_file(at.path().join("checkpoint.safetensors")).unwrap();
    assert_eq!(resumed(at.path(), &longer).unwrap(), (5, true));
}

/// A run with weights, as far as a folder knows.
fn complete(at: &Path, name: &str) {
    RunFolder::create(at, true, &config()).unwrap();
    for file in ["steps.jsonl", "weights.safetensors", "run.json"] {
        fs::write(at.join(file), name).unwrap();
    }
}

fn holds(at: &Path, name: &str) -> bool {
    fs::read_to_string(at.join("weights.safetensors")).is_ok_and(|text| text == name)
}

#[test]
fn a_run_that_is_replaced_is_there_until_the_new_one_has_weights() {
    let at = tempfile::tempdir().unwrap();
    let (at, replaced) = (at.path(), at.path().join("replaced"));
    complete(at, "old");
    assert!(matches!(RunFolder::create(at, false, &config()).map(|_| ()), Err(Error::Usage(_))));
    assert!(holds(at, "old"));

    // one that comes to nothing leaves the old one as it was
    let before = fs::read(at.join("config.toml")).unwrap();
    let mut folder = RunFolder::create(at, true, &Config { seed: 1, ..config() }).unwrap();
    assert!(holds(&replaced, "old") && !at.join("run.json").exists());
    RunFolder::open(&replaced).unwrap();
    folder.append(&record(1)).unwrap();
    folder.save_checkpoint(&progress(1)).unwrap();
    folder.remove_run();
    drop(folder);
    assert!(holds(at, "old") && !replaced.exists() && !at.join("checkpoint.safetensors").exists());
    assert_eq!((lines(at), fs::read(at.join("config.toml")).unwrap()), (1, before));

    // two that are killed on the way leave it, too
    for _ in 0..2 {
        RunFolder::create(at, true, &config()).unwrap();
        assert!(holds(&replaced, "old") && !holds(at, "old"));
    }
    // and one that has weights takes its place
    fs::write(at.join("weights.safetensors"), "new").unwrap();
    RunFolder::create(at, true, &config()).unwrap();
    assert!(holds(&replaced, "new") && !at.join("weights.safetensors").exists());

    // killed while the old one was set aside
    fs::rename(replaced.join("config.toml"), at.join("config.toml")).unwrap();
    fs::rename(replaced.join("weights.safetensors"), at.join("weights.safetensors")).unwrap();
    RunFolder::create(at, true, &config()).unwrap();
    assert!(holds(&replaced, "new") && replaced.join("config.toml").exists());
}

#[test]
fn a_run_that_came_to_nothing_leaves_nothing_of_it() {
    let at = tempfile::tempdir().unwrap();
    let mut folder = RunFolder::create(at.path(), true, &config()).unwrap();
    folder.append(&record(1)).unwrap();
    folder.save_checkpoint(&progress(1)).unwrap();
    fs::write(at.path().join("notes.txt"), "mine").unwrap();
    folder.remove_run();
    assert_eq!(fs::read_dir(at.path()).unwrap().count(), 1);
}

/// Numbers of the steps in `steps.csv`, and the file of events, where there is one.
fn logged(at: &Path) -> (Vec<String>, Option<String>) {
    let text = fs::read_to_string(at.join("steps.csv")).unwrap();
    let numbers = text.lines().map(|line| line.split(',').next().unwrap().to_owned()).collect();
    let names = fs::read_dir(at).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    (numbers, names.into_iter().find(|name| name.starts_with("events.out.tfevents.")))
}

#[test]
fn other_logs_follow_the_steps_and_have_none_twice() {
    let at = tempfile::tempdir().unwrap();
    let numbers = |last: u64| ["step".to_owned()].into_iter().chain((1..=last).map(|number| number.to_string()));
    let mut folder = RunFolder::create(at.path(), false, &config()).unwrap();
    folder.log(&[LogFormat::Csv, LogFormat::Tensorboard], &[]).unwrap();
    for iteration in 1..=7 {
        folder.append(&record(iteration)).unwrap();
        if iteration == 5 {
            folder.save_checkpoint(&progress(iteration)).unwrap();
        }
    }
    drop(folder);
    let (rows, events) = logged(at.path());
    let events = at.path().join(events.unwrap());
    assert_eq!(rows, numbers(7).collect::<Vec<_>>());
    let after_seven = fs::metadata(&events).unwrap().len();

    // it was killed in the middle of a row, and is not told again what it writes
    change(&at.path().join("steps.csv"), |bytes| bytes.truncate(bytes.len() - 9));
    let mut folder = RunFolder::take(at.path()).unwrap();
    folder.resume(&config(), 2).unwrap();
    folder.log(&[], &[]).unwrap();
    assert_eq!(logged(at.path()).0, numbers(5).collect::<Vec<_>>());
    assert!(fs::metadata(&events).unwrap().len() < after_seven);
    (6..=7).for_each(|iteration| folder.append(&record(iteration)).unwrap());
    assert_eq!(fs::metadata(&events).unwrap().len(), after_seven, "the same events");
    let report = serde_json::json!({
        "stage": "full", "examples": 10, "overdetermination": 1.0, "iterations": 7, "passes": 1.0, "loss": 0.5,
        "gradient_reduction": 0.1, "test_accuracy": 0.75, "test_loss": 0.25, "stopped": "it was enough"
    });
    let report: StageReport = serde_json::from_value(report).unwrap();
    folder.end_stage(&report).unwrap();
    let ended = fs::read_to_string(at.path().join("steps.csv")).unwrap();
    let cells = |line: usize| ended.lines().nth(line).unwrap().split(',').map(str::to_owned).collect::<Vec<_>>();
    let of = |name: &str| cells(7)[cells(0).iter().position(|found| found == name).unwrap()].clone();
    assert_eq!([of("step"), of("test_accuracy"), of("test_loss"), of("rejected")], ["7", "0.75", "0.25", ""]);
    assert_eq!((ended.lines().count(), cells(6).len()), (8, cells(0).len()));

    // made anew, they are the same; and they go with the run that they are of
    let events_of = fs::read(&events).unwrap();
    drop(folder);
    let mut folder = RunFolder::take(at.path()).unwrap();
    folder.log(&[], &[report]).unwrap();
    assert_eq!(fs::read_to_string(at.path().join("steps.csv")).unwrap(), ended);
    assert_eq!(fs::read(&events).unwrap(), events_of);
    folder.remove_run();
    assert_eq!(fs::read_dir(at.path()).unwrap().count(), 0);
}

#[test]
fn logs_are_set_aside_with_the_run_that_they_are_of() {
    let at = tempfile::tempdir().unwrap();
    let at = at.path();
    complete(at, "old");
    fs::write(at.join("steps.csv"), "old").unwrap();
    fs::write(at.join("events.out.tfevents.17.gpu-subset"), "old").unwrap();
    let folder = RunFolder::create(at, true, &config()).unwrap();
    assert!(!at.join("steps.csv").exists() && at.join("replaced/events.out.tfevents.17.gpu-subset").exists());
    folder.remove_run();
    assert!(logged(at).1.is_some() && fs::read_to_string(at.join("steps.csv")).unwrap() == "old");
}

#[test]
fn files_of_somebody_else_are_not_replaced() {
    for (name, text) in [
        ("run.json", "{}"),
        ("weights.safetensors", ""),
        ("steps.jsonl", ""),
        ("steps.csv", ""),
        ("checkpoint.safetensors", ""),
        ("config.toml", "[package]\nname = \"mine\"\n"),
        ("config.toml", "no TOML"),
    ] {
        for overwrite in [false, true] {
            let at = tempfile::tempdir().unwrap();
            fs::write(at.path().join(name), text).unwrap();
            let why = RunFolder::create(at.path(), overwrite, &config()).map(|_| ()).unwrap_err();
            assert!(matches!(&why, Error::Usage(_)) && why.to_string().contains(name), "{name}: {why}");
            assert_eq!(fs::read_to_string(at.path().join(name)).unwrap(), text);
            assert_eq!(fs::read_dir(at.path()).unwrap().count(), 1, "no trace of having asked");
        }
    }
}

#[test]
fn one_process_works_in_a_folder() {
    let at = killed();
    let first = RunFolder::take(at.path()).unwrap();
    let holder = format!("process {} on", std::process::id());
    for why in [
        RunFolder::take(at.path()).map(|_| ()),
        RunFolder::create(at.path(), true, &config()).map(|_| ()),
        RunFolder::check_free(at.path(), true),
    ] {
        let why = why.unwrap_err();
        assert!(matches!(&why, Error::Usage(_)) && why.to_string().contains(&holder), "{why}");
    }
    assert_eq!(lines(at.path()), 7, "nothing was touched");
    RunFolder::open(at.path()).unwrap().read_steps().unwrap();
    drop(first);
    RunFolder::take(at.path()).unwrap();
}
