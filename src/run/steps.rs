//! The records of a run's steps, `steps.jsonl`: written line by line, cut back to a checkpoint, read for a page.

use crate::error::{Error, Result, RunError};
use crate::files::{RECORDS, hex, read_regular};
use crate::subset::StepRecord;
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// The log of a run that is going on.
pub(super) struct StepLog {
    path: PathBuf,
    file: Option<File>,
    /// Records in it, and their digest.
    count: u64,
    digest: Sha256,
}

/// The first records of a log.
struct FirstRecords {
    /// Their bytes, and whether there are no more.
    len: usize,
    is_all: bool,
    digest: Sha256,
}

impl StepLog {
    /// An empty one, or one that is to be cut back first.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, file: None, count: 0, digest: Sha256::new() }
    }

    /// Records in it, as far as this run knows them.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Appends a record.
    ///
    /// # Errors
    /// [`Error::Io`]. A part of the line may be there: it is no record, and is cut off where the run goes on.
    pub(super) fn append(&mut self, record: &StepRecord) -> Result<()> {
        let line = serde_json::to_string(record).expect("a record is plain data") + "\n";
        let written = self.file().and_then(|file| file.write_all(line.as_bytes()));
        written.map_err(|e| Error::io("writing", &self.path, e))?;
        self.count += 1;
        self.digest.update(line);
        Ok(())
    }

    /// The digest of the first `count` records, which a crash does not take from now on. There may be more: a run whose
    /// device was lost does some steps again, and tells of none of them twice.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Data`] when there are not as many.
    pub(super) fn seal(&mut self, count: u64, checkpoint: &Path) -> Result<String> {
        let digest = if self.count == count { self.digest.clone() } else { self.first(count, checkpoint)?.digest };
        if let Some(file) = &self.file {
            file.sync_data().map_err(|e| Error::io("writing", &self.path, e))?;
        }
        Ok(hex(&digest.finalize()))
    }

    /// The first `count` records.
    fn first(&self, count: u64, checkpoint: &Path) -> Result<FirstRecords> {
        let bytes = read(&self.path)?;
        let lines = bytes.split_inclusive(|&byte| byte == b'\n').filter(|line| line.ends_with(b"\n"));
        let lines: Vec<&[u8]> = lines.take(usize::try_from(count).unwrap_or(usize::MAX)).collect();
        if (lines.len() as u64) < count {
            return Err(self.others(count, checkpoint));
        }
        let len: usize = lines.iter().map(|line| line.len()).sum();
        Ok(FirstRecords { len, is_all: len == bytes.len(), digest: Sha256::new_with_prefix(&bytes[..len]) })
    }

    fn others(&self, records: u64, checkpoint: &Path) -> Error {
        RunError::OtherSteps { path: self.path.clone(), records, checkpoint: checkpoint.to_owned() }.into()
    }

    /// Cuts it back to the first `count` records, those that a checkpoint goes on from.
    ///
    /// # Errors
    /// [`Error::Data`] when there are fewer, or their digest is another; [`Error::Io`].
    pub(super) fn cut_back(&mut self, count: u64, digest: Option<&str>, checkpoint: &Path) -> Result<()> {
        let FirstRecords { len, is_all, digest: found } = self.first(count, checkpoint)?;
        if digest.is_some_and(|digest| hex(&found.clone().finalize()) != digest) {
            return Err(self.others(count, checkpoint));
        }
        if !is_all {
            let cut = self.file().and_then(|file| file.set_len(len as u64));
            cut.map_err(|e| Error::io("writing", &self.path, e))?;
        }
        (self.count, self.digest) = (count, found);
        Ok(())
    }

    fn file(&mut self) -> io::Result<&mut File> {
        let file = match self.file.take() {
            Some(file) => file,
            None => OpenOptions::new().create(true).append(true).open(&self.path)?,
        };
        Ok(self.file.insert(file))
    }
}

/// The records of a run that has made so many steps, where it is complete. While it goes on, or was killed, the end of
/// its last line may be missing. Where there is no file, there are no records.
///
/// # Errors
/// [`Error::Data`] naming the line that is damaged or does not follow the one before.
pub(super) fn read_steps(path: &Path, complete: Option<u64>) -> Result<Vec<StepRecord>> {
    let bytes = read(path)?;
    let is_whole = |line: &&[u8]| line.ends_with(b"\n") || complete.is_some();
    let lines = bytes.split_inclusive(|&byte| byte == b'\n').filter(is_whole);
    let mut records: Vec<StepRecord> = Vec::new();
    for (i, line) in lines.enumerate() {
        let invalid = |source| RunError::Record { path: path.to_owned(), line: Some(i + 1), source };
        let record: StepRecord = serde_json::from_slice(line).map_err(invalid)?;
        let follows = records.last().is_some_and(|last| record.iteration == last.iteration + 1);
        if !follows && record.iteration != 1 {
            return Err(RunError::Sequence { path: path.to_owned(), line: i + 1, found: record.iteration }.into());
        }
        records.push(record);
    }
    match complete {
        Some(expected) if path.exists() && records.len() as u64 != expected => {
            Err(RunError::Records { path: path.to_owned(), found: records.len() as u64, expected }.into())
        }
        _ => Ok(records),
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    match read_regular(path, RECORDS) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        bytes => bytes.map_err(|e| Error::unreadable(path, e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const STEP: &str = r#"{"stage":"full","examples":60000,"iteration":1,"loss":null,"gradient_norm":0.5,
        "step_norm":0.1,"step_length":1.0,"evaluations":16,"restarted":false,"damping":null,"rho":null,
        "inner_iterations":0,"rejected":null,
        "held_out":{"loss":0.5,"accuracy":0.9},"units":3000.0,"cost_epochs":0.05,"wall_seconds":1.5}"#;

    fn line(iteration: u64) -> String {
        STEP.replace('\n', "").replace("\"iteration\":1,", &format!("\"iteration\":{iteration},")) + "\n"
    }

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let at = tempfile::tempdir().unwrap();
        let path = at.path().join("steps.jsonl");
        fs::write(&path, text).unwrap();
        (at, path)
    }

    #[test]
    fn steps_of_an_earlier_version_are_read_and_null_is_not_a_number() {
        let (_at, path) = file(&(line(1) + &line(2)));
        let steps = read_steps(&path, None).unwrap();
        assert!(steps.len() == 2 && steps[0].outcome.loss.is_nan() && steps[0].accuracy.is_none());
        assert_eq!(steps[1].held_out.map(|found| found.accuracy), Some(0.9));
        let again = serde_json::to_string(&steps[0]).unwrap();
        assert!(serde_json::from_str::<StepRecord>(&again).unwrap().outcome.loss.is_nan());
        let held_out: crate::subset::HeldOut = serde_json::from_str(r#"{"loss":null,"accuracy":0.5}"#).unwrap();
        assert!(held_out.loss.is_nan());
    }

    #[test]
    fn a_last_line_may_be_cut_off_while_the_run_goes_on_and_no_other() {
        let (first, second) = (line(1), line(2));
        let torn = first.clone() + &second[..40];
        let (_at, path) = file(&torn);
        assert_eq!(read_steps(&path, None).unwrap().len(), 1);
        let two_stages = first.clone() + &second + &first;
        for (text, complete, fragment) in [
            (torn.as_str(), Some(2), "steps.jsonl: line 2"),
            (&format!("{}\n{second}", &first[..40]), None, "line 1"),
            ("\u{fffd}\n", None, "line 1"),
            (&(line(1) + &line(3)), None, "line 2: iteration 3 does not follow"),
            (&second, None, "line 1: iteration 2"),
            (&two_stages, Some(4), "3 records, but the run made 4"),
            ("", Some(1), "0 records"),
        ] {
            fs::write(&path, text).unwrap();
            let why = read_steps(&path, complete).unwrap_err();
            assert!(matches!(&why, Error::Data(_)) && why.to_string().contains(fragment), "{text}: {why}");
        }
        fs::write(&path, two_stages).unwrap();
        assert_eq!(read_steps(&path, Some(3)).unwrap().len(), 3);
        fs::write(&path, "").unwrap();
        assert_eq!(read_steps(&path, None).unwrap(), []);
        fs::remove_file(&path).unwrap();
        assert_eq!(read_steps(&path, Some(3)).unwrap(), []);
    }
}
