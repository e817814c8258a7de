//! `gpu-subset train`

use super::device::DeviceArgs;
use super::exit::{code_of, leave};
use super::new_run::{NewRun, unused_folder};
use super::output::{say, show};
use super::overrides::Override;
use super::progress::Watcher;
use super::ranks::{Ranks, introduce as introduce_ranks, is_silent};
use super::reading::say_notes;
use super::request::RunRequest;
use super::resume::{self, Continuation};
use super::signals;
use super::trained::say_start;
use super::values::{named, non_negative};
use crate::data::Dataset;
use crate::device::Interrupt;
use crate::error::{Error, shown};
use crate::optimise::Rule;
use crate::run::{CHECKPOINT_EVERY, Config, Invitation, LogFormat, Run, RunFolder, RunRecord};
use crate::subset::{Plan, Progress, WELL_ABOVE_ONE};
use crate::training::Traffic;
use anyhow::Result;
use clap::Args;
use std::path::{Path, PathBuf};

const LOG_FORMATS: &[(LogFormat, &str)] = &[
    (LogFormat::Csv, "steps.csv: a row a step"),
    (LogFormat::Tensorboard, "events.out.tfevents.*: scalars over steps and time"),
];

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
    /// With --config: another value for a key of it, its parts between dots, such as seed=3 or plan.rule.momentum=0.9;
    /// may be repeated
    #[arg(long, value_name = "KEY=VALUE", requires = "config")]
    set: Vec<Override>,
    /// Write steps in these formats as well, into the run folder: steps.csv, or events that TensorBoard reads; a run
    /// that is resumed goes on with those that it has
    #[arg(long, value_name = "csv,tensorboard", value_delimiter = ',', value_parser = named(LOG_FORMATS))]
    log: Vec<LogFormat>,
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
    let mut ranks = match Ranks::join() {
        Err(error) if is_silent() => std::process::exit(code_of(&error).into()),
        joined => joined?,
    };
    if ranks.are_led() {
        let served = ranks.serve(&args.device);
        ranks.end();
        return match served {
            Err(error) => std::process::exit(code_of(&error).into()), // rank 0 says it
            Ok(()) => Ok(()),
        };
    }
    lead(args, &mut ranks)
}

/// Trains, with whatever other ranks there are.
fn lead(args: &TrainArgs, ranks: &mut Ranks) -> Result<()> {
    let (config, data, resumed) = prepare(args)?;
    let count = (!ranks.team().is_alone()).then(|| ranks.team().ranks());
    if resumed.is_some() && config.ranks != count {
        let [before, now] = [config.ranks, count].map(|ranks| ranks.unwrap_or(1));
        say!("note: the run began on {before} ranks and goes on on {now}: the last bits of its sums will be others");
    }
    let config = Config { ranks: count, ..config };
    Invitation::send(ranks.team(), &config)?;
    let made = ranks.open(&args.device).and_then(|(gpu, said)| {
        let run = Run::on_team(&gpu, &config, &data, ranks.team().clone())?;
        Ok((gpu, run, said))
    });
    let (made, own) = match made {
        Ok((gpu, run, said)) => (Some((gpu, run)), Ok(said)),
        Err(error) => (None, Err(error)),
    };
    let adapters = Invitation::ready(ranks.team(), own)?;
    let Some((gpu, mut run)) = made else { unreachable!("its error is one of all ranks") };
    introduce_ranks(&adapters, &run);
    // Not before everything is in place: a run that cannot start leaves nothing behind, and a signal ends it.
    let interrupt = signals::hold();
    gpu.heed(&interrupt);
    let (ended, path) = match resumed {
        Some(mut resumed) => {
            let progress = resumed.progress(&config, run.model().vector_len())?;
            let path = resumed.folder.path().to_owned();
            (finish(&mut run, &mut resumed.folder, progress, args, interrupt), path)
        }
        None => {
            let path = args.out.clone().unwrap_or_else(|| unused_folder(&data.name, &config));
            let mut new = NewRun::create(&path, args.overwrite, &config)?;
            let ended = finish(&mut run, &mut new.folder, None, args, interrupt);
            (ended.inspect_err(|error| new.take_back_after(error)), path)
        }
    };
    ranks.end();
    if let Err(stopped @ (Error::Stopped | Error::Interrupted { .. })) = &ended {
        leave(stopped);
    }
    let (record, weights) = ended?;
    if args.json { Ok(show!("{}", serde_json::to_string(&record)?)?) } else { Ok(summarise(&record, &weights, &path)?) }
}

/// Trains to the end, and leaves weights and record in the folder: that record, and where the weights are.
fn finish(
    run: &mut Run<'_>,
    folder: &mut RunFolder,
    progress: Option<Progress<Vec<f32>>>,
    args: &TrainArgs,
    interrupt: Interrupt,
) -> crate::error::Result<(RunRecord, PathBuf)> {
    folder.log(&args.log, progress.as_ref().map_or(&[], |progress| &progress.scalars.stages))?;
    introduce(run, folder);
    let mut watcher = Watcher::new(run, folder, args.json, interrupt);
    let trained = run.resume(progress, &mut watcher);
    watcher.finish();
    let trained = trained.map_err(|error| folder.of_checkpoint(error))?;
    trained.save(folder.weights())?;
    if let Some(state) = &trained.state {
        folder.save_state(state)?;
    }
    folder.finish(&trained.record)?;
    Ok((trained.record, folder.weights()))
}

/// The configuration and its data, and the run that is resumed.
fn prepare(args: &TrainArgs) -> Result<(Config, Dataset, Option<Continuation>)> {
    if let Some(path) = &args.resume {
        check_alone(&args.request, "--resume", &["data", "budget"])?;
        let (config, data, resumed) = resume::open(path, &args.request)?;
        say_notes(&data);
        return Ok((config, data, Some(resumed)));
    }
    if let Some(path) = &args.out {
        RunFolder::check_free(path, args.overwrite)?;
    }
    if let Some(path) = &args.config {
        check_alone(&args.request, "--config", &["data"])?;
        let config = args.set.iter().try_fold(Config::load(path)?, |config, set| set.apply(&config))?;
        let data = config.open_data_of(path, args.request.given_data())?;
        say_notes(&data);
        return Ok((config.moved_to(&data), data, None));
    }
    let data = args.request.open_data()?;
    let config = args.request.builder(&data, args.checkpoints.checkpoint_every)?.config()?;
    check_kept(args, &config)?;
    Ok((config, data, None))
}

/// Whether the run that is replaced is not the one whose weights this one starts from: neither could be repeated.
fn check_kept(args: &TrainArgs, config: &Config) -> Result<()> {
    let absolute = |path: &Path| path.canonicalize().ok();
    let replaced = args.out.as_deref().and_then(absolute);
    let init = config.init.as_ref().and_then(|init| absolute(Path::new(&init.path)));
    match replaced.zip(init) {
        Some((replaced, init)) if init.starts_with(&replaced) => {
            Err(Error::usage("--out: the run there has the weights of --init; choose another folder").into())
        }
        _ => Ok(()),
    }
}

/// Whether nothing is said of what to do, which a configuration says already, but for what is `allowed`.
fn check_alone(request: &RunRequest, option: &str, allowed: &[&str]) -> Result<()> {
    let given = &request.given;
    match given.first_but::<RunRequest>(allowed).or_else(|| given.first_of::<CheckpointArgs>()) {
        None => Ok(()),
        Some(other) => {
            let to_do = if option == "--config" { ", or change a key of it with --set" } else { "" };
            let why =
                format!("{other}: the run of {option} has a configuration of its own; leave one of them out{to_do}");
            Err(Error::usage(why).into())
        }
    }
}

/// What is about to happen, on stderr.
fn introduce(run: &Run<'_>, folder: &RunFolder) {
    let (data, config) = (run.data(), run.config());
    say!(
        "{}: {} training and {} test images {} of {} classes ({})",
        shown(&data.name),
        data.train.len(),
        data.test.len(),
        data.shape,
        data.classes.len(),
        data.format
    );
    if let [first, others @ ..] = &data.classes_without_examples()[..] {
        let more = if others.is_empty() { String::new() } else { format!(" and {} more", others.len()) };
        say!("note: no training example is of class {}{more}: an output that is never right", shown(first));
    }
    say_start(run);
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
    say!(
        "{}: {} parameters; {works_on}; {} held out; run folder {}",
        shown(&config.model.name),
        run.model().parameters(),
        config.held_out,
        shown(folder.path())
    );
    if q < WELL_ABOVE_ONE {
        say!(
            "note: Q = {q:.2} is not well above one, so the subset's minimum may not stand for the whole set's; \
             a larger --subset or a smaller --model raises it"
        );
    }
}

/// What came of it, a quantity a line.
fn summarise(record: &RunRecord, weights: &Path, folder: &Path) -> crate::error::Result<()> {
    let of_classes = record.metrics.as_ref().zip(record.test_examples()).map_or(String::new(), |(metrics, images)| {
        format!(" of {images} images, {:.2}% as a mean over the classes", 100.0 * metrics.balanced_accuracy)
    });
    show!("trained         {}, {} parameters, on {}", shown(&record.model), record.parameters, shown(&record.data))?;
    show!("test accuracy   {:.2}%{of_classes}", 100.0 * record.test_accuracy)?;
    show!("test loss       {:.4}", record.test_loss)?;
    show!("training loss   {:.4}", record.train_loss)?;
    show!("cost            {:.2} epochs, {:.2} of passes through the network", record.cost_epochs, record.network())?;
    show!("wall time       {:.1} s", record.wall_seconds)?;
    if let Some((ranks, Traffic { bytes, seconds })) = record.ranks.zip(record.exchange) {
        let (share, megabytes) = (100.0 * seconds / record.wall_seconds, bytes as f64 * 1e-6);
        show!("ranks           {ranks}; exchanges took {share:.1}% of the time, {megabytes:.1} MB at rank 0")?;
    }
    show!("weights         {}, of the {}", shown(weights), record.weights)?;
    show!("run folder      {}", shown(folder))
}
