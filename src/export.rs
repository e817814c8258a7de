//! Weights as safetensors: the tensors by name in PyTorch's shapes, and in the metadata all it takes to use them.

use crate::data::Dataset;
use crate::error::{Error, Result, RunError};
use crate::files::write_atomically;
use crate::model::{Description, Model};
use crate::shape::Shape;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::Path;

/// What the weights were made for: shape of an example, names of the classes, and the normalisation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Signature {
    /// The model.
    pub model: Description,
    /// C × H × W of an example.
    pub input: Shape,
    /// Class names, in the order of the outputs.
    pub classes: Vec<String>,
    /// Mean and standard deviation of each channel, in units of a byte.
    pub normalisation: Vec<(f64, f64)>,
}

impl Signature {
    /// For a model trained on a data set.
    pub fn new(model: &Description, data: &Dataset) -> Self {
        Self {
            model: model.clone(),
            input: data.shape,
            classes: data.classes.clone(),
            normalisation: data.channel_statistics(),
        }
    }
}

/// A safetensors file of flat f32 vectors or tensors, with one JSON document under `key` in its metadata.
pub(crate) fn to_safetensors(tensors: &[(&str, Vec<usize>, &[f32])], key: &str, json: String) -> Result<Vec<u8>> {
    let views: Vec<(&str, TensorView<'_>)> = tensors
        .iter()
        .map(|(name, dims, values)| {
            let view = TensorView::new(Dtype::F32, dims.clone(), bytemuck::cast_slice(values));
            view.map(|view| (*name, view)).map_err(|source| RunError::Tensors { source }.into())
        })
        .collect::<Result<_>>()?;
    let metadata = HashMap::from([(key.to_owned(), json)]);
    safetensors::serialize(views, Some(metadata)).map_err(|source| RunError::Tensors { source }.into())
}

/// The f32 tensors of a safetensors file, and the JSON document under `key`.
pub(crate) fn from_safetensors(path: &Path, key: &str) -> Result<(HashMap<String, Vec<f32>>, String)> {
    let bytes = std::fs::read(path).map_err(|e| Error::unreadable(path, e))?;
    let unparsed = |source| RunError::NotSafetensors { path: path.to_owned(), source };
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(unparsed)?;
    let json = header.metadata().as_ref().and_then(|metadata| metadata.get(key)).cloned();
    let json = json.ok_or_else(|| RunError::NoMetadata { path: path.to_owned(), key: key.to_owned() })?;
    let file = SafeTensors::deserialize(&bytes).map_err(unparsed)?;
    let tensors = file.tensors().into_iter().map(|(name, view)| match view.dtype() {
        Dtype::F32 => Ok((name, bytemuck::pod_collect_to_vec(view.data()))),
        found => Err(RunError::ElementType { path: path.to_owned(), tensor: name, found }.into()),
    });
    Ok((tensors.collect::<Result<_>>()?, json))
}

/// Writes the parameters `theta` (a flat vector of `model`) with their signature.
///
/// # Errors
/// [`Error::Io`] naming the file.
pub fn save_weights(path: &Path, model: &Model, theta: &[f32], signature: &Signature) -> Result<()> {
    let tensors = model.tensors();
    let views: Vec<_> = tensors.iter().map(|t| (t.name.as_str(), t.dims.clone(), &theta[t.range.clone()])).collect();
    let json = serde_json::to_string(signature).expect("a signature is plain data");
    write_atomically(path, &to_safetensors(&views, "gpu-subset", json)?)
}

/// Reads weights and builds the model they belong to. The parameters are a flat vector of it.
///
/// # Errors
/// [`Error::Data`] naming the file and the tensor that is missing or of another size.
pub fn load_weights(path: &Path) -> Result<(Model, Vec<f32>, Signature)> {
    let (tensors, json) = from_safetensors(path, "gpu-subset")?;
    let file = || path.to_owned();
    let signature: Signature =
        serde_json::from_str(&json).map_err(|source| RunError::Record { path: file(), line: None, source })?;
    let (found, channels) = (signature.normalisation.len(), signature.input.channels);
    if found != channels {
        return Err(RunError::Normalisation { path: file(), found, channels }.into());
    }
    let model = Model::new(&signature.model, signature.input, signature.classes.len())
        .map_err(|e| RunError::Model { path: file(), source: Box::new(e) })?;
    let mut parts = Vec::new(); // all of them are looked at before anything as large as the model is taken
    for tensor in model.tensors() {
        let missing = || RunError::MissingTensor { path: file(), tensor: tensor.name.clone() };
        let values = tensors.get(&tensor.name).ok_or_else(missing)?;
        let (found, expected) = (values.len(), tensor.range.len());
        if found != expected {
            return Err(RunError::TensorSize { path: file(), tensor: tensor.name, found, expected }.into());
        }
        parts.push((tensor.range, values));
    }
    let mut theta = vec![0.0; model.vector_len()];
    parts.into_iter().for_each(|(range, values)| theta[range].copy_from_slice(values));
    Ok((model, theta, signature))
}
