//! A run in the middle, on disk: from here it goes on bit for bit.

use crate::error::{Result, RunError};
use crate::export::{from_safetensors, to_safetensors};
use crate::files::{write_atomically, write_keeping};
use crate::subset::{Progress, ProgressScalars, ProgressVectors, StageReport};
use serde::{Deserialize, Serialize};
use std::path::Path;

const KEY: &str = "gpu-subset checkpoint";

/// What a run in the middle has to find in its folder, to go on to what it would have come to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// Digests of the configurations that it may go on with: its own, and the one that is about to replace that.
    pub configurations: Vec<String>,
    /// SHA-256 of the records of its steps so far, as `steps.jsonl` has them.
    pub steps_sha256: String,
}

/// The numbers of a checkpoint.
#[derive(Serialize, Deserialize)]
struct Document<S> {
    provenance: Provenance,
    progress: S,
}

/// Writes a checkpoint, and keeps the one before it as `previous`, where that is named.
///
/// # Errors
/// [`Error::Io`](crate::error::Error::Io) naming the file.
pub fn save(
    path: &Path,
    previous: Option<&Path>,
    progress: &Progress<Vec<f32>>,
    provenance: &Provenance,
) -> Result<()> {
    let vectors = progress.vectors.named();
    let tensors: Vec<_> =
        vectors.iter().map(|(name, values)| (name.as_str(), vec![values.len()], values.as_slice())).collect();
    let document = Document { provenance: provenance.clone(), progress: &progress.scalars };
    let bytes = to_safetensors(&tensors, KEY, &document)?;
    match previous {
        Some(previous) => write_keeping(path, previous, &bytes),
        None => write_atomically(path, &bytes),
    }
}

/// Reads a checkpoint whose parameter vectors have `len` words.
///
/// # Errors
/// [`Error::Data`](crate::error::Error::Data) naming the file and what is wrong with it. A file that is not to the bit
/// what was written is refused.
pub fn load(path: &Path, len: usize) -> Result<(Progress<Vec<f32>>, Provenance)> {
    let (tensors, json) = from_safetensors(path, KEY)?;
    let other = |why| RunError::Vectors { path: path.to_owned(), source: Box::new(why) };
    let vectors = ProgressVectors::from_named(tensors).map_err(other)?;
    let of_parameters = vectors.of_parameters().into_iter();
    if let Some((tensor, found)) = of_parameters.map(|(name, v)| (name, v.len())).find(|&(_, found)| found != len) {
        return Err(RunError::TensorSize { path: path.to_owned(), tensor, found, expected: len }.into());
    }
    let Document { provenance, progress: scalars } = document(path, &json)?;
    if scalars.best.is_some() != vectors.best.is_some() {
        let source = RunError::State { lacks: "the best parameters".to_owned(), source: None };
        return Err(RunError::Vectors { path: path.to_owned(), source: Box::new(source) }.into());
    }
    Ok((Progress { scalars, vectors }, provenance))
}

/// The reports of the stages that had ended by then.
///
/// # Errors
/// As [`load`].
pub fn load_stages(path: &Path) -> Result<Vec<StageReport>> {
    let (_, json) = from_safetensors(path, KEY)?;
    Ok(document(path, &json)?.progress.stages)
}

fn document(path: &Path, json: &str) -> Result<Document<ProgressScalars>> {
    serde_json::from_str(json).map_err(|source| RunError::Record { path: path.to_owned(), line: None, source }.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::Cost;
    use crate::error::Error;
    use crate::optimise::StateScalars;
    use crate::subset::HeldOut;

    fn progress() -> Progress<Vec<f32>> {
        let state = StateScalars {
            loss: 0.1 + 0.2, // 0.30000000000000004: needs all 17 digits
            gradient_norm: 1.0 / 3.0,
            numbers: "{\"step_length\":1e-300}".to_owned(),
            iteration: 12,
        };
        let held_out = HeldOut { loss: 0.7, accuracy: 0.9 };
        let scalars = ProgressScalars {
            state,
            initial_gradient_norm: 2.0,
            cross_entropy: 0.7,
            earlier_losses: [0.75, f64::INFINITY],
            step_norm: 0.25,
            stage_cost: Cost { forward: 3, backward: 2, tangent: 1, besides: 7, in_place: 4 },
            best: Some(held_out),
            last_validation: Some((12, held_out)),
            validations_since_best: 3,
            wall_seconds: 1.5,
            ..ProgressScalars::default()
        };
        let vectors = ProgressVectors {
            parameters: vec![1.0, -2.5],
            optimiser: vec![
                ("direction".to_owned(), vec![0.1, 0.2]),
                ("gradient".to_owned(), vec![f32::MIN_POSITIVE, 3.0]),
            ],
            problem: vec![("conv1.inputs".to_owned(), vec![1.0; 9])],
            best: Some(vec![5.0, 6.0]),
        };
        Progress { scalars, vectors }
    }

    fn provenance() -> Provenance {
        Provenance { configurations: vec!["a digest".to_owned()], steps_sha256: "another".to_owned() }
    }

    /// Saves it as the latest in a folder of its own.
    fn saved(progress: &Progress<Vec<f32>>) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let [path, previous] = ["checkpoint", "previous"].map(|name| folder.path().join(name));
        save(&path, Some(&previous), progress, &provenance()).unwrap();
        (folder, path)
    }

    #[test]
    fn a_checkpoint_comes_back_bit_for_bit() {
        let (_folder, path) = saved(&progress());
        let (mut loaded, of) = load(&path, 2).unwrap();
        loaded.vectors.optimiser.sort_by(|(a, _), (b, _)| a.cmp(b)); // a file knows no order
        assert_eq!((loaded, of), (progress(), provenance()));
        assert_eq!(load_stages(&path).unwrap(), []);
    }

    #[test]
    fn what_is_not_known_yet_comes_back_too() {
        let vectors = ProgressVectors { optimiser: Vec::new(), problem: Vec::new(), best: None, ..progress().vectors };
        let (_folder, path) = saved(&Progress { scalars: ProgressScalars::default(), vectors });
        let loaded = load(&path, 2).unwrap().0.scalars;
        assert!(loaded.initial_gradient_norm.is_infinite() && loaded.cross_entropy.is_nan());
        assert_eq!((loaded.earlier_losses, loaded.best), ([f64::INFINITY; 2], None));
    }

    #[test]
    fn a_checkpoint_of_another_model_or_a_damaged_one_is_refused() {
        let (_folder, path) = saved(&progress());
        assert!(matches!(load(&path, 3), Err(Error::Data(_))));
        let bytes = std::fs::read(&path).unwrap();
        for bit in (0..8 * bytes.len()).step_by(7) {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, flipped).unwrap();
            assert!(matches!(load(&path, 2), Err(Error::Data(_))), "{bit}");
        }
        std::fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();
        assert!(matches!(load(&path, 2), Err(Error::Data(_))));
    }
}
