//! `steps.csv`: a row a step.

use super::columns::{COLUMNS, LoggedStep};
use crate::error::{Error, Result};
use serde_json::Value;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;

/// The table of a run that is going on.
pub(super) struct StepTable {
    path: PathBuf,
    file: File,
    /// Bytes before the last row, and all.
    last: u64,
    len: u64,
}

impl StepTable {
    /// An empty one, its header aside, in the place of one that is there.
    ///
    /// # Errors
    /// [`Error::Io`]; so for the others.
    pub(super) fn new(path: PathBuf) -> Result<Self> {
        let file = File::create(&path).map_err(|e| Error::io("writing", &path, e))?;
        let mut table = Self { path, file, last: 0, len: 0 };
        let names = COLUMNS.iter().map(|column| column.name);
        table.line(&["step"].into_iter().chain(names).collect::<Vec<_>>().join(","))?;
        Ok(table)
    }

    /// Appends a row.
    pub(super) fn append(&mut self, step: &LoggedStep<'_>) -> Result<()> {
        let cells = step.values().into_iter().map(|value| match value {
            Value::Null => String::new(),
            Value::String(name) => name, // of a stage or a reason, without a comma
            other => other.to_string(),
        });
        self.line(&[step.number.to_string()].into_iter().chain(cells).collect::<Vec<_>>().join(","))
    }

    /// Writes the last row again: its stage has ended.
    pub(super) fn replace_last(&mut self, step: &LoggedStep<'_>) -> Result<()> {
        let back = self.file.set_len(self.last).and_then(|()| self.file.seek(SeekFrom::Start(self.last)));
        back.map_err(|e| Error::io("writing", &self.path, e))?;
        self.len = self.last;
        self.append(step)
    }

    fn line(&mut self, line: &str) -> Result<()> {
        let line = format!("{line}\n");
        self.file.write_all(line.as_bytes()).map_err(|e| Error::io("writing", &self.path, e))?;
        (self.last, self.len) = (self.len, self.len + line.len() as u64);
        Ok(())
    }
}
