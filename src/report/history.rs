//! A run as its folder tells it.

use super::evaluation::TestEvaluation;
use super::network::NetworkDrawing;
use crate::run::RunRecord;
use crate::subset::{StageReport, StepRecord};

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
    /// Its network; none where nothing says what its images are.
    pub network: Option<NetworkDrawing>,
    /// What its weights make of the test set, or why nobody knows.
    pub evaluation: Result<TestEvaluation, String>,
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
