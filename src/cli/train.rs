//! `gpu-subset train`

use super::DeviceArgs;
use super::choices::{Choices, non_negative};
use super::config::{Config, open_data};
use super::progress::Watcher;
use super::run::Run;
use crate::checkpoint;
use crate::data::Dataset;
use crate::error::{Error, RunError};
use crate::export::{Signature, save_weights};
use crate::report::{RunFolder, RunRecord};
use anyhow::Result;
use clap::Args;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Args)]
pub(super) struct TrainArgs {
    #[command(flatten)]
    choices: Choices,
    /// Run folder; by default runs/DATA-MODEL-SEED
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Replace the run in --out
    #[arg(long, requires = "out")]
    overwrite: bool,
    /// Go on with a run that was stopped; it keeps its own configuration
    #[arg(long, value_name = "RUN", conflicts_with_all = ["out", "checkpoint_every", "ProblemArgs", "AugmentArgs", "MethodArgs"])]
    resume: Option<PathBuf>,
    /// Seconds between checkpoints
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0, value_parser = non_negative, allow_negative_numbers = true)]
    checkpoint_every: f64,
    /// Print run.json on stdout, and nothing else there
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

pub(super) fn run(args: &TrainArgs) -> Result<()> {
    let (config, data, resumed) = match &args.resume {
        Some(path) => reopen(path).map(|(config, data, folder)| (config, data, Some(folder)))?,
        None => {
            if let Some(path) = &args.out {
                RunFolder::check_free(path, args.overwrite)?;
            }
            let (config, data) = args.choices.prepare(args.checkpoint_every)?;
            (config, data, None)
        }
    };
    let gpu = args.device.open()?;
    let mut run = Run::new(&gpu, &config, &data)?;
    // Not before everything is in place: a run that cannot start leaves nothing behind.
    let mut folder = match resumed {
        Some(folder) => folder,
        None => create_folder(args, &data, &config)?,
    };
    let resumed = match &args.resume {
        Some(_) => Some(checkpoint::load(&folder.checkpoint(), run.model.vector_len())?),
        None => {
            config.save(&folder.config())?;
            None
        }
    };
    if let Some(progress) = &resumed {
        let earlier: u64 = progress.stages.iter().map(|stage| stage.iterations).sum();
        folder.keep_steps(earlier + progress.optimiser.iteration)?;
    }
    run.introduce(&config, &data, &folder);
    let initial = run.model.initialise(config.seed);
    let path = folder.path().to_owned();
    let mut watcher = Watcher::new(
        &mut folder,
        run.trainer.planned_units(),
        run.q(1),
        Duration::from_secs_f64(config.checkpoint_every),
        args.json,
    );
    let progress = run.trainer.run(&initial, resumed, &mut watcher)?;
    watcher.finish();
    let (theta, record) = run.conclude(&config, &data, &progress)?;
    let signature = Signature {
        model: config.model.clone(),
        input: data.shape,
        classes: data.classes.clone(),
        normalisation: run.statistics,
    };
    save_weights(&folder.weights(), &run.model, &theta, &signature)?;
    folder.finish(&record)?;
    if args.json {
        println!("{}", serde_json::to_string(&record)?);
    } else {
        summarise(&record, &path);
    }
    Ok(())
}

fn create_folder(args: &TrainArgs, data: &Dataset, config: &Config) -> Result<RunFolder> {
    Ok(match &args.out {
        Some(path) => RunFolder::create(path, args.overwrite)?,
        None => RunFolder::create(&unused_folder(&data.name, config), false)?,
    })
}

/// `runs/DATA-MODEL-SEED`, numbered from the second on.
fn unused_folder(data: &str, config: &Config) -> PathBuf {
    let plain = |name: &str| name.replace(|c: char| !c.is_alphanumeric() && c != '-', "_");
    let base = format!("{}-{}-{}", plain(data), plain(&config.model.name), config.seed);
    let candidates = (1..).map(|k| if k == 1 { base.clone() } else { format!("{base}-{k}") });
    candidates.map(|name| Path::new("runs").join(name)).find(|path| !path.exists()).expect("the names never end")
}

/// A run to go on with: its configuration, and the same data.
fn reopen(path: &Path) -> Result<(Config, Dataset, RunFolder)> {
    let folder = RunFolder::open(path)?;
    if folder.record().exists() {
        return Err(Error::usage(format!("--resume {}: this run is complete", path.display())).into());
    }
    let config = Config::load(&folder.config())?;
    let data = open_data(&config.data, config.resize)?;
    if data.sha256 != config.data_sha256 {
        return Err(Error::from(RunError::OtherData { data: config.data, run: path.to_owned() }).into());
    }
    Ok((config, data, folder))
}

fn summarise(record: &RunRecord, folder: &Path) {
    println!("test accuracy   {:.2}%", 100.0 * record.test_accuracy);
    println!("test loss       {:.4}", record.test_loss);
    println!("training loss   {:.4}", record.train_loss);
    println!("cost            {:.2} epochs", record.cost_epochs);
    println!("wall time       {:.1} s", record.wall_seconds);
    println!("run folder      {}", folder.display());
}
