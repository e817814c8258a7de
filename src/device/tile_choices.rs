//! Which tiles are fastest for a shape on an adapter, and the file in the user's cache folder that remembers it.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Format of the file, and of what makes a choice; another number is another file.
const VERSION: u32 = 3;

/// Seconds of timing, compilation included, that a process may spend unless it is asked for more.
const BUDGET: f64 = 2.5;

/// A choice: two sizes of a tile.
pub(super) type TileChoice = [usize; 2];

/// Choices by shape.
type TileChoices = BTreeMap<String, TileChoice>;

/// What processes found, by adapter.
#[derive(Serialize, Deserialize)]
struct File {
    version: u32,
    adapters: BTreeMap<String, TileChoices>,
}

/// What is known of an adapter.
#[derive(Debug, Default)]
pub(super) struct Tuning {
    /// Where it is remembered, if anywhere.
    path: Option<PathBuf>,
    /// Seconds left; none until tuning is enabled.
    pub budget: f64,
    choices: TileChoices,
    /// Whether there is a choice that the file does not know.
    is_new: bool,
}

impl Tuning {
    /// With what other processes found on the adapter that `key` names, and a few seconds for what they did not; or,
    /// for a `budget` of seconds, as if nothing were known.
    pub(super) fn of(key: &str, budget: Option<f64>) -> Self {
        let path = dirs::cache_dir().map(|folder| folder.join("gpu-subset").join(format!("tuning-{VERSION}.json")));
        if path.is_none() {
            tracing::warn!("there is no cache folder: tuning is not remembered");
        }
        let known = path.as_ref().filter(|_| budget.is_none()).and_then(read);
        let choices = known.and_then(|mut file| file.adapters.remove(key)).unwrap_or_default();
        Self { path, budget: budget.unwrap_or(BUDGET), choices, is_new: false }
    }

    /// The choice for a shape, if there is one.
    pub(super) fn of_shape(&self, shape: &str) -> Option<TileChoice> {
        self.choices.get(shape).copied()
    }

    /// Uses a choice from now on, or the default again.
    pub(super) fn choose(&mut self, shape: &str, choice: Option<TileChoice>) {
        match choice {
            Some(choice) => self.choices.insert(shape.to_owned(), choice),
            None => self.choices.remove(shape),
        };
        self.is_new |= choice.is_some(); // a default is nothing to remember
    }

    /// Writes the choices under `key`. A cache folder that cannot be written costs only time.
    pub(super) fn remember(&mut self, key: String) {
        let Some(path) = self.path.clone().filter(|_| self.is_new) else { return };
        self.is_new = false;
        let mut file = read(&path).unwrap_or(File { version: VERSION, adapters: BTreeMap::new() });
        file.adapters.entry(key).or_default().extend(self.choices.clone());
        let written = serde_json::to_vec_pretty(&file).map_err(std::io::Error::from).and_then(|text| {
            let folder = path.parent().unwrap_or(&path);
            std::fs::create_dir_all(folder)?;
            // written aside and renamed: another process sees the old file or the new one
            let aside = folder.join(format!("tuning-{}.tmp", std::process::id()));
            let renamed = std::fs::write(&aside, text).and_then(|()| std::fs::rename(&aside, &path));
            renamed.inspect_err(|_| drop(std::fs::remove_file(&aside)))
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
