//! Runs whose folder was damaged, changed or taken, as the program and the library meet them.

#[path = "common/mod.rs"]
mod common;

use common::program::{refused, run};
use gpu_subset::checkpoint;
use gpu_subset::data::Dataset;
use gpu_subset::error::{Error, Result};
use gpu_subset::export::save_weights;
use gpu_subset::optimise::{GaussNewtonSettings, Method, Preconditioner};
use gpu_subset::run::{Config, FolderLock, Run, RunFolder, Schedule, Weights};
use gpu_subset::subset::{Observer, Progress, StepRecord};
use std::fs;
use std::path::Path;

/// Stops a run after its third step, and keeps where it stands.
#[derive(Default)]
struct Third {
    records: Vec<StepRecord>,
    progress: Option<Progress<Vec<f32>>>,
}

impl Observer for Third {
    fn step(&mut self, record: &StepRecord) -> Result<()> {
        self.records.push(record.clone());
        Ok(())
    }

    fn checkpoint(&mut self, progress: &Progress<Vec<f32>>) -> Result<()> {
        self.progress = Some(progress.clone());
        Ok(())
    }

    fn is_interrupted(&self) -> bool {
        self.records.len() == 3
    }
}

impl Third {
    fn of(run: &mut Run<'_>) -> Self {
        let mut third = Self::default();
        assert!(matches!(run.train(&mut third), Err(Error::Interrupted { .. })));
        third
    }

    /// As the program would have left it.
    fn save(&self, at: &Path, config: &Config) {
        let mut folder = RunFolder::create(at, false, config).unwrap();
        self.records.iter().for_each(|record| folder.append(record).unwrap());
        folder.save_checkpoint(self.progress.as_ref().unwrap()).unwrap();
    }
}

#[test]
fn a_checkpoint_that_lacks_a_vector_is_refused_and_names_it() {
    let Some(gpu) = common::gpu() else { return };
    let data = Dataset::digits().unwrap();
    let full = |method| Schedule::Full(method);
    let gauss_newton = GaussNewtonSettings { preconditioner: Preconditioner::Kronecker, ..Default::default() };
    let runs = [
        Run::sweep(&data).budget(20.0),
        Run::by(&data, full(Method::Kfac(Default::default()))),
        Run::by(&data, full(Method::GaussNewton(gauss_newton))),
        Run::by(&data, full(Method::Lbfgs(Default::default()))),
        Run::by(&data, full(Method::Ncg(Default::default()))),
    ];
    for (is_sweep, builder) in std::iter::once(true).chain(std::iter::repeat(false)).zip(runs) {
        let mut run = builder.on(&gpu).unwrap();
        let whole = Third::of(&mut run).progress.unwrap();
        let mut lacking = Vec::new();
        for (name, _) in &whole.vectors.optimiser {
            let mut progress = whole.clone();
            progress.vectors.optimiser.retain(|(other, _)| other != name);
            lacking.push((name.clone(), progress));
        }
        for (name, _) in &whole.vectors.problem {
            let mut progress = whole.clone();
            progress.vectors.problem.retain(|(other, _)| other != name);
            lacking.push((name.clone(), progress));
        }
        if !whole.vectors.problem.is_empty() {
            let mut progress = whole.clone();
            progress.vectors.problem.clear();
            lacking.push(("Kronecker factors".to_owned(), progress));
        }
        assert!(!lacking.is_empty());
        for (name, progress) in lacking {
            match run.resume(Some(progress), &mut Third::default()) {
                Err(why @ Error::Data(_)) => assert!(why.to_string().starts_with("a state without"), "{name}: {why}"),
                // those that look at the curvature anew in the fourth step need none
                Err(Error::Interrupted { .. }) if name.starts_with("Kronecker") && !is_sweep => {}
                other => panic!("{name}: {:?}", other.map(|trained| trained.record)),
            }
        }
    }
}

#[test]
fn a_run_that_was_changed_or_is_taken_is_refused_by_the_program() {
    let Some(gpu) = common::gpu() else { return };
    let data = Dataset::digits().unwrap();
    let mut run = Run::by(&data, Schedule::Full(Method::Kfac(Default::default()))).on(&gpu).unwrap();
    let at = tempfile::tempdir().unwrap();
    let path = at.path().join("run");
    let (out, config) = (path.to_str().unwrap(), path.join("config.toml"));
    Third::of(&mut run).save(&path, run.config());

    let lock = FolderLock::take(&path).unwrap();
    let holder = format!("in use by process {}", std::process::id());
    refused(&["train", "--resume", out], 2, &[out, &holder]);
    refused(&["train", "--overwrite", "--out", out], 2, &[out, &holder]);
    drop(lock);

    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("seed = 0", "seed = 7")).unwrap();
    refused(&["train", "--resume", out], 3, &["config.toml", "checkpoint.safetensors"]);
    fs::write(&config, format!("# a remark\n{text}")).unwrap();

    let checkpoint = path.join("checkpoint.safetensors");
    let (mut progress, provenance) = checkpoint::load(&checkpoint, run.model().vector_len()).unwrap();
    let bytes = fs::read(&checkpoint).unwrap();
    let (lacking, _) = progress.vectors.optimiser.pop().unwrap();
    checkpoint::save(&checkpoint, None, &progress, &provenance).unwrap();
    refused(&["train", "--resume", out], 3, &["checkpoint.safetensors", &lacking]);
    fs::write(&checkpoint, bytes).unwrap();

    // a word of it off, with the one before at hand
    fs::copy(&checkpoint, path.join("checkpoint.previous.safetensors")).unwrap();
    let mut bytes = fs::read(&checkpoint).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&checkpoint, bytes).unwrap();
    let output = common::program::run(&["train", "--resume", out]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let notes: Vec<&str> = stderr.lines().filter(|line| line.contains("checkpoint before it")).collect();
    assert!(notes.len() == 1 && notes[0].contains("checkpoint.safetensors: damaged"), "{stderr}");
    assert!(!checkpoint.exists() && !path.join("checkpoint.previous.safetensors").exists());
}

#[test]
fn weights_that_are_not_finite_are_refused_with_their_tensor() {
    let at = tempfile::tempdir().unwrap();
    let (path, out) = (at.path().join("run"), at.path().join("run").display().to_string());
    let data = Dataset::digits().unwrap();
    let config = Run::sweep(&data).config().unwrap();
    RunFolder::create(&path, false, &config).unwrap();
    let model = gpu_subset::model::Model::new(&config.model, data.shape, 10).unwrap();
    let signature = gpu_subset::export::Signature::new(&config.model, &data);
    let mut theta = model.initialise(0);
    let tensor = &model.tensors()[3];
    for bad in [f32::NAN, f32::NEG_INFINITY] {
        theta[tensor.range.end - 1] = bad;
        save_weights(&path.join("weights.safetensors"), &model, [&theta, &[]], &signature).unwrap();
        refused(&["eval", &out], 3, &["weights.safetensors", &tensor.name, "not finite"]);
    }
    theta[tensor.range.end - 1] = 0.0;
    save_weights(&path.join("weights.safetensors"), &model, [&theta, &[]], &signature).unwrap();
    assert_eq!(Weights::load(&path.join("weights.safetensors")).unwrap().theta, theta);
}

#[test]
fn somebody_elses_files_and_an_experiment_that_goes_on_are_left_alone() {
    let at = tempfile::tempdir().unwrap();
    let out = at.path().to_str().unwrap();
    fs::write(at.path().join("run.json"), "{\"mine\": 1}").unwrap();
    for overwrite in [&[][..], &["--overwrite"]] {
        refused(&[&["train", "--out", out], overwrite].concat(), 2, &["run.json", "--out"]);
    }
    assert_eq!(fs::read_to_string(at.path().join("run.json")).unwrap(), "{\"mine\": 1}");

    let grid = at.path().join("grid.toml");
    fs::write(&grid, "[[grid]]\nbudget = 1\n").unwrap();
    let runs = at.path().join("runs");
    fs::create_dir(&runs).unwrap();
    let lock = FolderLock::take(&runs).unwrap();
    let arguments = ["experiment", grid.to_str().unwrap(), "--out", runs.to_str().unwrap()];
    refused(&arguments, 2, &["in use by process"]);
    drop(lock);
    assert!(run(&[&arguments[..], &["--dry-run"]].concat()).status.success());
}
