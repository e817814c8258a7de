//! Weights, of a run that is finished or not, and what they make of a data set.

use super::config::Config;
use super::folder::RunFolder;
use super::pixels::Pixels;
use crate::checkpoint;
use crate::data::{Dataset, Split};
use crate::device::Gpu;
use crate::error::{Error, Result, RunError, UsageError};
use crate::export::{
    OnnxNetwork, Signature, Stated, check_finite, load_onnx, load_weights, save_onnx, save_weights, weights_from_bytes,
    weights_to_bytes,
};
use crate::files::hex;
use crate::model::Model;
use crate::objective::{Evaluation, Examples, Objective, Workspace};
use sha2::{Digest, Sha256};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Parameters, and what they were made for.
#[derive(Clone, Debug)]
pub struct Weights {
    /// The network.
    pub model: Arc<Model>,
    /// θ, a flat vector of the model.
    pub theta: Vec<f32>,
    /// Mean and variance of each channel of each normalisation ([`Model::moments`]); empty where nobody found them yet.
    pub moments: Vec<f32>,
    /// Shape of an example, classes, normalisation.
    pub signature: Signature,
}

impl Weights {
    /// Reads a file of weights: safetensors of this program, or an ONNX model (`.onnx`).
    ///
    /// # Errors
    /// [`Error::Data`](crate::error::Error::Data) naming the file and what is wrong with it.
    pub fn load(path: &Path) -> Result<Self> {
        Ok(Self::load_stated(path)?.0)
    }

    /// The same, and which of what it takes to use them the file states.
    ///
    /// # Errors
    /// As [`Weights::load`].
    pub fn load_stated(path: &Path) -> Result<(Self, Stated)> {
        let is_onnx = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("onnx"));
        if is_onnx {
            let OnnxNetwork { model, theta, moments, signature, stated } = load_onnx(path)?;
            return Ok((Self { model: Arc::new(model), theta, moments, signature }, stated));
        }
        let (model, [theta, moments], signature) = load_weights(path)?;
        let stated = Stated { inputs: true, classes: true };
        Ok((Self { model: Arc::new(model), theta, moments, signature }, stated))
    }

    /// The bytes of a file of weights ([`Weights::save`]).
    ///
    /// # Errors
    /// As [`weights_to_bytes`].
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        weights_to_bytes(&self.model, [&self.theta, &self.moments], &self.signature)
    }

    /// Reads the bytes of a safetensors file of this program, which messages call by a path.
    ///
    /// # Errors
    /// As [`Weights::load`].
    pub fn from_bytes(bytes: &[u8], path: &Path) -> Result<Self> {
        let (model, [theta, moments], signature) = weights_from_bytes(bytes, path)?;
        Ok(Self { model: Arc::new(model), theta, moments, signature })
    }

    /// Reads those of a run that is complete, or a file, where pixels may be said that this does not state.
    ///
    /// # Errors
    /// As [`Weights::load`], where it is neither, and [`Error::Usage`] for pixels that are not one of each channel, or
    /// of weights that state theirs.
    pub fn open(path: &Path, pixels: &Pixels) -> Result<(Self, Stated)> {
        let (weights, stated) = Self::load_stated(&Self::file(path)?)?;
        match pixels.is_empty() {
            true => Ok((weights, stated)),
            false if stated.inputs => Err(UsageError::Pixels { why: "the weights state theirs".to_owned() }.into()),
            false => {
                let normalisation = pixels.applied(&weights.signature.normalisation)?;
                let signature = Signature { normalisation, ..weights.signature };
                Ok((Self { signature, ..weights }, Stated { inputs: true, ..stated }))
            }
        }
    }

    /// The file of weights that a path means.
    fn file(path: &Path) -> Result<PathBuf> {
        if path.is_file() {
            return Ok(path.to_owned());
        }
        if !path.exists() {
            return Err(Error::unreadable(path, ErrorKind::NotFound.into()));
        }
        let weights = RunFolder::open(path)?.weights();
        if !weights.exists() {
            return Err(RunError::Incomplete { path: path.to_owned() }.into());
        }
        Ok(weights)
    }

    /// SHA-256 of the parameters, without the gaps of the flat vector: what `run.json` has.
    pub fn sha256(&self) -> String {
        hex(&Sha256::digest(bytemuck::cast_slice::<f32, u8>(&self.model.compact(&self.theta))))
    }

    /// Writes a file of weights, safetensors in PyTorch's names, shapes and order.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io) naming the file.
    pub fn save(&self, path: &Path) -> Result<()> {
        save_weights(path, &self.model, [&self.theta, &self.moments], &self.signature)
    }

    /// Writes an ONNX model (opset 17) that reads the bytes of pictures ([`save_onnx`]).
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io) naming the file.
    pub fn save_onnx(&self, path: &Path) -> Result<()> {
        save_onnx(path, &self.model, [&self.theta, &self.moments], &self.signature)
    }

    /// The best so far of a run on `data` that is in the middle, or else the present ones; and which of these.
    ///
    /// # Errors
    /// [`Error::Data`](crate::error::Error::Data) when its checkpoint cannot be read.
    pub fn of_checkpoint(folder: &RunFolder, config: &Config, data: &Dataset) -> Result<(Self, String)> {
        let model = Arc::new(Model::new(&config.model, data.shape, data.classes.len())?);
        let path = folder.found_checkpoint().unwrap_or_else(|| folder.checkpoint());
        let (progress, provenance) = checkpoint::load(&path, model.vector_len())?;
        if !provenance.configurations.contains(&config.digest()) {
            return Err(RunError::OtherConfiguration { path: folder.config(), checkpoint: path }.into());
        }
        let signature = config.signature(data);
        let (theta, which) = match progress.vectors.best {
            Some(best) => (best, "lowest held-out loss so far".to_owned()),
            None => {
                let stage = config.plan.kind(progress.scalars.stages.len());
                let which = format!("iteration {} of the {stage}", progress.scalars.state.iteration);
                (progress.vectors.parameters, which)
            }
        };
        check_finite(&path, &model, &theta)?;
        Ok((Self { model, theta, moments: Vec::new(), signature }, which))
    }

    /// Whether they can be asked about these data, and the data with labels that count their classes: those are found
    /// [by name](Dataset::with_classes), and some may be missing.
    ///
    /// # Errors
    /// [`Error::Data`](crate::error::Error::Data) when images are of another shape or there are other classes.
    pub fn matched(&self, data: Dataset) -> Result<Dataset> {
        let signature = &self.signature;
        let (name, classes) = (data.name.clone(), data.classes.clone());
        if data.shape != signature.input {
            return Err(RunError::OtherImages {
                data: name,
                images: data.shape,
                classes: classes.len(),
                trained_images: signature.input,
                trained_classes: signature.classes.len(),
            }
            .into());
        }
        if data.value_kind() != signature.values {
            return Err(self.other_values(&data).into());
        }
        let trained = || signature.classes.clone();
        data.with_classes(&signature.classes)
            .ok_or_else(|| RunError::OtherClasses { data: name, classes, trained: trained() }.into())
    }

    /// Data of other numbers than those of the weights.
    pub(super) fn other_values(&self, data: &Dataset) -> RunError {
        RunError::OtherValues { data: data.name.clone(), found: data.value_kind(), trained: self.signature.values }
    }

    /// The loss over a split, without weight decay, in so many bytes of device memory for activations.
    ///
    /// # Errors
    /// What the device reports.
    pub fn objective(&self, gpu: &Gpu, split: &Split, memory: u64) -> Result<Objective> {
        let workspace = Arc::new(Workspace::new(gpu, self.model.clone(), memory)?);
        let Signature { input, normalisation, .. } = &self.signature;
        let examples = Arc::new(Examples::upload(gpu, *input, &split.images, &split.labels, normalisation)?);
        let all: Vec<u32> = (0..examples.len() as u32).collect();
        workspace.set_moments(gpu, &self.moments);
        Objective::new(gpu, &workspace, &examples, &all, 0.0)?.evaluating(None)
    }

    /// Finds mean and variance of what is normalised from training examples, where nobody did so yet.
    ///
    /// # Errors
    /// What the device reports.
    pub fn find_moments(&mut self, gpu: &Gpu, train: &Split, memory: u64) -> Result<()> {
        if !self.moments.is_empty() || self.model.moments().is_empty() {
            return Ok(());
        }
        let workspace = Arc::new(Workspace::new(gpu, self.model.clone(), memory)?);
        let Signature { input, normalisation, .. } = &self.signature;
        let examples = Arc::new(Examples::upload(gpu, *input, &train.images, &train.labels, normalisation)?);
        let all: Vec<u32> = (0..examples.len() as u32).collect();
        let one = Objective::new(gpu, &workspace, &examples, &all[..1], 0.0)?;
        one.evaluating(Some((&examples, &all)))?.find_moments(&gpu.upload("theta", &self.theta)?)?;
        self.moments = workspace.moments(gpu)?;
        Ok(())
    }

    /// Loss and accuracy over a split of images like those they were made for, in as many bytes.
    ///
    /// # Errors
    /// What the device reports.
    pub fn evaluate(&self, gpu: &Gpu, split: &Split, memory: u64) -> Result<Evaluation> {
        self.objective(gpu, split, memory)?.loss(&gpu.upload("theta", &self.theta)?)
    }
}
