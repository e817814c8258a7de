//! Finding the data of a run again, which may have moved, or the run.

use super::config::Config;
use crate::data::{Dataset, ReadOptions};
use crate::error::{DataError, Error, Result, RunError};
use std::path::{Path, PathBuf};

impl Config {
    /// Opens the data it was made on. A path that is not absolute starts from the working folder, from the one where
    /// the run was made, or from the one that the run is in: what has the same content is taken. `given` is where it
    /// is now. `run`, a run folder or the file of a configuration, is named in messages.
    ///
    /// # Errors
    /// As [`Config::check`] and [`Dataset::open`].
    pub fn open_data_of(&self, run: &Path, given: Option<&str>) -> Result<Dataset> {
        self.open_at(given.map_or_else(|| self.places(Some(run)), |given| vec![given.to_owned()]), Some(run))
    }

    /// The same of a run without a folder.
    ///
    /// # Errors
    /// As [`Config::open_data_of`].
    pub fn open_data(&self) -> Result<Dataset> {
        self.open_at(self.places(None), None)
    }

    fn open_at(&self, places: Vec<String>, run: Option<&Path>) -> Result<Dataset> {
        let open = |place: &String| {
            let data = Dataset::open(place, &self.read_options())?;
            if data.sha256 != self.data_sha256 {
                return Err(RunError::OtherData { data: data.source, run: run.map(Path::to_owned) }.into());
            }
            self.check(&data)?;
            Ok(data)
        };
        first(&places, open)
    }

    /// Opens what is where its data is found, whatever that holds, with images brought to this size.
    ///
    /// # Errors
    /// As [`Dataset::open`].
    pub fn open_resized(&self, run: &Path, resize: Option<(u32, u32)>) -> Result<Dataset> {
        let options = ReadOptions { resize, ..self.read_options() };
        first(&self.places(Some(run)), |place| Dataset::open(place, &options))
    }

    /// The same, of data that were found elsewhere.
    pub fn moved_to(self, data: &Dataset) -> Self {
        Self { data: data.source.clone(), made_in: Self::start_of(&data.source), ..self }
    }

    /// The folder that a path to data starts from, where that has to be known to find it again.
    pub(super) fn start_of(data: &str) -> Option<PathBuf> {
        let is_path = data != Dataset::DIGITS && Path::new(data).is_relative();
        // a configuration is text
        std::env::current_dir().ok().filter(|folder| is_path && folder.to_str().is_some())
    }

    /// Where its data may be, the likeliest first.
    fn places(&self, run: Option<&Path>) -> Vec<String> {
        let mut places = vec![self.data.clone()];
        let path = Path::new(&self.data);
        if self.data != Dataset::DIGITS && path.is_relative() {
            let beside = run.and_then(|run| run.canonicalize().ok()).and_then(|run| run.parent().map(Path::to_owned));
            for folder in self.made_in.iter().chain(&beside) {
                // a name that is no text would be another one
                places.extend(folder.join(path).to_str().map(str::to_owned));
            }
        }
        places
    }
}

/// What is opened first. Where nothing is: why not, at the first place where other data is, or else at the first.
fn first(places: &[String], open: impl Fn(&String) -> Result<Dataset>) -> Result<Dataset> {
    let mut faults: Vec<Error> = Vec::new();
    for place in places {
        match open(place) {
            Ok(data) => return Ok(data),
            Err(Error::Data(fault)) => faults.push(fault.into()),
            Err(other) => return Err(other),
        }
    }
    let is_other = |fault: &Error| matches!(fault, Error::Data(DataError::Run(RunError::OtherData { .. })));
    let worst = faults.iter().position(is_other).unwrap_or(0);
    Err(faults.swap_remove(worst))
}
