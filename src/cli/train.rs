//! `gpu-subset train`

use super::device::DeviceArgs;
use super::progress::Watcher;
use super::report::remove_report;
use super::request::RunRequest;
use super::resume::{self, Resumed};
use super::values::non_negative;
use crate::data::Dataset;
use crate::error::{Error, shown};
use crate::optimise::Rule;
use crate::run::{CHECKPOINT_EVERY, Config, Run, RunFolder, RunRecord};
use crate::subset::{Plan, WELL_ABOVE_ONE};
use anyhow::Result;
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Args)]
pub(super) struct TrainArgs {
    #[command(flatten)]
    pub request: RunRequest,
    /// Run folder; by default runs/DATA-MODEL-SEED
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Replace the run in --out
    #[arg(long, requires = "out")]
    overwrite: bool,
    /// Go on with a run that was stopped; it keeps its own configuration, but for --data, where its data is now, and a
    /// larger --budget, with which a complete run goes on as well
    #[arg(long, value_name = "RUN", conflicts_with = "out")]
    resume: Option<PathBuf>,
    /// Repeat a run from its config.toml, in place of the options that say what to do; --data says where its data is
    /// now
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    config: Option<PathBuf>,
    #[command(flatten)]
    checkpoints: CheckpointArgs,
    /// Print run.json on stdout, and nothing else there
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

/// Of a new run.
#[derive(Args)]
struct CheckpointArgs {
    /// Seconds between checkpoints
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = CHECKPOINT_EVERY,
        value_parser = non_negative
    )]
    checkpoint_every: f64,
}

pub(super) fn run(args: &TrainArgs) -> Result<()> {
    let (config, data, resumed) = prepare(args)?;
    let gpu = args.device.open()?;
    let mut run = Run::new(&gpu, &config, &data)?;
    // Not before everything is in place: a run that cannot start leaves nothing behind.
    let (mut folder, progress) = match resumed {
        Some(mut resumed) => {
            let progress = resumed.progress(&config, run.model().vector_len())?;
            (resumed.folder, Some(progress))
        }
        None => {
            let mut folder = create_folder(args, &data, &config)?;
            folder.configure(&config)?;
            (folder, None)
        }
    };
    introduce(&run, &folder);
    let path = folder.path().to_owned();
    let mut watcher = Watcher::new(&run, &mut folder, args.json);
    let trained = run.resume(progress, &mut watcher);
    watcher.finish();
    let trained = trained.map_err(|error| folder.of_checkpoint(error))?;
    if let Some(state) = &trained.state {
        folder.save_state(state)?;
    }
    trained.save(folder.weights())?;
    folder.finish(&trained.record)?;
    if args.json {
        println!("{}", serde_json::to_string(&trained.record)?);
    } else {
        summarise(&trained.record, &path);
    }
    Ok(())
}

/// The configuration and its data, and the run that is resumed.
fn prepare(args: &TrainArgs) -> Result<(Config, Dataset, Option<Resumed>)> {
    if let Some(path) = &args.resume {
        check_alone(&args.request, "--resume", &["data", "budget"])?;
        let (config, data, resumed) = resume::open(path, &args.request)?;
        return Ok((config, data, Some(resumed)));
    }
    if let Some(path) = &args.out {
        RunFolder::check_free(path, args.overwrite)?;
    }
    if let Some(path) = &args.config {
        check_alone(&args.request, "--config", &["data"])?;
        let config = Config::load(path)?;
        let data = config.open_data_of(path, args.request.given_data())?;
        let (data_source, made_in) = (data.source.clone(), Config::start_of(&data.source));
        return Ok((Config { data: data_source, made_in, ..config }, data, None));
    }
    let data = args.request.open_data()?;
    let config = args.request.builder(&data, args.checkpoints.checkpoint_every)?.config()?;
    Ok((config, data, None))
}

/// Whether nothing is said of what to do, which a configuration says already, but for what is `allowed`.
fn check_alone(request: &RunRequest, option: &str, allowed: &[&str]) -> Result<()> {
    let given = &request.given;
    match given.first_but::<RunRequest>(allowed).or_else(|| given.first_of::<CheckpointArgs>()) {
        None => Ok(()),
        Some(other) => {
            let why = format!("{other}: the run of {option} has a configuration of its own; leave one of them out");
            Err(Error::usage(why).into())
        }
    }
}

fn create_folder(args: &TrainArgs, data: &Dataset, config: &Config) -> Result<RunFolder> {
    let folder = match &args.out {
        Some(path) => RunFolder::create(path, args.overwrite)?,
        None => RunFolder::create(&unused_folder(&data.name, config), false)?,
    };
    remove_report(folder.path())?;
    Ok(folder)
}

/// `runs/DATA-MODEL-SEED`, numbered from the second on.
fn unused_folder(data: &str, config: &Config) -> PathBuf {
    let plain = |name: &str| name.replace(|c: char| !c.is_alphanumeric() && c != '-', "_");
    let base = format!("{}-{}-{}", plain(data), plain(&config.model.name), config.seed);
    let candidates = (1..).map(|k| if k == 1 { base.clone() } else { format!("{base}-{k}") });
    candidates.map(|name| Path::new("runs").join(name)).find(|path| !path.exists()).expect("the names never end")
}

/// What is about to happen, on stderr.
fn introduce(run: &Run<'_>, folder: &RunFolder) {
    let (data, config) = (run.data(), run.config());
    eprintln!(
        "{}: {} training and {} test images {} of {} classes ({})",
        shown(&data.name),
        data.train.len(),
        data.test.len(),
        data.shape,
        data.classes.len(),
        data.format
    );
    let k = run.trainer().first().len();
    let q = run.overdetermination(k);
    let works_on = match &config.plan {
        Plan::Stochastic { rule: Rule::Sweep(sweep), .. } => {
            format!("sweep over {k} examples in subsets of {}", sweep.batches.batch)
        }
        Plan::Stages { stages, .. } if stages[0].subset.is_some() && stages[0].gap > 0.0 => {
            format!("subsets of {k} examples (Q = {q:.1}) and more")
        }
        Plan::Stages { stages, .. } if stages[0].subset.is_some() => format!("subset of {k} examples, Q = {q:.1}"),
        _ => format!("{k} examples, Q = {q:.1}"),
    };
    eprintln!(
        "{}: {} parameters; {works_on}; {} held out; run folder {}",
        shown(&config.model.name),
        run.model().parameters(),
        config.held_out,
        shown(folder.path())
    );
    if q < WELL_ABOVE_ONE {
        eprintln!(
            "note: Q = {q:.2} is not well above one, so the subset's minimum may not stand for the whole set's; \
             a larger --subset or a smaller --model raises it"
        );
    }
}

fn summarise(record: &RunRecord, folder: &Path) {
    println!("test accuracy   {:.2}%", 100.0 * record.test_accuracy);
    println!("test loss       {:.4}", record.test_loss);
    println!("training loss   {:.4}", record.train_loss);
    println!("cost            {:.2} epochs", record.cost_epochs);
    println!("wall time       {:.1} s", record.wall_seconds);
    println!("run folder      {}", shown(folder));
}
