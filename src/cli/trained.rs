//! Weights that were trained, by the folder of their run or the file.

use crate::error::{Error, Result, RunError};
use crate::run::{Config, RunFolder, Weights};
use std::path::Path;

/// The weights, and the configuration of their run, where it is a run folder that was named.
///
/// # Errors
/// [`Error::Data`] where it is neither, or the run is not complete.
pub(super) fn open(path: &Path) -> Result<(Weights, Option<Config>)> {
    if path.is_file() {
        return Ok((Weights::load(path)?, None));
    }
    let folder = RunFolder::open(path)?;
    let config = Config::load(&folder.config())?;
    if !folder.weights().exists() {
        return Err(Error::from(RunError::Incomplete { path: path.to_owned() }));
    }
    Ok((Weights::load(&folder.weights())?, Some(config)))
}
