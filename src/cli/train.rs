//! `gpu-subset train`

use super::DeviceArgs;
use super::augment::AugmentArgs;
use super::config::{Bytes, Config, default_model, open_data, parse_resize};
use super::method::MethodArgs;
use super::progress::Watcher;
use super::run::Run;
use crate::checkpoint;
use crate::data::Dataset;
use crate::error::Error;
use crate::export::{Signature, save_weights};
use crate::model::{Description, Model};
use crate::report::{RunFolder, RunRecord};
use crate::subset::{Name, Schedule, SubsetSize};
use anyhow::Result;
use clap::Args;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a resumed run has already decided.
const CONFIGURATION: [&str; 33] = [
    "data",
    "resize",
    "model",
    "subset",
    "held_out",
    "subset_passes",
    "full_passes",
    "augment",
    "copies",
    "check_every",
    "patience",
    "tolerance",
    "weight_decay",
    "method",
    "schedule",
    "budget",
    "select",
    "beta",
    "pairs",
    "damping",
    "preconditioner",
    "inner_iterations",
    "learning_rate",
    "batch",
    "warm_up",
    "decay",
    "average",
    "momentum",
    "nesterov",
    "seed",
    "memory",
    "out",
    "checkpoint_every",
];

#[derive(Args)]
pub(super) struct TrainArgs {
    /// `digits` (embedded), or a folder: IDX files (MNIST, …), CIFAR-10/100 binary, or images as train/CLASS/*.png and test/CLASS/*.png
    #[arg(long, value_name = "digits|DIR", default_value = "digits")]
    data: String,
    /// Bring images to this size
    #[arg(long, value_name = "HxW", value_parser = parse_resize)]
    resize: Option<(u32, u32)>,
    /// Built-in model (digits-1k, mnist-2k, mnist-14k, cifar-43k) or TOML file; by default one that suits the images
    #[arg(long, value_name = "NAME|FILE")]
    model: Option<String>,
    /// paper, growing: examples of the first subset: a fraction of the training set, a number, or auto (the smallest of 1/2, 1/4, … with Q = K·M/P ≥ 4)
    /// [default: auto; 1/64]
    #[arg(long, value_name = "1/8|7500|auto")]
    subset: Option<SubsetSize>,
    /// Training examples held out for decisions: a fraction or a number; 0 for none [default: 1/20, 1000 with growing; none with a --budget, which takes
    /// no decisions]
    #[arg(long, value_name = "1/20|3000")]
    held_out: Option<SubsetSize>,
    /// sweep, minibatch: what the training may cost, in epochs of the training set; steps shrink to nothing towards its end [default: 1.5]
    #[arg(long, value_name = "EPOCHS", value_parser = non_negative, allow_negative_numbers = true)]
    budget: Option<f64>,
    /// paper, growing: passes over a subset, at most [default: 30 with kfac, 100 with others; 25]
    #[arg(long, value_name = "PASSES", value_parser = non_negative, allow_negative_numbers = true)]
    subset_passes: Option<f64>,
    /// paper, growing, full: passes over the full training set, at most [default: 8; 30 with kfac, 100 with others]
    #[arg(long, value_name = "PASSES", value_parser = non_negative, allow_negative_numbers = true)]
    full_passes: Option<f64>,
    /// Iterations between two looks at the held-out examples; 0: at the end alone [default: 5 on a subset, 1 on the full set, 0 with a budget]
    #[arg(long, value_name = "N")]
    check_every: Option<u64>,
    /// End a stage after so many looks without a lower held-out loss; 0: never
    #[arg(long, value_name = "N", default_value_t = 0)]
    patience: u64,
    /// paper, growing, full: end a stage when the gradient has fallen by this factor
    #[arg(long, value_name = "FACTOR", default_value_t = 1e-4, value_parser = non_negative, allow_negative_numbers = true)]
    tolerance: f64,
    /// λ of the penalty λ/2 ‖θ‖²; without it cross entropy has no finite minimum
    #[arg(long, value_name = "LAMBDA", default_value_t = 1e-3, value_parser = non_negative, allow_negative_numbers = true)]
    weight_decay: f64,
    /// Seed of initialisation and sampling
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Device memory for activations
    #[arg(long, value_name = "SIZE", default_value = "2GiB")]
    memory: Bytes,
    /// Run folder; by default runs/DATA-MODEL-SEED
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Replace the run in --out
    #[arg(long, requires = "out")]
    overwrite: bool,
    /// Go on with a run that was stopped; it keeps its own configuration
    #[arg(long, value_name = "RUN", conflicts_with_all = CONFIGURATION)]
    resume: Option<PathBuf>,
    /// Seconds between checkpoints
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0, value_parser = non_negative, allow_negative_numbers = true)]
    checkpoint_every: f64,
    /// Print run.json on stdout, and nothing else there
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    augment: AugmentArgs,
    #[command(flatten)]
    method: MethodArgs,
    #[command(flatten)]
    device: DeviceArgs,
}

pub(super) fn non_negative(text: &str) -> std::result::Result<f64, String> {
    text.parse().ok().filter(|x: &f64| x.is_finite() && *x >= 0.0).ok_or_else(|| "not a number from 0 up".to_owned())
}

pub(super) fn run(args: &TrainArgs) -> Result<()> {
    let (config, data, resumed) = match &args.resume {
        Some(path) => reopen(path).map(|(config, data, folder)| (config, data, Some(folder)))?,
        None => prepare(args).map(|(config, data)| (config, data, None))?,
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

/// A new run: data and configuration.
fn prepare(args: &TrainArgs) -> Result<(Config, Dataset)> {
    if let Some(path) = &args.out {
        RunFolder::check_free(path, args.overwrite)?;
    }
    let data = open_data(&args.data, args.resize)?;
    let description = match &args.model {
        Some(name) => Description::open(name)?,
        None => Description::open(default_model(data.shape)?)?,
    };
    let model = Model::new(&description, data.shape, data.classes.len())?;
    let n = data.train.len();
    let (name, method) = args.method.choose(args.seed)?;
    args.check_schedule(name)?;
    let held_out_size =
        args.held_out.unwrap_or(if name.has_budget() { SubsetSize::Count(0) } else { SubsetSize::Auto });
    let held_out = match held_out_size {
        SubsetSize::Count(count) => count,
        SubsetSize::Fraction(numerator, denominator) => n * numerator as usize / denominator as usize,
        SubsetSize::Auto if name == Name::Growing => (n / 20).min(1000),
        SubsetSize::Auto => n / 20,
    };
    if held_out >= n {
        return Err(
            Error::usage(format!("--held-out {held_out_size}: leaves none of the {n} training examples")).into()
        );
    }
    let (augment, copies) = args.augment.choose(data.shape)?;
    // what an epoch goes over: each example once with a budget, all copies without
    let copies = if name.has_budget() { copies } else { Some(copies.unwrap_or(1)) };
    let times = if name.has_budget() { 1 } else { copies.unwrap_or(1) };
    let available = (n - held_out).saturating_mul(times);
    let defaults = Schedule::new(name, &method, available);
    let size = args.subset.unwrap_or(match name {
        Name::Paper => SubsetSize::Auto,
        Name::Growing => SubsetSize::Fraction(1, 64),
        _ => SubsetSize::Fraction(1, 1),
    });
    let subset = size.examples(n.saturating_mul(times), available, data.classes.len(), model.parameters())?;
    // the budget is in epochs of the whole training set, a pass goes over what is not held out
    let budget = args.budget.map(|budget| budget * n as f64 / (n - held_out) as f64);
    let config = Config {
        data: args.data.clone(),
        resize: args.resize,
        data_sha256: data.sha256.clone(),
        subset,
        held_out,
        weight_decay: args.weight_decay,
        seed: args.seed,
        memory: args.memory.0,
        checkpoint_every: args.checkpoint_every,
        copies: copies.filter(|_| augment.is_some()),
        augment,
        schedule: Schedule {
            name,
            subset_passes: args.subset_passes.unwrap_or(defaults.subset_passes),
            full_passes: args.full_passes.or(budget).unwrap_or(defaults.full_passes),
            check_every: args.check_every.unwrap_or(defaults.check_every),
            patience: args.patience,
            tolerance: args.tolerance,
            ..defaults
        },
        method,
        model: description,
    };
    Ok((config, data))
}

impl TrainArgs {
    /// Whether every option given is one of the schedule's.
    fn check_schedule(&self, name: Name) -> Result<()> {
        let (with_budget, in_stages) = (name.has_budget(), matches!(name, Name::Paper | Name::Growing));
        let given = [
            ("--budget", self.budget.is_some(), with_budget, "sweep or minibatch"),
            ("--full-passes", self.full_passes.is_some(), !with_budget, "paper, growing or full"),
            ("--subset-passes", self.subset_passes.is_some(), in_stages, "paper or growing"),
            ("--subset", self.subset.is_some(), in_stages, "paper or growing"),
        ];
        match given.iter().find(|(_, is_given, is_of, _)| *is_given && !is_of) {
            None => Ok(()),
            Some((option, _, _, of)) => Err(Error::usage(format!("{option}: an option of --schedule {of}")).into()),
        }
    }
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
        return Err(Error::data(format!("{}: not the data that {} was made on", config.data, path.display())).into());
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
