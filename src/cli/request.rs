//! What a training run is asked to do: the options that `train` and `plan` share.

use super::augment::AugmentArgs;
use super::given::Given;
use super::method::MethodArgs;
use super::reading::{PixelArgs, ReadArgs, say_notes};
use super::values::{Bytes, Switch, below_one, named, non_negative, whole};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::run::{ClassWeights, Run, RunBuilder, Schedule};
use crate::subset::{Sampling, StageOptions, SubsetSize};
use clap::Args;

const SAMPLINGS: &[(Sampling, &str)] = &[
    (
        Sampling::Balanced,
        "Class by class, so that class sizes differ by at most one while every class has examples left",
    ),
    (Sampling::Uniform, "Each example as likely as any other"),
    (Sampling::Proportional, "Of each class its share"),
];

/// Everything that a run is told; one that is resumed has been told before.
#[derive(Args, Clone, Debug)]
pub(super) struct RunRequest {
    #[command(flatten)]
    pub given: Given,
    #[command(flatten)]
    pub problem: ProblemArgs,
    #[command(flatten)]
    pub course: CourseArgs,
    #[command(flatten)]
    pub augment: AugmentArgs,
    #[command(flatten)]
    pub method: MethodArgs,
}

/// What is learned.
#[derive(Args, Clone, Debug)]
pub(super) struct ProblemArgs {
    /// `digits` (embedded), or a folder: IDX files (MNIST, …), CIFAR-10/100, NumPy arrays, or images as
    /// train/CLASS/*.png and test/CLASS/*.png; or a .npz file, a .csv table of path and label, an archive (.zip, .tgz)
    #[arg(long, value_name = "digits|PATH", default_value = "digits")]
    data: String,
    #[command(flatten)]
    read: ReadArgs,
    /// Built-in model (digits-1k, mnist-14k, cifar-43k, cifar-resnet-75k, …: docs/networks.md) or TOML file; by default
    /// one that suits the images: for pictures of other sizes than the built-in ones' a residual network
    #[arg(long, value_name = "NAME|FILE")]
    model: Option<String>,
    /// Start from the weights of a run, or of a file: safetensors of this program, or an ONNX model. The network is
    /// theirs unless --model says another; for other classes the last affine layer is drawn anew; pixels are normalised
    /// as there (docs/your-pictures.md)
    #[arg(long, value_name = "RUN|WEIGHTS")]
    pub(super) init: Option<String>,
    #[command(flatten)]
    pixels: PixelArgs,
    /// Layers up to this number keep the parameters of --init: 3 for conv1 to batch_norm3, 0 for none
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = whole())]
    freeze: u64,
    /// λ of the penalty λ/2 ‖θ‖²; without it cross entropy has no finite minimum [default: 2e-3 with sweep, else 1e-3]
    #[arg(long, value_name = "LAMBDA", value_parser = non_negative)]
    pub(super) weight_decay: Option<f64>,
    /// Train on targets (1 − s) onehot + s/M, M being the number of classes; held-out and test losses are those of
    /// onehot
    #[arg(long, value_name = "S", default_value_t = 0.0, value_parser = below_one)]
    label_smoothing: f64,
    /// What the examples of each class count in the training loss: as much in each class, or a TOML file of lines class
    /// = weight [default: all the same]
    #[arg(long, value_name = "balanced|FILE")]
    class_weights: Option<String>,
    /// Device memory for activations
    #[arg(long, value_name = "SIZE", default_value = "2GiB")]
    memory: Bytes,
}

/// How it is learned, the method aside.
#[derive(Args, Clone, Debug)]
pub(super) struct CourseArgs {
    #[command(flatten)]
    subset: SubsetArgs,
    #[command(flatten)]
    budget: BudgetArgs,
    #[command(flatten)]
    passes: PassesArgs,
    /// Training examples held out for decisions: a fraction or a number; 0 for none [default: 1/20, 1000 with growing;
    /// none with a --budget, which takes no decisions]
    #[arg(long, value_name = "1/20|3000")]
    held_out: Option<SubsetSize>,
    /// How held-out examples, and the subsets of paper and growing, are drawn; the former are proportional where else a
    /// class would give more than twice its share, or all
    #[arg(long, value_parser = named(SAMPLINGS), value_name = "NAME", default_value = "balanced")]
    sampling: Sampling,
    /// Iterations between two validations, on the held-out examples; 0: at the end alone [default: 5 on a subset, 1 on
    /// the full set, 0 with a budget]
    #[arg(long, value_name = "N", value_parser = whole())]
    check_every: Option<u64>,
    /// End a stage after so many validations without a lower held-out loss; 0: never
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = whole())]
    patience: u64,
    /// paper, growing, full: end a stage when the gradient has fallen by this factor
    #[arg(
        long,
        value_name = "FACTOR",
        default_value_t = 1e-4,
        value_parser = non_negative
    )]
    tolerance: f64,
    /// Start the first layer as principal components of image patches, whitened (docs/how-a-run-works.md) [default: on
    /// with sweep but for --init, else off]
    #[arg(long, value_enum, value_name = "on|off")]
    whiten: Option<Switch>,
    /// Seed of initialisation and sampling
    #[arg(long, default_value_t = 0, value_parser = whole())]
    seed: u64,
}

/// Options of schedules with subsets.
#[derive(Args, Clone, Debug)]
struct SubsetArgs {
    /// paper, growing: examples of the first subset: a fraction of the training set, a number, or auto (the smallest of
    /// 1/2, 1/4, … with Q = K·M/P ≥ 4) [default: auto; 1/64]
    #[arg(long, value_name = "1/8|7500|auto")]
    subset: Option<SubsetSize>,
    /// paper, growing: passes over a subset, at most, but for a first step [default: 30 with kfac, 100 with others; 25]
    #[arg(long, value_name = "PASSES", value_parser = non_negative)]
    subset_passes: Option<f64>,
}

/// Options of schedules that a budget ends.
#[derive(Args, Clone, Debug)]
struct BudgetArgs {
    /// sweep, minibatch: what the training may cost, in epochs of the training set; steps shrink to nothing towards its
    /// end [default: 1.5]
    #[arg(long, value_name = "EPOCHS", value_parser = non_negative)]
    budget: Option<f64>,
}

/// Options of schedules that end by passes over the full set.
#[derive(Args, Clone, Debug)]
struct PassesArgs {
    /// paper, growing, full: passes over the full training set, at most, but for a first step [default: 8; 30 with
    /// kfac, 100 with others]
    #[arg(long, value_name = "PASSES", value_parser = non_negative)]
    full_passes: Option<f64>,
}

impl RunRequest {
    /// Opens the data.
    ///
    /// # Errors
    /// As [`Dataset::open`].
    pub(super) fn open_data(&self) -> Result<Dataset> {
        Dataset::open(&self.problem.data, &self.problem.read.options()).inspect(say_notes)
    }

    /// Where the data is, if that was said.
    pub(super) fn given_data(&self) -> Option<&str> {
        self.given.has("data").then_some(&self.problem.data)
    }

    /// The run on its data, with so many seconds between checkpoints.
    ///
    /// # Errors
    /// [`Error::Usage`] for options that do not go together.
    pub(super) fn builder<'a>(&self, data: &'a Dataset, checkpoint_every: f64) -> Result<RunBuilder<'a>> {
        let Self { problem, course, augment, .. } = self;
        let mut run = Run::by(data, self.schedule()?)
            .memory(problem.memory.0)
            .label_smoothing(problem.label_smoothing)
            .pixels(problem.pixels.pixels())
            .freeze(problem.freeze as usize)
            .sampling(course.sampling)
            .stages(course.options())
            .seed(course.seed)
            .checkpoint_every(checkpoint_every);
        if let Some(lambda) = problem.weight_decay {
            run = run.weight_decay(lambda);
        }
        if let Some(weights) = &problem.class_weights {
            run = run.class_weights(ClassWeights::open(weights, &data.classes)?);
        }
        if let Some(model) = &problem.model {
            run = run.model(model);
        }
        if let Some(path) = &problem.init {
            run = run.init(path);
        }
        if let Some(size) = course.subset.subset {
            run = run.subset(size);
        }
        if let Some(size) = course.held_out {
            run = run.held_out(size);
        }
        if let Some(epochs) = course.budget.budget {
            run = run.budget(epochs);
        }
        if let Some(whiten) = course.whiten() {
            run = run.whiten(whiten);
        }
        if let Some((by, copies)) = augment.choose(data.shape)? {
            run = run.augment(by, copies);
        }
        Ok(run)
    }

    /// The schedule, with its method.
    ///
    /// # Errors
    /// [`Error::Usage`] for an option of another schedule or method.
    pub(super) fn schedule(&self) -> Result<Schedule> {
        let schedule = self.method.choose(&self.given)?;
        let has_budget = matches!(schedule, Schedule::Stochastic(_));
        let has_subset = matches!(schedule, Schedule::Paper(_) | Schedule::Growing(_));
        self.check::<BudgetArgs>(has_budget, "sweep or minibatch")?;
        self.check::<PassesArgs>(!has_budget, "paper, growing or full")?;
        self.check::<SubsetArgs>(has_subset, "paper or growing")?;
        Ok(schedule)
    }

    fn check<G: Args>(&self, fits: bool, of: &str) -> Result<()> {
        match self.given.first_of::<G>().filter(|_| !fits) {
            None => Ok(()),
            Some(option) => Err(Error::usage(format!("{option}: an option of --schedule {of}"))),
        }
    }
}

impl CourseArgs {
    fn options(&self) -> StageOptions {
        StageOptions {
            subset_passes: self.subset.subset_passes,
            full_passes: self.passes.full_passes,
            check_every: self.check_every,
            patience: self.patience,
            tolerance: self.tolerance,
        }
    }

    /// Whether a whitened start was switched on or off.
    pub(super) fn whiten(&self) -> Option<bool> {
        self.whiten.map(Switch::is_on)
    }

    /// What the training may cost, in epochs, if that was said.
    pub(super) fn budget(&self) -> Option<f64> {
        self.budget.budget
    }
}
