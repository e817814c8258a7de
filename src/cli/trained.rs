//! Weights that were trained, by the folder of their run or the file.

use super::output::say;
use crate::error::{Result, shown};
use crate::run::{Config, Pixels, Run, RunFolder, Weights};
use std::path::Path;

/// What was named.
pub(super) struct OpenedWeights {
    pub weights: Weights,
    /// The configuration of their run, where it is a run folder.
    pub config: Option<Config>,
    /// Whether they name their classes.
    pub are_named: bool,
}

/// Opens weights, and says what is taken for granted about them.
///
/// # Errors
/// As [`Weights::open`].
pub(super) fn open(path: &Path, pixels: &Pixels) -> Result<OpenedWeights> {
    let config = match path.is_dir() {
        true => Some(Config::load(&RunFolder::open(path)?.config())?),
        false => None,
    };
    let (weights, stated) = Weights::open(path, pixels)?;
    if !stated.inputs {
        say_assumed(path);
    }
    Ok(OpenedWeights { weights, config, are_named: stated.classes })
}

/// What pixels are taken to be where nothing says so.
fn say_assumed(path: impl AsRef<Path>) {
    say!("note: {}: pixels are taken to be from 0 to 1; --mean and --std say otherwise", shown(path));
}

/// What a run starts from, where that is not random, on stderr.
pub(super) fn say_start(run: &Run<'_>) {
    let Some(init) = &run.config().init else { return };
    let (taken, all) = (init.count(run.model()), run.model().parameters());
    let drawn = match &init.drawn[..] {
        [] => String::new(),
        drawn => format!("; {} drawn anew, for {} classes", drawn.join(", "), run.model().classes),
    };
    let kept = match run.config().freeze {
        0 => String::new(),
        number => format!("; layers up to {number} keep theirs"),
    };
    if init.is_assumed {
        say_assumed(&init.path);
    }
    say!(
        "note: starts from {}: {taken} of {all} parameters{drawn}{kept}; pixels normalised as there",
        shown(&init.path)
    );
}
