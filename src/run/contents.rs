//! What is in a run folder, and what becomes of it when another run takes its place.
//!
//! A run with weights that is replaced goes to a folder of its own beside the new one's files, `replaced`, until that
//! has weights as well. `config.toml` goes last and comes back first: where it is, there is the run.

use crate::error::{Error, Result, UsageError};
use crate::files::{TEXT, read_text, remove, rename_if_there};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

pub(super) const CONFIG: &str = "config.toml";
pub(super) const STEPS: &str = "steps.jsonl";
pub(super) const CHECKPOINT: &str = "checkpoint.safetensors";
pub(super) const PREVIOUS: &str = "checkpoint.previous.safetensors";
pub(super) const WEIGHTS: &str = "weights.safetensors";
pub(super) const RECORD: &str = "run.json";
pub(super) const STATE: &str = "state.safetensors";
pub(super) const TABLE: &str = "steps.csv";
/// Around the second in which a run began: TensorBoard finds such files by the first part, and we by both.
const EVENTS: [&str; 2] = ["events.out.tfevents.", ".gpu-subset"];
const REPLACED: &str = "replaced";

/// Of a complete run.
const LASTING: [&str; 6] = [TABLE, STEPS, STATE, RECORD, WEIGHTS, CONFIG];
/// Of a run that goes on.
const PASSING: [&str; 2] = [CHECKPOINT, PREVIOUS];
/// Of one that was killed while it wrote.
const PARTIAL: [&str; 5] = ["config.partial", "checkpoint.partial", "state.partial", "weights.partial", "run.partial"];

/// The name of a file of events of a run that began then, in seconds since 1970.
pub(super) fn event_file(start: u64) -> String {
    let [before, after] = EVENTS;
    format!("{before}{start}{after}")
}

/// When a run began, by the name of its file of events.
pub(super) fn start_of(name: &str) -> Option<u64> {
    let [before, after] = EVENTS;
    name.strip_prefix(before)?.strip_suffix(after)?.parse().ok()
}

/// Names of the files of events in a folder, which is no more than one unless somebody copied it.
pub(super) fn event_files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut found: Vec<String> = names.filter(|name| start_of(name).is_some()).collect();
    found.sort();
    found
}

/// Names of what a complete run has in a folder, its configuration last.
fn lasting(folder: &Path) -> Vec<String> {
    event_files(folder).into_iter().chain(LASTING.map(str::to_owned)).collect()
}

/// Whether a run may be put there. Files of somebody else are never replaced: without a configuration of ours, all are.
///
/// # Errors
/// [`Error::Usage`] naming the folder or the file; [`Error::Data`] for a configuration that cannot be read.
pub(super) fn check(folder: &Path, overwrite: bool) -> Result<()> {
    let config = folder.join(CONFIG);
    if !config.exists() {
        let names = LASTING.iter().chain(&PASSING);
        return match names.map(|name| folder.join(name)).find(|path| path.exists()) {
            Some(path) => Err(UsageError::NotOurs { path }.into()),
            None => Ok(()),
        };
    }
    match is_ours(&config)? {
        true if overwrite => Ok(()),
        true => Err(UsageError::RunExists { path: folder.to_owned() }.into()),
        false => Err(UsageError::NotOurs { path: config }.into()),
    }
}

/// Whether a configuration is one of this program.
fn is_ours(config: &Path) -> Result<bool> {
    let table = match read_text(config, TEXT) {
        Err(e) if e.kind() != ErrorKind::InvalidData => return Err(Error::unreadable(config, e)),
        text => text.ok().and_then(|text| text.parse::<toml::Table>().ok()),
    };
    Ok(table.is_some_and(|table| table.contains_key("data_sha256")))
}

/// Makes room for a new run: one with weights is kept in `replaced`, another goes.
pub(super) fn set_aside(folder: &Path) -> Result<()> {
    remove_passing(folder)?;
    let aside = folder.join(REPLACED);
    // of an attempt that did not come to its end
    let is_begun = aside.exists() && !aside.join(CONFIG).exists();
    if is_begun || folder.join(WEIGHTS).exists() {
        if !is_begun {
            remove_replaced(folder)?;
        }
        fs::create_dir_all(&aside).map_err(|e| Error::io("creating", &aside, e))?;
        for name in lasting(folder) {
            move_if_there(&folder.join(&name), &aside.join(&name))?;
        }
    }
    clear(folder)
}

/// Removes the files of a run.
pub(super) fn clear(folder: &Path) -> Result<()> {
    let names = PARTIAL.iter().chain(&PASSING).map(|name| folder.join(name));
    names.chain(lasting(folder).iter().map(|name| folder.join(name))).try_for_each(|path| remove(&path))
}

/// Removes what a run left that was killed while it wrote.
pub(super) fn remove_partial(folder: &Path) -> Result<()> {
    PARTIAL.iter().try_for_each(|name| remove(&folder.join(name)))
}

/// Removes the run that was replaced, if there is one.
pub(super) fn remove_replaced(folder: &Path) -> Result<()> {
    let aside = folder.join(REPLACED);
    if aside.join(CONFIG).exists() && !is_ours(&aside.join(CONFIG))? {
        return Ok(()); // a folder of somebody else's
    }
    lasting(&aside).iter().try_for_each(|name| remove(&aside.join(name)))?;
    match fs::remove_dir(&aside) {
        Err(e) if ![ErrorKind::NotFound, ErrorKind::DirectoryNotEmpty].contains(&e.kind()) => {
            Err(Error::io("removing", &aside, e))
        }
        _ => Ok(()),
    }
}

/// Removes what is needed only while a run goes on.
pub(super) fn remove_passing(folder: &Path) -> Result<()> {
    PASSING.iter().try_for_each(|name| remove(&folder.join(name)))
}

/// Brings the run back that was replaced, if there is one, where nothing is left of its successor.
pub(super) fn bring_back(folder: &Path) -> Result<()> {
    let aside = folder.join(REPLACED);
    for name in lasting(&aside).iter().rev() {
        move_if_there(&aside.join(name), &folder.join(name))?;
    }
    remove_replaced(folder)
}

fn move_if_there(from: &Path, to: &Path) -> Result<()> {
    rename_if_there(from, to).map_err(|e| Error::io("moving", from, e))
}
