//! A run on the device: everything it works on, what it says before, and its record.

use super::config::Config;
use crate::data::{Dataset, hex};
use crate::device::{Buf, Gpu};
use crate::error::{Error, MemoryError};
use crate::model::Model;
use crate::objective::{Cost, Examples, Objective, Workspace};
use crate::optimise::{GpuSpace, Method};
use crate::report::{RunFolder, RunRecord};
use crate::subset::{Name, Progress, StageKind, StageReport, Subset, Trainer, WELL_ABOVE_ONE, overdetermination};
use anyhow::Result;
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// The subsets before the full set: one; or nested ones, each four times the one before.
fn subsets(config: &Config, labels: &[u32], full: &Subset) -> Vec<Subset> {
    let draw = |candidates: &[u32], count| Subset::draw(config.sampling, labels, candidates, count, (config.seed, 2));
    match config.schedule.name {
        _ if config.schedule.subset_passes == 0.0 => Vec::new(),
        Name::Paper => vec![draw(&full.indices, config.subset)],
        Name::Growing => {
            let sizes = std::iter::successors(Some(config.subset), |size| Some(4 * size));
            let mut sizes: Vec<usize> = sizes.take_while(|size| *size < full.len()).collect();
            sizes.reverse();
            // the largest first, and each of those before out of it
            let mut subsets: Vec<Subset> = Vec::new();
            for size in sizes {
                let next = draw(subsets.last().map_or(&full.indices, |larger| &larger.indices), size);
                subsets.push(next);
            }
            subsets.reverse();
            subsets
        }
        Name::Sweep | Name::Full | Name::Minibatch => Vec::new(),
    }
}

/// What is trained on in place of examples out of `n`: copies, if there are any. Mini-batches take other ones in each epoch by themselves.
fn copies(config: &Config, examples: Vec<u32>, n: usize) -> Vec<u32> {
    let last = config.schedule.name.copies_of_a_pass(config.copies) as u32;
    match config.augment {
        Some(_) => (1..=last).flat_map(|copy| examples.iter().map(move |i| i + copy * n as u32)).collect(),
        None => examples,
    }
}

/// What a run holds on the device.
pub(super) struct Run {
    pub model: Arc<Model>,
    pub trainer: Trainer,
    /// Mean and standard deviation of each channel over the training set.
    pub statistics: Vec<(f64, f64)>,
}

impl Run {
    pub fn new(gpu: &Gpu, config: &Config, data: &Dataset) -> Result<Self> {
        let model = Arc::new(Model::new(&config.model, data.shape, data.classes.len())?);
        let workspace = Arc::new(Workspace::new(gpu, model.clone(), config.memory)?);
        if let Some(training) = config.method.training().filter(|training| training.select) {
            workspace.check_choice(training.batch.min(data.train.len()))?;
        }
        let statistics = data.channel_statistics();
        let upload =
            |split: &crate::data::Split| Examples::upload(gpu, data.shape, &split.images, &split.labels, &statistics);
        let (mut train, test) = (upload(&data.train)?, upload(&data.test)?);
        if let Some(by) = config.augment {
            train = train.augmented(gpu, by, config.copies, config.seed)?;
        }
        let (train, test) = (Arc::new(train), Arc::new(test));
        let all: Vec<u32> = (0..train.len() as u32).collect();
        let every_test: Vec<u32> = (0..test.len() as u32).collect();
        let held_out = Subset::draw(config.sampling, &train.labels, &all, config.held_out, (config.seed, 1));
        let times = config.schedule.name.copies_of_a_pass(config.copies);
        let indices = times.saturating_mul(train.len());
        if config.augment.is_some() && indices > gpu.max_binding_words() {
            let adapter = gpu.info.name.clone();
            return Err(Error::from(MemoryError::Copies { copies: times, examples: indices, adapter }).into());
        }
        let full = Subset::new(copies(config, held_out.complement(train.len()), train.len()), config.seed);
        let subsets = subsets(config, &train.labels, &full);
        let objective =
            |examples: &Arc<Examples>, indices: &[u32]| Objective::new(gpu, &workspace, examples, indices, 0.0);
        let trainer = Trainer {
            schedule: config.schedule,
            method: config.method,
            weight_decay: config.weight_decay,
            subsets,
            full,
            held_out: (!held_out.is_empty()).then(|| objective(&train, &held_out.indices)).transpose()?,
            train_loss: objective(&train, &all)?,
            test: objective(&test, &every_test)?,
            train,
            space: GpuSpace::new(gpu, model.vector_len())?,
            workspace: workspace.clone(),
            whiten: config.whiten,
            screening: None,
            preparation: Cost::default(),
        };
        Ok(Self { model, trainer, statistics })
    }

    pub fn q(&self, examples: usize) -> f64 {
        overdetermination(examples, self.model.classes, self.model.parameters())
    }

    /// What is about to happen, on stderr.
    pub fn introduce(&self, config: &Config, data: &Dataset, folder: &RunFolder) {
        let (train, subset) = (&self.trainer.train, self.trainer.first());
        eprintln!(
            "{}: {} training and {} test images {} of {} classes ({})",
            data.name,
            train.len(),
            data.test.len(),
            data.shape,
            data.classes.len(),
            data.format
        );
        let (k, q) = (subset.len(), self.q(subset.len()));
        let works_on = match config.method {
            Method::Sweep(sweep) => format!("sweep over {k} examples in subsets of {}", sweep.training.batch),
            _ if config.schedule.name == Name::Paper => format!("subset of {k} examples, Q = {q:.1}"),
            _ if config.schedule.name == Name::Growing => format!("subsets of {k} examples (Q = {q:.1}) and more"),
            _ => format!("{k} examples, Q = {q:.1}"),
        };
        eprintln!(
            "{}: {} parameters; {works_on}; {} held out; run folder {}",
            config.model.name,
            self.model.parameters(),
            config.held_out,
            folder.path().display()
        );
        if self.q(subset.len()) < WELL_ABOVE_ONE {
            eprintln!(
                "note: Q = {:.2} is not well above one, so the subset's minimum may not stand for the whole set's; a larger --subset or a smaller --model raises it",
                self.q(subset.len())
            );
        }
    }

    /// The weights to keep and the last record. Nothing here is charged: it decides nothing.
    pub fn conclude(
        &mut self,
        config: &Config,
        data: &Dataset,
        progress: &Progress<Buf>,
    ) -> Result<(Vec<f32>, RunRecord)> {
        let (theta, weights) = match &progress.best {
            Some(best) => (&best.parameters, "lowest held-out loss"),
            None => (&progress.optimiser.parameters, "last iteration"),
        };
        // the last stage's report has the losses already, unless better parameters came before its end
        let (train_loss, test_loss, test_accuracy) = match progress.stages.last() {
            Some(&StageReport { train_loss: Some(train), test_loss: Some(test), test_accuracy, .. })
                if progress.best.is_none() || progress.looks_since_best == 0 =>
            {
                (train, test, test_accuracy)
            }
            _ => {
                let (train, test) = (self.trainer.train_loss.loss(theta)?, self.trainer.test.loss(theta)?);
                (train.cross_entropy, test.cross_entropy, test.accuracy)
            }
        };
        let host = self.trainer.space.download(theta)?;
        let compact = self.model.compact(&host);
        let digest = Sha256::digest(bytemuck::cast_slice::<f32, u8>(&compact));
        let n = self.trainer.train.len() as f64;
        let reporting = (self.trainer.train_loss.cost() + self.trainer.test.cost()).units() / n;
        let gpu = self.trainer.test.gpu();
        let subset = self.trainer.first();
        let record = RunRecord {
            test_accuracy,
            test_loss,
            train_loss,
            subset_loss: progress.stages.iter().rfind(|stage| stage.stage == StageKind::Subset).map(|stage| stage.loss),
            cost_epochs: progress.cost().units() / n,
            reporting_epochs: reporting,
            wall_seconds: progress.wall_seconds,
            parameters: self.model.parameters(),
            overdetermination: self.q(subset.len()),
            subset_examples: subset.len(),
            subset_sha256: subset.hash.clone(),
            stages: progress.stages.clone(),
            screening: self.trainer.screening.as_ref().map(|screening| screening.report.clone()),
            weights: weights.to_owned(),
            weights_sha256: hex(&digest),
            seed: config.seed,
            model: config.model.name.clone(),
            data: data.name.clone(),
            data_sha256: data.sha256.clone(),
            adapter: gpu.info.name.clone(),
            backend: gpu.backend(),
            driver: gpu.driver(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        Ok((host, record))
    }
}
