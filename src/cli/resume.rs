//! `train --resume`: which run goes on, on which data and up to which budget.

use super::advice;
use super::output::say;
use super::request::RunRequest;
use super::values::epochs;
use crate::cost::Units;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::run::{Config, Resumed, RunFolder};
use crate::subset::{Plan, Progress};
use std::path::Path;

/// A run that goes on.
pub(super) struct Continuation {
    pub folder: RunFolder,
    /// As it was begun.
    before: Config,
    /// Whether it had come to its end.
    was_complete: bool,
}

/// Opens the folder of a run that is to go on: also its configuration, with the data and the budget of the request in
/// place of its own, and that data.
pub(super) fn open(path: &Path, request: &RunRequest) -> Result<(Config, Dataset, Continuation)> {
    let folder = RunFolder::take(path)?;
    let before = Config::load(&folder.config())?;
    let was_complete = folder.record().exists();
    let mut config = before.clone();
    if let Some(budget) = request.course.budget() {
        config.plan = raised(&before, budget)?;
    }
    if was_complete && config.plan == before.plan {
        let more = match before.plan {
            Plan::Stochastic { budget, .. } => {
                format!("; more than its --budget of {} goes on with it", epochs(budget, before.examples))
            }
            Plan::Stages { .. } => String::new(),
        };
        return Err(Error::usage(format!("--resume {}: this run is complete{more}", path.display())));
    }
    let data = config.open_data_of(path, request.given_data())?;
    if request.given_data().is_some() {
        config = config.moved_to(&data);
    }
    Ok((config, data, Continuation { folder, before, was_complete }))
}

/// The plan with that many epochs, which have to be as many as it has or more.
fn raised(config: &Config, budget: f64) -> Result<Plan> {
    let (asked, n) = (Units::of_passes(budget, config.examples), config.examples);
    match config.plan {
        Plan::Stochastic { budget: known, .. } if asked == known => Ok(config.plan.clone()),
        Plan::Stochastic { budget: known, .. } if asked < known => Err(Error::usage(format!(
            "--budget {budget}: the run of --resume has {} already, and gets more or none",
            epochs(known, n)
        ))),
        _ => config.plan.with_budget(asked).ok_or_else(|| {
            Error::usage(format!("--budget {budget}: the schedule of the run of --resume has passes, no budget"))
        }),
    }
}

impl Continuation {
    /// Where the run goes on, by a configuration in place of its own; its vectors have `len` words.
    pub(super) fn progress(&mut self, config: &Config, len: usize) -> Result<Option<Progress<Vec<f32>>>> {
        let Self { folder, before, was_complete } = self;
        let Resumed { progress, fault } = if *was_complete {
            Resumed { progress: Some(folder.reopen(before, len)?), fault: None }
        } else {
            folder.resume(before, len)?
        };
        match (&progress, fault) {
            (_, Some(why)) => say!("note: {}; going on from the checkpoint before it", advice::line(&why)),
            (None, None) => say!("note: there is no checkpoint, so the run starts anew from its configuration"),
            (Some(_), None) => {}
        }
        match &progress {
            Some(progress) if config.plan != before.plan => folder.reconfigure(config, progress)?,
            _ if config != before => folder.configure(config)?,
            _ => {}
        }
        if let (Plan::Stochastic { budget: new, .. }, Plan::Stochastic { budget: old, .. }) =
            (&config.plan, &before.plan)
            && new > old
            && progress.is_some()
        {
            let [new, old] = [new, old].map(|budget| epochs(*budget, config.examples));
            say!(
                "note: the budget is {new} in place of {old}: preparation and progress stay, steps are longer again \
                 and shrink to nothing towards the new end; not the bits of a run that had it from the start"
            );
        }
        Ok(progress)
    }
}
