//! What a training run is to do: the options that `train` and `plan` share, and the configuration they come to.

use super::augment::AugmentArgs;
use super::config::{Bytes, Config, default_model, open_data, parse_resize};
use super::method::MethodArgs;
use super::values;
use crate::data::Dataset;
use crate::error::Error;
use crate::model::{Description, Model};
use crate::subset::{Name, Sampling, Schedule, SubsetSize};
use anyhow::Result;
use clap::{Args, ValueEnum};

/// Yes or no, where the default is not the same for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Switch {
    On,
    Off,
}

impl Switch {
    pub fn is_on(self) -> bool {
        self == Self::On
    }
}

/// Everything that a run is told; one that is resumed has been told before.
#[derive(Args)]
pub(super) struct Choices {
    #[command(flatten)]
    problem: ProblemArgs,
    #[command(flatten)]
    augment: AugmentArgs,
    #[command(flatten)]
    method: MethodArgs,
}

#[derive(Args)]
struct ProblemArgs {
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
    /// BatchPlan examples held out for decisions: a fraction or a number; 0 for none [default: 1/20, 1000 with growing; none with a --budget, which takes
    /// no decisions]
    #[arg(long, value_name = "1/20|3000")]
    held_out: Option<SubsetSize>,
    /// How held-out examples, and the subsets of paper and growing, are drawn
    #[arg(long, value_name = "NAME", value_parser = values::sampling(), default_value_t = Sampling::Balanced)]
    sampling: Sampling,
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
    /// Start the first layer as principal components of image patches, whitened (docs/how-a-run-works.md) [default: on with sweep, else off]
    #[arg(long, value_enum, value_name = "on|off")]
    whiten: Option<Switch>,
    /// Seed of initialisation and sampling
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Device memory for activations
    #[arg(long, value_name = "SIZE", default_value = "2GiB")]
    memory: Bytes,
}

pub(super) fn non_negative(text: &str) -> std::result::Result<f64, String> {
    text.parse().ok().filter(|x: &f64| x.is_finite() && *x >= 0.0).ok_or_else(|| "not a number from 0 up".to_owned())
}

impl Choices {
    /// A new run's configuration, with so many seconds between checkpoints, and its data.
    pub fn prepare(&self, checkpoint_every: f64) -> Result<(Config, Dataset)> {
        let problem = &self.problem;
        let data = open_data(&problem.data, problem.resize)?;
        let description = match &problem.model {
            Some(name) => Description::open(name)?,
            None => Description::open(default_model(data.shape)?)?,
        };
        let model = Model::new(&description, data.shape, data.classes.len())?;
        let n = data.train.len();
        let (name, method) = self.method.choose(problem.seed)?;
        self.check_schedule(name)?;
        let held_out_size =
            problem.held_out.unwrap_or(if name.has_budget() { SubsetSize::Count(0) } else { SubsetSize::Auto });
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
        let (augment, copies) = self.augment.choose(data.shape)?;
        let times = name.copies_of_a_pass(copies);
        let copies = if name.has_budget() { copies } else { Some(times) };
        let available = (n - held_out).saturating_mul(times);
        let defaults = Schedule::new(name, &method, available);
        let size = problem.subset.unwrap_or(match name {
            Name::Paper => SubsetSize::Auto,
            Name::Growing => SubsetSize::Fraction(1, 64),
            _ => SubsetSize::Fraction(1, 1),
        });
        let subset = size.examples(n.saturating_mul(times), available, data.classes.len(), model.parameters())?;
        // the budget is in epochs of the whole training set, a pass goes over what is not held out
        let budget = problem.budget.map(|budget| budget * n as f64 / (n - held_out) as f64);
        let config = Config {
            data: problem.data.clone(),
            resize: problem.resize,
            data_sha256: data.sha256.clone(),
            subset,
            held_out,
            sampling: problem.sampling,
            weight_decay: problem.weight_decay,
            seed: problem.seed,
            memory: problem.memory.0,
            checkpoint_every,
            copies: copies.filter(|_| augment.is_some()),
            augment,
            whiten: problem.whiten.map_or(name == Name::Sweep, Switch::is_on),
            schedule: Schedule {
                name,
                subset_passes: problem.subset_passes.unwrap_or(defaults.subset_passes),
                full_passes: problem.full_passes.or(budget).unwrap_or(defaults.full_passes),
                check_every: problem.check_every.unwrap_or(defaults.check_every),
                patience: problem.patience,
                tolerance: problem.tolerance,
                ..defaults
            },
            method,
            model: description,
        };
        Ok((config, data))
    }

    /// Whether every option given is one of the schedule's.
    fn check_schedule(&self, name: Name) -> Result<()> {
        let ProblemArgs { budget, full_passes, subset_passes, subset, .. } = &self.problem;
        let (with_budget, in_stages) = (name.has_budget(), matches!(name, Name::Paper | Name::Growing));
        let given = [
            ("--budget", budget.is_some(), with_budget, "sweep or minibatch"),
            ("--full-passes", full_passes.is_some(), !with_budget, "paper, growing or full"),
            ("--subset-passes", subset_passes.is_some(), in_stages, "paper or growing"),
            ("--subset", subset.is_some(), in_stages, "paper or growing"),
        ];
        match given.iter().find(|(_, is_given, is_of, _)| *is_given && !is_of) {
            None => Ok(()),
            Some((option, _, _, of)) => Err(Error::usage(format!("{option}: an option of --schedule {of}")).into()),
        }
    }
}
