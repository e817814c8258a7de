//! A run on the device: everything it works on, built from its configuration.

use super::config::Config;
use super::metrics::Metrics;
use super::predictions::Confusion;
use super::record::RunRecord;
use super::recovery::Recovery;
use super::trained::Trained;
use super::weights::Weights;
use crate::cost::Cost;
use crate::data::{Dataset, Split};
use crate::device::{Buf, Gpu};
use crate::error::{Error, MemoryError, Result};
use crate::export::Signature;
use crate::model::Model;
use crate::objective::{Examples, Kronecker, Objective, Workspace};
use crate::subset::{
    Finished, Incident, Observer, Once, Plan, Progress, StageKind, StageReport, StartOptions, Subset, Trainer,
    TrainingSets, overdetermination,
};
use crate::training::{LossOf, SharedLoss, Team};
use std::sync::Arc;

/// A run on a device. It may be moved to another thread.
///
/// A device that is lost is opened again, and the run goes on from its last state; one that has too little memory gets
/// smaller chunks of examples.
pub struct Run<'a> {
    config: Config,
    data: &'a Dataset,
    model: Arc<Model>,
    /// All that is on the device; nothing where that is gone for good.
    trainer: Option<Trainer>,
    signature: Signature,
    recovery: Recovery,
    /// What happened to the device that nobody was told of yet.
    incidents: Vec<Incident>,
    /// What reporting losses have cost that are gone with their device.
    earlier_reporting: Cost,
    /// The ranks that it is on.
    team: Team,
}

/// A stream of random numbers that keeps the draw of subsets apart from others of one seed.
const SUBSETS: u64 = 2;

impl<'a> Run<'a> {
    /// Builds everything that a run of this configuration works on.
    ///
    /// # Errors
    /// As [`Config::check`]; [`Error::Usage`](crate::error::Error::Usage) when the network does not fit the data or
    /// the method, [`Error::OutOfMemory`](crate::error::Error::OutOfMemory) and
    /// [`Error::Device`](crate::error::Error::Device).
    pub fn new(gpu: &Gpu, config: &Config, data: &'a Dataset) -> Result<Self> {
        Self::on_team(gpu, config, data, Team::alone())
    }

    /// The same on all ranks of a team, each of which builds it: rank 0 then trains, the others [serve](Run::serve).
    ///
    /// # Errors
    /// As [`Run::new`].
    pub fn on_team(gpu: &Gpu, config: &Config, data: &'a Dataset, team: Team) -> Result<Self> {
        config.check(data)?;
        let model = Model::new(&config.model, data.shape, data.classes.len())?.freezing(config.freeze)?;
        let model = Arc::new(model);
        if config.plan.is_preconditioned() {
            Workspace::check(gpu, &model)?;
            Kronecker::check(gpu, &model, &config.plan.looks())?;
        }
        config.check_budget(data, &model, Cost::units)?;
        let selects = config.plan.rule().map(|rule| rule.batches()).filter(|batches| batches.select);
        let least = selects.map_or(0, |batches| batches.batch.min(data.train.len()));
        let mut run = Self {
            config: config.clone(),
            data,
            signature: config.signature(data),
            model,
            trainer: None,
            recovery: Recovery::new(gpu, config.memory, least),
            incidents: Vec::new(),
            earlier_reporting: Cost::default(),
            team,
        };
        match run.build() {
            Ok(trainer) => run.trainer = Some(trainer),
            Err(error) => run.rebuild(error, None)?,
        }
        Ok(run)
    }

    /// All that is on the device.
    fn build(&self) -> Result<Trainer> {
        let Self { config, data, model, signature, recovery: Recovery { gpu, most, .. }, team, .. } = self;
        let workspace = Arc::new(Workspace::of_chunks(gpu, model.clone(), config.memory, *most)?);
        if let Some(batches) = config.plan.rule().map(|rule| rule.batches()).filter(|batches| batches.select) {
            workspace.check_choice(batches.batch.min(data.train.len()))?;
        }
        let sets = training_sets(gpu, config, data, (&workspace, team), &signature.normalisation)?;
        let Config { weight_decay, label_smoothing, whiten, seed, .. } = *config;
        let weights = data.example_weights(config.class_weights.as_deref()).map(Arc::from);
        let start = StartOptions { weight_decay, label_smoothing, weights, whiten, seed };
        Trainer::new(&workspace, config.plan.clone(), sets, start, team.clone())
    }

    /// The same again after an error of a run that had cost so much, if anything can be done about it.
    fn rebuild(&mut self, mut error: Error, at: Option<Cost>) -> Result<()> {
        if self.trainer.is_some() {
            self.earlier_reporting = self.reporting_cost();
        }
        loop {
            self.trainer = None; // its memory is needed
            let incident = self.recovery.take(error, &self.model, at)?;
            self.incidents.push(incident);
            match self.build() {
                Ok(trainer) => {
                    self.trainer = Some(trainer);
                    return Ok(());
                }
                Err(again) => error = again,
            }
        }
    }

    /// Trains, and tells the observer how it goes: `()` for nobody, or a closure that takes each step's record.
    ///
    /// # Errors
    /// [`Error::Diverged`](crate::error::Error::Diverged), [`Error::Interrupted`](crate::error::Error::Interrupted)
    /// when the observer stops it, [`Error::Data`](crate::error::Error::Data) when the weights that it starts from are
    /// gone, and what device or observer report.
    pub fn train(&mut self, observer: &mut dyn Observer) -> Result<Trained> {
        self.resume(None, observer)
    }

    /// The same from a checkpoint, if there is one.
    ///
    /// # Errors
    /// As [`Run::train`].
    pub fn resume(&mut self, checkpoint: Option<Progress<Vec<f32>>>, observer: &mut dyn Observer) -> Result<Trained> {
        let initial = match &self.config.init {
            // what a checkpoint holds came from there
            Some(init) if checkpoint.is_none() => init.start(&self.model, self.config.seed)?,
            _ => self.model.initialise(self.config.seed),
        };
        if self.trainer.is_none() {
            self.trainer = Some(self.build()?); // an earlier error left it without
        }
        let before = self.reporting_cost();
        let (mut from, mut observer) = (checkpoint, Once::new(observer));
        loop {
            for incident in self.incidents.drain(..) {
                observer.incident(&incident)?;
            }
            observer.goes_on_from(from.as_ref());
            let error = match self.attempt(&initial, from.clone(), before, &mut observer) {
                Ok(trained) => return Ok(trained),
                Err(error @ (Error::Device(_) | Error::OutOfMemory(_))) => error,
                Err(error) => return Err(error),
            };
            from = self.trainer().last().cloned().or(from);
            if let Some(last) = &from {
                observer.checkpoint(last)?; // whatever becomes of the device
            }
            self.rebuild(error, from.as_ref().map(|last| last.scalars.cost()))?;
        }
    }

    /// Does what rank 0 asks for until that says that it is over: on the other ranks of a team.
    ///
    /// # Errors
    /// [`Error::Rank`] when rank 0 is out of reach.
    pub fn serve(&mut self) -> Result<()> {
        self.trainer_mut().serve()
    }

    fn attempt(
        &mut self,
        initial: &[f32],
        from: Option<Progress<Vec<f32>>>,
        reported_before: Cost,
        observer: &mut dyn Observer,
    ) -> Result<Trained> {
        let finished = self.trainer_mut().run(initial, from, observer)?;
        let concluded = self.conclude(&finished, reported_before);
        concluded.map_err(|error| self.trainer().save_if_stopped(error, observer))
    }

    /// The resolved configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The data it is made on.
    pub fn data(&self) -> &'a Dataset {
        self.data
    }

    /// The network.
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// The device that it is on: another than it was given, once that was lost.
    pub fn gpu(&self) -> &Gpu {
        &self.recovery.gpu
    }

    /// What runs the plan.
    ///
    /// # Panics
    /// After an error that left it without a device.
    pub fn trainer(&self) -> &Trainer {
        self.trainer.as_ref().expect("the device is open")
    }

    pub(super) fn trainer_mut(&mut self) -> &mut Trainer {
        self.trainer.as_mut().expect("the device is open")
    }

    /// Q = K·M/P of so many examples.
    pub fn overdetermination(&self, examples: usize) -> f64 {
        overdetermination(examples, self.model.classes, self.model.parameters())
    }

    /// What the losses that report have cost, over all runs of this one's parts.
    fn reporting_cost(&self) -> Cost {
        let sets = self.trainer().sets();
        self.earlier_reporting + sets.train_loss.cost() + sets.test.cost()
    }

    /// A run over mini-batches as it was before its one stage came to its end.
    fn state(&self, progress: &Progress<Buf>) -> Result<Option<Progress<Vec<f32>>>> {
        if self.config.plan.rule().is_none() {
            return Ok(None);
        }
        let mut state = progress.convert(|vector| self.trainer().space().download(vector))?;
        state.scalars.stages.clear();
        state.scalars.validations_since_best = 0; // with more budget, patience starts anew
        Ok(Some(state))
    }

    /// What logits `[N][M]` of the test set come to.
    fn test_metrics(&self, logits: &[f32]) -> Metrics {
        let Dataset { test, classes, .. } = self.data;
        Metrics::new(logits, &test.labels, classes, &Confusion::new(logits, &test.labels, classes.len()))
    }

    /// The weights to keep and the last record. Nothing here is charged: it decides nothing.
    fn conclude(&mut self, finished: &Finished, reported_before: Cost) -> Result<Trained> {
        let Progress { scalars, vectors } = &finished.progress;
        let (theta, which) = match &vectors.best {
            Some(best) => (best, "lowest held-out loss"),
            None => (&vectors.parameters, "last iteration"),
        };
        let sets = self.trainer_mut().sets_mut();
        // the last stage's report has the losses already, unless better parameters came before its end
        let (train_loss, test_loss, test_accuracy) = match scalars.stages.last() {
            Some(&StageReport { train_loss: Some(train), test_loss: Some(test), test_accuracy, .. })
                if vectors.best.is_none() || scalars.validations_since_best == 0 =>
            {
                (train, test, test_accuracy)
            }
            _ => {
                let (train, test) = (sets.train_loss.loss(theta)?, sets.test.loss(theta)?);
                (train.cross_entropy, test.cross_entropy, test.accuracy)
            }
        };
        let n = sets.train.len();
        let gpu = sets.gpu().clone();
        // which finds the moments that the weights keep
        let logits = sets.test.whole_mut().logits(theta)?;
        let moments = sets.test.whole().workspace().moments(&gpu)?;
        let reporting = self.reporting_cost() - reported_before;
        let theta = self.trainer().space().download(theta)?;
        let weights = Weights { model: self.model.clone(), theta, moments, signature: self.signature.clone() };
        let subset = self.trainer().first();
        let record = RunRecord {
            test_accuracy,
            test_loss,
            metrics: Some(self.test_metrics(&logits)),
            train_loss,
            subset_loss: scalars.stages.iter().rfind(|stage| stage.stage == StageKind::Subset).map(|stage| stage.loss),
            cost_epochs: scalars.cost().units().passes(n),
            network_epochs: Some(scalars.cost().network_units().passes(n)),
            reporting_epochs: reporting.network_units().passes(n),
            wall_seconds: scalars.wall_seconds,
            parameters: self.model.parameters(),
            overdetermination: self.overdetermination(subset.len()),
            subset_examples: subset.len(),
            subset_sha256: subset.hash.clone(),
            stages: scalars.stages.clone(),
            screening: finished.screening.clone(),
            weights: which.to_owned(),
            weights_sha256: weights.sha256(),
            seed: self.config.seed,
            model: self.config.model.name.clone(),
            data: self.data.name.clone(),
            data_sha256: self.data.sha256.clone(),
            adapter: gpu.info.name.clone(),
            backend: gpu.backend(),
            driver: gpu.driver(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ranks: self.config.ranks,
            exchange: self.team.traffic(),
        };
        Ok(Trained { weights, record, state: self.state(&finished.progress)?, memory: self.config.memory })
    }
}

/// The examples of a run on the device, and the losses over them.
fn training_sets(
    gpu: &Gpu,
    config: &Config,
    data: &Dataset,
    (workspace, team): (&Arc<Workspace>, &Team),
    statistics: &[(f64, f64)],
) -> Result<TrainingSets> {
    let upload = |split: &Split| Examples::upload(gpu, data.shape, &split.images, &split.labels, statistics);
    let (mut train, test) = (upload(&data.train)?, upload(&data.test)?);
    if let Some(by) = config.augment {
        train = train.augmented(gpu, by, config.copies, config.seed)?;
    }
    let (train, test) = (Arc::new(train), Arc::new(test));
    let times = config.copies_of_a_pass();
    let indices = times.saturating_mul(train.len());
    if config.augment.is_some() && indices > gpu.max_binding_words() {
        let adapter = gpu.info.name.clone();
        return Err(MemoryError::Copies { copies: times, examples: indices, adapter }.into());
    }
    let all: Vec<u32> = (0..train.len() as u32).collect();
    let every_test: Vec<u32> = (0..test.len() as u32).collect();
    let held_out = config.draw_held_out(&train.labels);
    let full = Subset::new(copies(config, held_out.complement(train.len()), train.len()), config.seed);
    let loss = |examples: &Arc<Examples>, indices: &[u32], which| {
        SharedLoss::new(indices, gpu.profile.block, (which, team), |indices| {
            Objective::new(gpu, workspace, examples, indices, 0.0)?.evaluating(Some((&train, &full.indices)))
        })
    };
    let held_out = (!held_out.is_empty()).then(|| loss(&train, &held_out.indices, LossOf::HeldOut)).transpose()?;
    let (train_loss, test) = (loss(&train, &all, LossOf::Training)?, loss(&test, &every_test, LossOf::Test)?);
    Ok(TrainingSets { stages: stages(config, &train.labels, full), held_out, train_loss, test, train })
}

/// The examples of each stage. Subsets are nested: the largest out of the full set, each of those before out of the one
/// after it.
fn stages(config: &Config, labels: &[u32], full: Subset) -> Vec<Subset> {
    let Plan::Stages { stages, .. } = &config.plan else { return vec![full] };
    let mut sets: Vec<Subset> = Vec::new();
    let mut larger = &full.indices;
    for stage in stages.iter().rev() {
        let set = match stage.subset {
            Some(count) => Subset::draw(config.sampling, labels, larger, count, (config.seed, SUBSETS)),
            None => full.clone(),
        };
        sets.push(set);
        larger = &sets[sets.len() - 1].indices;
    }
    sets.reverse();
    sets
}

/// What is trained on in place of examples out of `n`: copies, if there are any. Mini-batches take other ones in each
/// epoch by themselves.
fn copies(config: &Config, examples: Vec<u32>, n: usize) -> Vec<u32> {
    let last = config.copies_of_a_pass() as u32;
    match config.augment {
        Some(_) => (1..=last).flat_map(|copy| examples.iter().map(move |i| i + copy * n as u32)).collect(),
        None => examples,
    }
}
