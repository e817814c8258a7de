//! What runs leave behind: a folder and the record that sums it up, the table of many, and the page about some.

mod chart;
mod curves;
mod evaluation;
mod page;
mod picture;
mod plots;
mod predictions;
mod run_folder;
mod table;

use crate::subset::{StageReport, StepRecord};

pub use chart::{Axis, Chart, Mark, Scale, Series};
pub use curves::charts;
pub use evaluation::{Evaluated, Labelled, Worst};
pub use page::{is_page, page};
pub use picture::example_png;
pub use predictions::{Confusion, Mistake, worst_mistakes};
pub use run_folder::{RunFolder, RunRecord};
pub use table::{Reached, Row, RowOptions, Spread, costs_to_reach, table};

/// A run as its folder tells it.
#[derive(Clone, Debug)]
pub struct History {
    /// What tells it from the other runs of the page.
    pub name: String,
    /// `config.toml`
    pub config: String,
    /// `run.json`; none while the run goes on.
    pub record: Option<RunRecord>,
    /// `steps.jsonl`
    pub steps: Vec<StepRecord>,
    /// The stages that have ended.
    pub stages: Vec<StageReport>,
    /// What its weights make of the test set, or why nobody knows.
    pub evaluation: Result<Evaluated, String>,
}

impl History {
    /// The stages that have ended, each with its last step. One without a step has no place on a curve.
    pub fn stage_ends(&self) -> impl Iterator<Item = (&StepRecord, &StageReport)> {
        let ends = self.stages.iter().scan(0, |end, stage| {
            *end += stage.iterations as usize;
            Some((*end, stage))
        });
        ends.filter_map(|(end, stage)| Some((self.steps.get(end.checked_sub(1)?)?, stage)))
    }
}
