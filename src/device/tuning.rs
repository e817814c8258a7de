//! Which of a few tiles is fastest for a shape on this adapter, found by timing and remembered in the user's cache folder. Only
//! choices that do not change the order of any sum are made here, so that results do not depend on what was remembered.

use super::{Gpu, lock};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Format of the file; another number is another file.
const VERSION: u32 = 2;

/// Seconds of timing, compilation included, that a process may spend unless it is asked for more.
const BUDGET: f64 = 2.5;

/// A choice: two sizes of a tile.
pub type TileChoice = [usize; 2];

/// Choices by shape.
type TileChoices = BTreeMap<String, TileChoice>;

#[derive(Serialize, Deserialize)]
struct File {
    version: u32,
    adapters: BTreeMap<String, TileChoices>,
}

/// What is known of this adapter.
#[derive(Debug, Default)]
pub(super) struct Tuning {
    /// Where it is remembered, if anywhere.
    path: Option<PathBuf>,
    /// Seconds left; none until tuning is enabled.
    budget: f64,
    choices: TileChoices,
    /// Whether there is a choice that the file does not know.
    is_new: bool,
}

impl Gpu {
    /// Lets kernels time candidates on this device and remember what they found; `budget` seconds of it and as if nothing were known
    /// yet, or else a few seconds for what is not. To be called before anything is allocated for a model.
    pub fn enable_tuning(&self, budget: Option<f64>) {
        let path = dirs::cache_dir().map(|folder| folder.join("gpu-subset").join(format!("tuning-{VERSION}.json")));
        if path.is_none() {
            tracing::warn!("there is no cache folder: tuning is not remembered");
        }
        let known = path.as_ref().filter(|_| budget.is_none()).and_then(read);
        let choices = known.and_then(|mut file| file.adapters.remove(&self.tuning_key())).unwrap_or_default();
        *lock(&self.tuning) = Tuning { path, budget: budget.unwrap_or(BUDGET), choices, is_new: false };
    }

    /// Adapter, driver and variant.
    fn tuning_key(&self) -> String {
        format!("{}; {}; {:?}", self.info.name, self.driver(), self.profile)
    }

    /// The choice for a shape, if there is one.
    pub fn tuned(&self, shape: &str) -> Option<TileChoice> {
        lock(&self.tuning).choices.get(shape).copied()
    }

    /// Whether candidates may still be timed.
    pub fn may_tune(&self) -> bool {
        lock(&self.tuning).budget > 0.0
    }

    /// Counts seconds of timing.
    pub fn spend_tuning(&self, seconds: f64) {
        lock(&self.tuning).budget -= seconds;
    }

    /// Uses a choice from now on in this process, or the default again.
    pub fn choose(&self, shape: &str, choice: Option<TileChoice>) {
        let mut tuning = lock(&self.tuning);
        match choice {
            Some(choice) => tuning.choices.insert(shape.to_owned(), choice),
            None => tuning.choices.remove(shape),
        };
        tuning.is_new |= choice.is_some(); // a default is nothing to remember
    }

    /// Writes the choices for other processes. A cache folder that cannot be written costs only time.
    pub fn remember_tuning(&self) {
        let mut tuning = lock(&self.tuning);
        let Some(path) = tuning.path.clone().filter(|_| tuning.is_new) else { return };
        tuning.is_new = false;
        let mut file = read(&path).unwrap_or(File { version: VERSION, adapters: BTreeMap::new() });
        file.adapters.entry(self.tuning_key()).or_default().extend(tuning.choices.clone());
        let written = serde_json::to_vec_pretty(&file).map_err(std::io::Error::from).and_then(|text| {
            let folder = path.parent().unwrap_or(&path);
            std::fs::create_dir_all(folder)?;
            // written aside and renamed: another process sees the old file or the new one
            let aside = folder.join(format!("tuning-{}.tmp", std::process::id()));
            std::fs::write(&aside, text)?;
            std::fs::rename(aside, &path)
        });
        if let Err(error) = written {
            tracing::warn!("{}: tuning is not remembered: {error}", path.display());
        }
    }
}

/// What other processes found; nothing when the file is missing, damaged or of another version.
fn read(path: &PathBuf) -> Option<File> {
    let file: File = serde_json::from_slice(&std::fs::read(path).ok()?)
        .inspect_err(|error| tracing::warn!("{}: damaged, starting anew: {error}", path.display()))
        .ok()?;
    (file.version == VERSION).then_some(file)
}
