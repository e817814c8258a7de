//! A run in the middle, on disk: from here it goes on bit for bit.

use crate::error::{Result, RunError};
use crate::export::{from_safetensors, to_safetensors, write_atomically};
use crate::objective::Cost;
use crate::optimise::State;
use crate::subset::{Best, HeldOut, Progress, StageKind, StageReport};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// [`Progress`] without its vectors, which are tensors of the file.
#[derive(Serialize, Deserialize)]
struct Scalars {
    stage: StageKind,
    optimiser: State<()>,
    /// Names of what the problem remembers.
    memory: Vec<String>,
    initial_gradient_norm: f64,
    cross_entropy: f64,
    /// None for infinity, which JSON does not know.
    earlier_losses: [Option<f64>; 2],
    step_norm: f64,
    stage_cost: Cost,
    other_cost: Cost,
    best: Option<HeldOut>,
    last_look: Option<(u64, HeldOut)>,
    looks_since_best: u64,
    stages: Vec<StageReport>,
    wall_seconds: f64,
}

const KEY: &str = "gpu-subset checkpoint";

/// Writes a checkpoint over the one before it.
///
/// # Errors
/// [`Error::Io`](crate::error::Error::Io) naming the file.
pub fn save(path: &Path, progress: &Progress<Vec<f32>>) -> Result<()> {
    let scalars = Scalars {
        stage: progress.stage,
        optimiser: progress.optimiser.convert(|_| Ok(()))?,
        memory: progress.memory.iter().map(|(name, _)| name.clone()).collect(),
        initial_gradient_norm: progress.initial_gradient_norm,
        cross_entropy: progress.cross_entropy,
        earlier_losses: progress.earlier_losses.map(|loss| loss.is_finite().then_some(loss)),
        step_norm: progress.step_norm,
        stage_cost: progress.stage_cost,
        other_cost: progress.other_cost,
        best: progress.best.as_ref().map(|best| best.held_out),
        last_look: progress.last_look,
        looks_since_best: progress.looks_since_best,
        stages: progress.stages.clone(),
        wall_seconds: progress.wall_seconds,
    };
    let state = &progress.optimiser;
    let mut vectors = vec![("parameters", &state.parameters)];
    vectors.extend(state.vectors.iter().map(|(name, values)| (name.as_str(), values)));
    vectors.extend(progress.memory.iter().map(|(name, values)| (name.as_str(), values)));
    vectors.extend(progress.best.as_ref().map(|best| ("best", &best.parameters)));
    let tensors: Vec<_> = vectors.iter().map(|(name, values)| (*name, vec![values.len()], values.as_slice())).collect();
    let json = serde_json::to_string(&scalars).expect("a checkpoint is plain data");
    write_atomically(path, &to_safetensors(&tensors, KEY, json)?)
}

/// Reads a checkpoint whose parameter vectors have `len` words.
///
/// # Errors
/// [`Error::Data`](crate::error::Error::Data) naming the file and what is wrong with it.
pub fn load(path: &Path, len: usize) -> Result<Progress<Vec<f32>>> {
    let (mut tensors, json) = from_safetensors(path, KEY)?;
    let scalars = scalars(path, &json)?;
    let missing = |name: &str| RunError::MissingTensor { path: path.to_owned(), tensor: name.to_owned() };
    let mut remembered = Vec::new();
    for name in scalars.memory {
        let values = tensors.remove(&name).ok_or_else(|| missing(&name))?;
        remembered.push((name, values));
    }
    let mut vector = |name: &str| match tensors.remove(name) {
        Some(values) if values.len() == len => Ok(values),
        Some(values) => {
            let (path, tensor) = (path.to_owned(), name.to_owned());
            Err(RunError::TensorSize { path, tensor, found: values.len(), expected: len })
        }
        None => Err(missing(name)),
    };
    let parameters = vector("parameters")?;
    let state = scalars.optimiser;
    let vectors = state.vectors.into_iter().map(|(name, ())| vector(&name).map(|values| (name, values)));
    let optimiser = State {
        vectors: vectors.collect::<std::result::Result<_, _>>()?,
        parameters,
        loss: state.loss,
        gradient_norm: state.gradient_norm,
        iteration: state.iteration,
        numbers: state.numbers,
    };
    let best =
        scalars.best.map(|held_out| vector("best").map(|parameters| Best { held_out, parameters })).transpose()?;
    Ok(Progress {
        stage: scalars.stage,
        optimiser,
        memory: remembered,
        initial_gradient_norm: scalars.initial_gradient_norm,
        cross_entropy: scalars.cross_entropy,
        earlier_losses: scalars.earlier_losses.map(|loss| loss.unwrap_or(f64::INFINITY)),
        step_norm: scalars.step_norm,
        stage_cost: scalars.stage_cost,
        other_cost: scalars.other_cost,
        best,
        last_look: scalars.last_look,
        looks_since_best: scalars.looks_since_best,
        stages: scalars.stages,
        wall_seconds: scalars.wall_seconds,
    })
}

/// The reports of the stages that had ended by then.
///
/// # Errors
/// As [`load`].
pub fn load_stages(path: &Path) -> Result<Vec<StageReport>> {
    let (_, json) = from_safetensors(path, KEY)?;
    Ok(scalars(path, &json)?.stages)
}

fn scalars(path: &Path, json: &str) -> Result<Scalars> {
    let invalid = |source| RunError::Record { path: path.to_owned(), line: None, source }.into();
    serde_json::from_str(json).map_err(invalid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    fn progress() -> Progress<Vec<f32>> {
        let optimiser = State {
            parameters: vec![1.0, -2.5],
            vectors: vec![
                ("gradient".to_owned(), vec![f32::MIN_POSITIVE, 3.0]),
                ("direction".to_owned(), vec![0.1, 0.2]),
            ],
            loss: 0.1 + 0.2, // 0.30000000000000004: needs all 17 digits
            gradient_norm: 1.0 / 3.0,
            numbers: "{\"step_length\":1e-300}".to_owned(),
            iteration: 12,
        };
        let held_out = HeldOut { loss: 0.7, accuracy: 0.9 };
        Progress {
            stage: StageKind::Full,
            optimiser,
            memory: vec![("conv1.inputs".to_owned(), vec![1.0; 9])],
            initial_gradient_norm: 2.0,
            cross_entropy: 0.7,
            earlier_losses: [0.75, f64::INFINITY],
            step_norm: 0.25,
            stage_cost: Cost { forward: 3, backward: 2, tangent: 1 },
            other_cost: Cost::default(),
            best: Some(Best { held_out, parameters: vec![5.0, 6.0] }),
            last_look: Some((12, held_out)),
            looks_since_best: 3,
            stages: Vec::new(),
            wall_seconds: 1.5,
        }
    }

    #[test]
    fn a_checkpoint_comes_back_bit_for_bit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint.safetensors");
        save(&path, &progress()).unwrap();
        let loaded = load(&path, 2).unwrap();
        assert_eq!(loaded.optimiser, progress().optimiser);
        assert_eq!(loaded.best, progress().best);
        assert_eq!((&loaded.memory, loaded.earlier_losses), (&progress().memory, progress().earlier_losses));
        assert_eq!(
            (loaded.stage, loaded.cost(), loaded.last_look),
            (StageKind::Full, progress().cost(), progress().last_look)
        );
    }

    #[test]
    fn a_checkpoint_of_another_model_or_a_damaged_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint.safetensors");
        save(&path, &progress()).unwrap();
        assert!(matches!(load(&path, 3), Err(Error::Data(_))));
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();
        assert!(matches!(load(&path, 2), Err(Error::Data(_))));
    }
}
