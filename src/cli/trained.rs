//! Weights that were trained, by the folder of their run or the file.

use super::output::say;
use crate::error::{Result, shown};
use crate::run::{Config, Run, RunFolder, Weights};
use std::path::Path;

/// The weights, and the configuration of their run, where it is a run folder that was named.
///
/// # Errors
/// [`Error::Data`] where it is neither, or the run is not complete.
pub(super) fn open(path: &Path) -> Result<(Weights, Option<Config>)> {
    let weights = Weights::open(path)?;
    let config = match path.is_file() {
        true => None,
        false => Some(Config::load(&RunFolder::open(path)?.config())?),
    };
    Ok((weights, config))
}

/// What a run starts from, where that is not random, on stderr.
pub(super) fn say_start(run: &Run<'_>) {
    let Some(init) = &run.config().init else { return };
    let (taken, all) = (init.count(run.model()), run.model().parameters());
    let drawn = match &init.drawn[..] {
        [] => String::new(),
        drawn => format!("; {} drawn anew, for {} classes", drawn.join(", "), run.model().classes),
    };
    say!("note: starts from {}: {taken} of {all} parameters{drawn}; pixels normalised as there", shown(&init.path));
}
