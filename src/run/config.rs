//! The resolved configuration of a run: `config.toml` in its folder, enough to repeat it.

use super::initial::InitialWeights;
use crate::cost::{Cost, Units};
use crate::data::{Dataset, ReadOptions, TestShare};
use crate::error::{Error, Result, RunError, SetError, UsageError};
use crate::export::Signature;
use crate::files::{TEXT, hex, line_of, read_text, write_atomically};
use crate::kernels::augment::Augmentation;
use crate::model::{Description, Model};
use crate::objective::cost_of_moments;
use crate::subset::{Plan, Sampling};
use crate::training::Prices;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// Everything a run depends on besides the device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `digits`, or a path.
    pub data: String,
    /// The folder that a path which is not absolute started from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_in: Option<PathBuf>,
    /// Height and width that images are brought to.
    pub resize: Option<(u32, u32)>,
    /// Whether damaged files are left out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skip_damaged: bool,
    /// The data the run was made on.
    pub data_sha256: String,
    /// Names of its classes, in their order; none in a file of an earlier version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
    /// N, the examples of its training set: an epoch is as many units.
    pub examples: usize,
    /// Held-out training examples.
    pub held_out: usize,
    /// How these are drawn, if not as the subsets are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_out_sampling: Option<Sampling>,
    /// How these and the subsets of a plan are drawn.
    pub sampling: Sampling,
    /// λ
    pub weight_decay: f64,
    /// s of the targets (1 − s) onehot + s/M of the training loss.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub label_smoothing: f64,
    /// What an example of each class counts in the training loss, if not 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_weights: Option<Vec<f64>>,
    /// Seed of everything random.
    pub seed: u64,
    /// Bytes of device memory for activations: the chunks, and so the last bits of every sum, depend on it.
    pub memory: u64,
    /// Seconds between checkpoints.
    pub checkpoint_every: f64,
    /// Copies of each example; none given: as many as epochs ask for.
    pub copies: Option<usize>,
    /// How copies differ from their examples.
    pub augment: Option<Augmentation>,
    /// Whether the first layer starts as whitened components of what it reads.
    pub whiten: bool,
    /// Layers up to this number keep the parameters that the run starts with.
    #[serde(default, skip_serializing_if = "is_none")]
    pub freeze: usize,
    /// The part of each class that is the test part of data which have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<TestShare>,
    /// The weights that it starts from, if not random ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<InitialWeights>,
    /// The ranks that share it, if it is not one: the last bits of every sum depend on their number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranks: Option<usize>,
    /// What the run does.
    pub plan: Plan,
    /// The network.
    pub model: Description,
}

impl Config {
    /// Writes `config.toml`.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file.
    pub fn save(&self, path: &Path) -> Result<()> {
        let toml = toml::to_string(self).expect("a configuration is plain data");
        write_atomically(path, toml.as_bytes())
    }

    /// Reads `config.toml`.
    ///
    /// # Errors
    /// [`Error::Data`] naming the file and what is wrong with it.
    pub fn load(path: &Path) -> Result<Self> {
        let text = read_text(path, TEXT).map_err(|e| Error::unreadable(path, e))?;
        toml::from_str(&text).map_err(|e| {
            RunError::Config { path: path.to_owned(), line: line_of(&text, &e), source: Box::new(e) }.into()
        })
    }

    /// SHA-256 of all that the result depends on: not of where data and initial weights are, which have digests of
    /// their own, nor of how often a checkpoint is made, nor, but for last bits, of the number of ranks. Checkpoints
    /// are of one.
    pub fn digest(&self) -> String {
        let anywhere = |init: InitialWeights| InitialWeights { path: String::new(), made_in: None, ..init };
        let init = self.init.clone().map(anywhere);
        let of_result =
            Self { data: String::new(), made_in: None, checkpoint_every: 0.0, init, ranks: None, ..self.clone() };
        hex(&Sha256::digest(toml::to_string(&of_result).expect("a configuration is plain data")))
    }

    /// How its data are read.
    pub fn read_options(&self) -> ReadOptions {
        let Self { resize, test, skip_damaged, .. } = *self;
        ReadOptions { resize, test, skip_damaged, ..ReadOptions::default() }
    }

    /// What its weights are made for: inputs are normalised as those of the weights that it starts from, or else by
    /// mean and deviation of the training images.
    pub fn signature(&self, data: &Dataset) -> Signature {
        let signature = Signature::new(&self.model, data);
        match &self.init {
            Some(init) => Signature { normalisation: init.normalisation.clone(), ..signature },
            None => signature,
        }
    }

    /// Whether a run of it can be made on these data.
    ///
    /// # Errors
    /// [`Error::Data`] when they are others, [`Error::Usage`] when it contradicts itself.
    pub fn check(&self, data: &Dataset) -> Result<()> {
        if data.sha256 != self.data_sha256 {
            return Err(RunError::OtherData { data: data.source.clone(), run: None }.into());
        }
        if !self.classes.is_empty() && !data.has_classes(&self.classes) {
            let (data, classes) = (data.source.clone(), data.classes.clone());
            return Err(RunError::OtherClasses { data, classes, trained: self.classes.clone() }.into());
        }
        if let [class] = &data.classes[..] {
            return Err(SetError::OneClass { path: data.source.clone().into(), class: class.clone() }.into());
        }
        let n = data.train.len();
        let is_from_0 = |x: f64| x.is_finite() && x >= 0.0;
        let required = [
            (self.examples == n, "examples is not the number of training examples"),
            (self.held_out < n, "held_out leaves no training example"),
            (self.copies != Some(0), "copies is 0"),
            (is_from_0(self.weight_decay), "weight_decay is no number from 0 up"),
            ((0.0..1.0).contains(&self.label_smoothing), "label_smoothing is no number from 0 up and below 1"),
            (
                self.class_weights.iter().flatten().all(|weight| weight.is_finite() && *weight > 0.0)
                    && self.class_weights.as_ref().is_none_or(|of| of.len() == data.classes.len()),
                "class_weights are not a number above 0 for each class",
            ),
            (is_from_0(self.checkpoint_every), "checkpoint_every is no number from 0 up"),
            (self.init.is_some() || self.freeze == 0, "layers that keep random weights"),
            (self.init.is_none() || !self.whiten, "a whitened start would overwrite the weights that it starts from"),
            (
                self.init.as_ref().is_none_or(|init| {
                    let are_scales = init.normalisation.iter().all(|&(mean, by)| mean.is_finite() && by > 0.0);
                    are_scales && init.normalisation.len() == data.shape.channels
                }),
                "init.normalisation is not a mean and a deviation above 0 for each channel",
            ),
        ];
        let available = n.saturating_sub(self.held_out).saturating_mul(self.copies_of_a_pass());
        let mut faults = required.into_iter().filter(|(holds, _)| !holds).map(|(_, why)| why);
        let fault = faults.next().or_else(|| self.plan.fault(available)).or_else(|| self.unwritable());
        if let Some(why) = fault {
            return Err(UsageError::Configuration { why }.into());
        }
        if self.plan.rule().is_none() {
            return Ok(());
        }
        let model = Model::new(&self.model, data.shape, data.classes.len())?;
        self.check_budget(data, &model, Cost::network_units)
    }

    /// Whether the budget pays for a first step of a run over mini-batches, counted in such `units`. Before a device is
    /// there, those of the network: whether it holds the factors, whose inverses may cost most, matters more.
    ///
    /// # Errors
    /// [`Error::Usage`](crate::error::Error::Usage).
    pub(super) fn check_budget(&self, data: &Dataset, model: &Model, units: fn(&Cost) -> Units) -> Result<()> {
        let Plan::Stochastic { budget, .. } = self.plan else { return Ok(()) };
        let n = data.train.len();
        let available = n.saturating_sub(self.held_out).saturating_mul(self.copies_of_a_pass());
        let of_copy = self.augment.map_or(0, |by| by.multiply_adds(data.shape));
        let start = self.plan.cost_of_start(&Prices::new(model, of_copy, self.plan.looks()), available)
            + cost_of_moments(model, available);
        if !self.plan.affords(units(&start)) {
            return Err(UsageError::Budget { epochs: budget.passes(n), examples: n }.into());
        }
        Ok(())
    }

    /// Why its file could not hold it, or it would make no sense there.
    fn unwritable(&self) -> Option<&'static str> {
        match toml::Value::try_from(self) {
            Err(_) => Some("a number is larger than its file can hold, 2^63 - 1"),
            Ok(value) => (!is_finite(&value)).then_some("a number is not finite"),
        }
    }

    /// Copies of each example that a pass goes over: with mini-batches one, since every epoch takes another.
    pub fn copies_of_a_pass(&self) -> usize {
        if self.plan.rule().is_some() { 1 } else { self.copies.unwrap_or(1) }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_none(number: &usize) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(number: &f64) -> bool {
    *number == 0.0
}

/// Whether all numbers of a value are.
fn is_finite(value: &toml::Value) -> bool {
    match value {
        toml::Value::Float(number) => number.is_finite(),
        toml::Value::Array(values) => values.iter().all(is_finite),
        toml::Value::Table(table) => table.values().all(is_finite),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::run::Run;

    #[test]
    fn numbers_that_a_file_cannot_hold_are_refused() {
        let data = Dataset::digits().unwrap();
        let config = Run::sweep(&data).config().unwrap();
        assert!(config.check(&data).is_ok());
        let refused = |config: &Config| match config.check(&data) {
            Err(Error::Usage(why)) => why.to_string(),
            other => panic!("{other:?}"),
        };
        assert!(refused(&Config { seed: u64::MAX, ..config.clone() }).contains("2^63"));
        assert!(refused(&Config { memory: 1 << 63, ..config.clone() }).contains("2^63"));
        for number in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(refused(&Config { checkpoint_every: number, ..config.clone() }).contains("checkpoint_every"));
        }
        let mut text: toml::Table = toml::from_str(&toml::to_string(&config).unwrap()).unwrap();
        text["plan"]["rule"]["damping"] = f64::NAN.into();
        assert!(refused(&text.try_into().unwrap()).contains("not finite"));
    }

    #[test]
    fn a_budget_that_pays_for_no_step_is_refused_before_there_is_a_device() {
        let data = Dataset::digits().unwrap();
        for (budget, is_enough) in [(0.0, false), (0.1, false), (1.0, true)] {
            let config = Run::sweep(&data).budget(budget).config();
            assert_eq!(config.is_ok(), is_enough, "{budget}: {config:?}");
        }
    }
}
