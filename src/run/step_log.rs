//! The steps of a run as other programs read them, beside `steps.jsonl`: a table, or events for TensorBoard. Both say
//! what that file says, and are made from it anew where a run goes on.

use super::columns::LoggedStep;
use super::contents;
use super::events::EventFile;
use super::step_table::StepTable;
use crate::error::Result;
use crate::subset::{StageReport, StepRecord};
use serde::Serialize;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// What steps are written as, besides `steps.jsonl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// `steps.csv`, a row a step.
    Csv,
    /// `events.out.tfevents.*`, scalars over the number of the step and over time.
    Tensorboard,
}

/// The logs of a run that is going on.
#[derive(Default)]
pub(super) struct StepLogs {
    table: Option<StepTable>,
    events: Option<EventFile>,
    /// Steps in them.
    count: u64,
    /// The last of them.
    last: Option<StepRecord>,
}

impl StepLogs {
    /// Those of these formats, and those that the folder of the run has already, without a step.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io); so for the others.
    pub(super) fn new(folder: &Path, formats: &[LogFormat]) -> Result<Self> {
        let table = folder.join(contents::TABLE);
        let events = contents::event_files(folder).into_iter().next();
        let mut logs = Self::default();
        if formats.contains(&LogFormat::Csv) || table.exists() {
            logs.table = Some(StepTable::new(table)?);
        }
        if formats.contains(&LogFormat::Tensorboard) || events.is_some() {
            let name = events.unwrap_or_else(|| contents::event_file(now()));
            logs.events = Some(EventFile::new(folder.join(&name), contents::start_of(&name).unwrap_or(0))?);
        }
        Ok(logs)
    }

    /// Whether nobody asked for any.
    pub(super) fn is_none(&self) -> bool {
        self.table.is_none() && self.events.is_none()
    }

    /// Appends the steps of a run so far, and what the stages came to that have ended.
    pub(super) fn replay(&mut self, steps: &[StepRecord], stages: &[StageReport]) -> Result<()> {
        let mut ends = stages.iter().scan(0, |end, stage| {
            *end += stage.iterations;
            Some((*end, stage))
        });
        let mut next = ends.next();
        for step in steps {
            self.append(step)?;
            while let Some((_, stage)) = next.filter(|(end, _)| *end <= self.count) {
                self.end_stage(stage)?;
                next = ends.next();
            }
        }
        Ok(())
    }

    /// Appends a step.
    pub(super) fn append(&mut self, step: &StepRecord) -> Result<()> {
        if self.is_none() {
            return Ok(());
        }
        self.count += 1;
        let logged = LoggedStep { number: self.count, step, stage: None };
        self.table.as_mut().map_or(Ok(()), |table| table.append(&logged))?;
        self.events.as_mut().map_or(Ok(()), |events| events.append(&logged))?;
        self.last = Some(step.clone());
        Ok(())
    }

    /// The last step ended a stage: what that came to belongs to it.
    pub(super) fn end_stage(&mut self, stage: &StageReport) -> Result<()> {
        let Some(step) = &self.last else { return Ok(()) };
        let logged = LoggedStep { number: self.count, step, stage: Some(stage) };
        self.table.as_mut().map_or(Ok(()), |table| table.replace_last(&logged))?;
        self.events.as_mut().map_or(Ok(()), |events| events.append_end(&logged))
    }
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
