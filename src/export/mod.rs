//! Weights as safetensors: the tensors by name in PyTorch's shapes, and in the metadata all it takes to use them; and
//! as ONNX models.

mod import;
mod onnx;
mod proto;
mod sealed;
mod signature;

use crate::error::{Result, RunError};
use crate::files::write_atomically;
use crate::model::{Model, Tensor};
pub use import::{OnnxNetwork, Stated, load_onnx};
pub use onnx::{OPSET, save_onnx};
pub(crate) use sealed::{from_safetensors, to_safetensors};
use signature::KEY;
pub use signature::Signature;
use std::collections::HashMap;
use std::path::Path;

/// Writes the parameters `theta` (a flat vector of `model`) and the [moments](Model::moments) with their signature.
///
/// # Errors
/// [`Error::Io`](crate::error::Error::Io) naming the file.
pub fn save_weights(path: &Path, model: &Model, vectors: [&[f32]; 2], signature: &Signature) -> Result<()> {
    write_atomically(path, &weights_to_bytes(model, vectors, signature)?)
}

/// The bytes of such a file.
///
/// # Errors
/// None in practice; the signature is that of what makes it.
pub fn weights_to_bytes(model: &Model, [theta, moments]: [&[f32]; 2], signature: &Signature) -> Result<Vec<u8>> {
    let (tensors, of_norms) = (model.tensors(), model.moments());
    let all = tensors.iter().map(|tensor| (tensor, theta)).chain(of_norms.iter().map(|tensor| (tensor, moments)));
    let views: Vec<_> = all.map(|(t, of)| (t.name.as_str(), t.dims.clone(), &of[t.range.clone()])).collect();
    to_safetensors(&views, KEY, signature)
}

/// Reads weights and builds the model they belong to. The parameters are a flat vector of it; the
/// [moments](Model::moments) come after them.
///
/// # Errors
/// [`Error::Data`](crate::error::Error::Data) naming the file, and the tensor that is missing, of another size or not
/// finite. A file that is not to the bit what was written is refused.
pub fn load_weights(path: &Path) -> Result<(Model, [Vec<f32>; 2], Signature)> {
    weights_of(path, from_safetensors(path, KEY)?)
}

/// The same of the bytes of such a file, which messages call by a path.
///
/// # Errors
/// As [`load_weights`].
pub fn weights_from_bytes(bytes: &[u8], path: &Path) -> Result<(Model, [Vec<f32>; 2], Signature)> {
    weights_of(path, sealed::from_bytes(bytes, path, KEY)?)
}

/// Weights out of the tensors and the document of a file.
fn weights_of(
    path: &Path,
    (tensors, json): (HashMap<String, Vec<f32>>, String),
) -> Result<(Model, [Vec<f32>; 2], Signature)> {
    let file = || path.to_owned();
    let signature: Signature =
        serde_json::from_str(&json).map_err(|source| RunError::Record { path: file(), line: None, source })?;
    let (found, channels) = (signature.normalisation.len(), signature.input.channels);
    if found != channels {
        return Err(RunError::Normalisation { path: file(), found, channels }.into());
    }
    let model = Model::new(&signature.model, signature.input, signature.classes.len())
        .map_err(|e| RunError::Model { path: file(), source: Box::new(e) })?;
    let values = |tensor: &Tensor| -> Result<&Vec<f32>> {
        let missing = || RunError::MissingTensor { path: file(), tensor: tensor.name.clone() };
        let values = tensors.get(&tensor.name).ok_or_else(missing)?;
        let (found, expected) = (values.len(), tensor.range.len());
        if found != expected {
            return Err(RunError::TensorSize { path: file(), tensor: tensor.name.clone(), found, expected }.into());
        }
        Ok(values)
    };
    // all are there before memory is taken for them: a few bytes may name a huge model
    let (parts, of_norms) = (model.tensors(), model.moments());
    let [found, of_norms_found] = [&parts, &of_norms].map(|all| all.iter().map(values).collect::<Result<Vec<_>>>());
    let (found, of_norms_found) = (found?, of_norms_found?);
    let mut theta = vec![0.0; model.vector_len()];
    for (tensor, values) in parts.iter().zip(found) {
        theta[tensor.range.clone()].copy_from_slice(values);
    }
    let moments = of_norms_found.into_iter().flatten().copied().collect();
    check_finite(path, &model, &theta)?;
    Ok((model, [theta, moments], signature))
}

/// Whether all parameters of a file are numbers.
///
/// # Errors
/// [`Error::Data`](crate::error::Error::Data) naming the file and the tensor.
pub(crate) fn check_finite(path: &Path, model: &Model, theta: &[f32]) -> Result<()> {
    let is_finite = |tensor: &Tensor| theta[tensor.range.clone()].iter().all(|value| value.is_finite());
    match model.tensors().into_iter().find(|tensor| !is_finite(tensor)) {
        Some(tensor) => Err(RunError::NotFinite { path: path.to_owned(), tensor: tensor.name }.into()),
        None => Ok(()),
    }
}
