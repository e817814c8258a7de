//! A run as it is asked for, with defaults for all that is not said.

use super::assembly::Run;
use super::class_weights::ClassWeights;
use super::config::Config;
use super::held_out::leaves_each_class;
use super::initial::InitialWeights;
use super::pixels::Pixels;
use super::schedule::Schedule;
use crate::cost::Units;
use crate::data::Dataset;
use crate::device::Gpu;
use crate::error::{Result, UsageError};
use crate::kernels::augment::Augmentation;
use crate::model::{Description, Model};
use crate::objective::{DEFAULT_MEMORY, FactorWork};
use crate::optimise::{Rule, Sweep};
use crate::subset::{Plan, Sampling, StageOptions, SubsetSize};

/// Seconds between checkpoints unless the user says otherwise.
pub const CHECKPOINT_EVERY: f64 = 30.0;

/// A run as it is asked for: `Run::sweep(&data).model("mnist-14k").budget(0.5)`. What is not said has a default that
/// suits the data.
#[derive(Clone, Debug)]
pub struct RunBuilder<'a> {
    data: &'a Dataset,
    schedule: Schedule,
    model: Option<String>,
    description: Option<Description>,
    init: Option<String>,
    pixels: Pixels,
    freeze: usize,
    subset: Option<SubsetSize>,
    held_out: Option<SubsetSize>,
    sampling: Sampling,
    budget: Option<f64>,
    options: StageOptions,
    weight_decay: Option<f64>,
    label_smoothing: f64,
    class_weights: Option<ClassWeights>,
    whiten: Option<bool>,
    augment: Option<Augmentation>,
    copies: Option<usize>,
    seed: u64,
    memory: u64,
    checkpoint_every: f64,
}

impl Run<'_> {
    /// The default: a sweep over small disjoint subsets, a K-FAC step on each, within a budget.
    pub fn sweep(data: &Dataset) -> RunBuilder<'_> {
        Self::by(data, Schedule::Stochastic(Rule::Sweep(Sweep::default())))
    }

    /// A run by another schedule.
    pub fn by(data: &Dataset, schedule: Schedule) -> RunBuilder<'_> {
        RunBuilder {
            data,
            schedule,
            model: None,
            description: None,
            init: None,
            pixels: Pixels::default(),
            freeze: 0,
            subset: None,
            held_out: None,
            sampling: Sampling::default(),
            budget: None,
            options: StageOptions::default(),
            weight_decay: None,
            label_smoothing: 0.0,
            class_weights: None,
            whiten: None,
            augment: None,
            copies: None,
            seed: 0,
            memory: DEFAULT_MEMORY,
            checkpoint_every: CHECKPOINT_EVERY,
        }
    }
}

impl<'a> RunBuilder<'a> {
    /// A built-in network by name (`digits-1k`, `mnist-14k`, `cifar-43k`, …) or a TOML file by path; by default one
    /// that suits the images.
    #[must_use]
    pub fn model(mut self, name: impl Into<String>) -> Self {
        self.model = Some(name.into());
        self
    }

    /// A network of the caller's own, in place of [one by name](Self::model).
    #[must_use]
    pub fn network(mut self, description: Description) -> Self {
        self.description = Some(description);
        self
    }

    /// Starts from the weights of a run folder, or of a file (safetensors or ONNX), and not from random ones.
    /// The network is theirs unless [`model`](Self::model) says another: then parameters are taken by name and shape.
    /// For other classes the last affine layer is drawn anew. Inputs are normalised as those weights had them.
    #[must_use]
    pub fn init(mut self, path: impl Into<String>) -> Self {
        self.init = Some(path.into());
        self
    }

    /// What pixels those weights read, where they do not say; by default from 0 to 1.
    #[must_use]
    pub fn pixels(mut self, pixels: Pixels) -> Self {
        self.pixels = pixels;
        self
    }

    /// Layers up to this number, that of their names, keep the parameters that the run starts with; by default none
    /// does.
    #[must_use]
    pub fn freeze(mut self, layers: usize) -> Self {
        self.freeze = layers;
        self
    }

    /// What mini-batches may cost, in epochs of the training set; steps shrink to nothing towards its end.
    #[must_use]
    pub fn budget(mut self, epochs: f64) -> Self {
        self.budget = Some(epochs);
        self
    }

    /// Seed of everything random, 0 by default.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// λ of the penalty λ/2 ‖θ‖²; by default [that of a schedule](Schedule::weight_decay).
    #[must_use]
    pub fn weight_decay(mut self, lambda: f64) -> Self {
        self.weight_decay = Some(lambda);
        self
    }

    /// s of the targets (1 − s) onehot + s/M of the training loss, 0 ≤ s < 1; by default 0. Held-out and test losses
    /// are those of onehot.
    #[must_use]
    pub fn label_smoothing(mut self, s: f64) -> Self {
        self.label_smoothing = s;
        self
    }

    /// What the examples of each class count in the training loss; by default all the same. Held-out and test losses
    /// are of examples that count the same.
    #[must_use]
    pub fn class_weights(mut self, weights: ClassWeights) -> Self {
        self.class_weights = Some(weights);
        self
    }

    /// Examples of the first subset of a paper's or a growing schedule.
    #[must_use]
    pub fn subset(mut self, size: SubsetSize) -> Self {
        self.subset = Some(size);
        self
    }

    /// Training examples held out for decisions.
    #[must_use]
    pub fn held_out(mut self, size: SubsetSize) -> Self {
        self.held_out = Some(size);
        self
    }

    /// How held-out examples and subsets are drawn.
    #[must_use]
    pub fn sampling(mut self, sampling: Sampling) -> Self {
        self.sampling = sampling;
        self
    }

    /// Passes, validations and tolerance of a schedule in stages; of mini-batches, the validations.
    #[must_use]
    pub fn stages(mut self, options: StageOptions) -> Self {
        self.options = options;
        self
    }

    /// Whether the first layer starts as whitened components of what it reads; by default with a sweep from random
    /// weights.
    #[must_use]
    pub fn whiten(mut self, whiten: bool) -> Self {
        self.whiten = Some(whiten);
        self
    }

    /// Trains on copies of the examples that differ from them; so many of each, or another one in each epoch. By
    /// default a sweep shifts images by a pixel that are drawn on black and [leave their border
    /// free](Dataset::has_black_border); an augmentation that changes nothing is none.
    #[must_use]
    pub fn augment(mut self, by: Augmentation, copies: Option<usize>) -> Self {
        (self.augment, self.copies) = (Some(by), copies);
        self
    }

    /// Bytes of device memory for activations.
    #[must_use]
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory = bytes;
        self
    }

    /// Seconds between checkpoints, for observers that make any.
    #[must_use]
    pub fn checkpoint_every(mut self, seconds: f64) -> Self {
        self.checkpoint_every = seconds;
        self
    }

    /// The resolved configuration.
    ///
    /// # Errors
    /// [`Error::Usage`](crate::error::Error::Usage) when there is no such model, or what was asked for does not fit the
    /// data; [`Error::Data`](crate::error::Error::Data) for weights to start from that cannot be read, or do not fit.
    pub fn config(&self) -> Result<Config> {
        let (data, n) = (self.data, self.data.train.len());
        self.check_schedule()?;
        let (model, init) = self.model_and_start()?;
        let held_out = self.held_out_examples()?;
        let is_stochastic = matches!(self.schedule, Schedule::Stochastic(_));
        let times = if is_stochastic { 1 } else { self.copies.unwrap_or(1) };
        let copies = if is_stochastic { self.copies } else { Some(times) };
        let augment = self.augment.or_else(|| self.usual_augmentation()).filter(|by| *by != Augmentation::default());
        let available = (n - held_out).saturating_mul(times);
        let subset = |usual: SubsetSize| {
            let size = self.subset.unwrap_or(usual);
            size.examples(n.saturating_mul(times), available, data.classes.len(), model.parameters())
        };
        let class_weights = self.class_weights.as_ref().map(|of| of.of(&data.train.labels, data.classes.len()));
        let entropy =
            class_weights.as_deref().map_or_else(|| data.class_entropy(), |of| data.weighted_class_entropy(of));
        let plan = match self.schedule {
            Schedule::Stochastic(rule) => {
                let rule = rule.among_classes(entropy);
                let budget = self.budget.map(|epochs| Units::of_passes(epochs, n));
                Plan::stochastic(rule, budget, available, &self.options)
                    .suiting(|looks| FactorWork::of(&model, looks).units(&model))
            }
            Schedule::Paper(method) => Plan::paper(method, subset(SubsetSize::Auto)?, &self.options),
            Schedule::Growing(method) => {
                Plan::growing(method, subset(SubsetSize::Fraction(1, 64))?, available, &self.options)
            }
            Schedule::Full(method) => Plan::full(method, &self.options),
        };
        let usual_decay = self.schedule.weight_decay_of(entropy, &model, &plan, augment.is_some());
        let config = Config {
            data: data.source.clone(),
            made_in: Config::start_of(&data.source),
            resize: data.options.resize,
            skip_damaged: data.options.skip_damaged,
            data_sha256: data.sha256.clone(),
            classes: data.classes.clone(),
            examples: n,
            held_out,
            held_out_sampling: None,
            sampling: self.sampling,
            weight_decay: self.weight_decay.unwrap_or(usual_decay),
            label_smoothing: self.label_smoothing,
            class_weights,
            seed: self.seed,
            memory: self.memory,
            checkpoint_every: self.checkpoint_every,
            copies: copies.filter(|_| augment.is_some()),
            augment,
            whiten: self.whiten.unwrap_or(self.schedule.is_sweep() && init.is_none()),
            freeze: self.freeze,
            test: data.options.test,
            init,
            ranks: None,
            plan,
            model: model.description,
        };
        let config = config.with_fair_held_out(&data.train.labels);
        config.check(data)?;
        Ok(config)
    }

    /// Builds everything the run works on, on a device.
    ///
    /// # Errors
    /// As [`RunBuilder::config`] and [`Run::new`].
    pub fn on(&self, gpu: &Gpu) -> Result<Run<'a>> {
        Run::new(gpu, &self.config()?, self.data)
    }

    /// The network, and the weights that it starts from.
    fn model_and_start(&self) -> Result<(Model, Option<InitialWeights>)> {
        let named = match &self.description {
            Some(description) => Some(description.clone()),
            None => self.model.as_ref().map(|name| Description::open(name)).transpose()?,
        };
        let (description, init) = match &self.init {
            Some(path) => {
                let (description, init) = InitialWeights::choose((path, &self.pixels), named, self.data)?;
                (description, Some(init))
            }
            None => (named.map_or_else(|| Description::suiting(self.data.shape), Ok)?, None),
        };
        let model = Model::new(&description, self.data.shape, self.data.classes.len())?;
        Ok((model.freezing(self.freeze)?, init))
    }

    fn usual_augmentation(&self) -> Option<Augmentation> {
        let is_shifted = self.schedule.is_sweep() && self.data.has_black_border();
        is_shifted.then(|| Augmentation { crop: 1, ..Augmentation::default() })
    }

    /// Whether all that was said is of its schedule.
    fn check_schedule(&self) -> Result<()> {
        let StageOptions { subset_passes, full_passes, .. } = self.options;
        let why = match self.schedule {
            _ if self.init.is_none() && !self.pixels.is_empty() => "pixels are those of weights to start from",
            Schedule::Stochastic(_) if self.subset.is_some() || subset_passes.or(full_passes).is_some() => {
                "mini-batches have a budget, neither a subset nor passes"
            }
            Schedule::Paper(_) | Schedule::Growing(_) | Schedule::Full(_) if self.budget.is_some() => {
                "a schedule in stages has passes, no budget"
            }
            Schedule::Full(_) if self.subset.is_some() => "the schedule of the full set has no subset",
            _ => return Ok(()),
        };
        Err(UsageError::Configuration { why }.into())
    }

    /// How many examples decide: none by default where there is a budget, which takes no decisions.
    fn held_out_examples(&self) -> Result<usize> {
        let n = self.data.train.len();
        let usual = match self.schedule {
            Schedule::Stochastic(_) => SubsetSize::Count(0),
            _ => SubsetSize::Auto,
        };
        let size = self.held_out.unwrap_or(usual);
        let count = match size {
            SubsetSize::Count(count) => count,
            SubsetSize::Fraction(numerator, denominator) => {
                n.saturating_mul(numerator as usize).checked_div(denominator as usize).unwrap_or(n)
            }
            SubsetSize::Auto if matches!(self.schedule, Schedule::Growing(_)) => (n / 20).min(1000),
            SubsetSize::Auto => n / 20,
        };
        if count < n && leaves_each_class(&self.data.train.labels, count) {
            return Ok(count);
        }
        Err(UsageError::HeldOut { size: size.to_string(), examples: n }.into())
    }
}
