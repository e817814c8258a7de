//! What is logged of a step: a column of a table, and a name that TensorBoard groups by.

use crate::subset::{StageReport, StepRecord};
use serde_json::Value;

/// A step of a run.
pub(super) struct LoggedStep<'a> {
    /// Its number in the run, from 1.
    pub number: u64,
    pub step: &'a StepRecord,
    /// What its stage came to, where it was the last of it.
    pub stage: Option<&'a StageReport>,
}

/// Where a value is found.
#[derive(Clone, Copy)]
enum Origin {
    /// In the record of a step, as `steps.jsonl` has it.
    Step(&'static str),
    /// In the report of a stage that has ended.
    Stage(&'static str),
}
use Origin::{Stage, Step};

/// A quantity of a step.
pub(super) struct Column {
    pub name: &'static str,
    /// None for what is no scalar.
    pub tag: Option<&'static str>,
    place: Origin,
}

const fn column(name: &'static str, tag: Option<&'static str>, place: Origin) -> Column {
    Column { name, tag, place }
}

/// All of them. Names are those of `steps.jsonl`.
pub(super) const COLUMNS: [Column; 26] = [
    column("stage", None, Step("/stage")),
    column("examples", Some("stage/examples"), Step("/examples")),
    column("iteration", Some("stage/iteration"), Step("/iteration")),
    column("loss", Some("loss/with weight decay"), Step("/loss")),
    column("cross_entropy", Some("loss/training"), Step("/cross_entropy")),
    column("accuracy", Some("accuracy/training"), Step("/accuracy")),
    column("held_out_loss", Some("loss/held-out"), Step("/held_out/loss")),
    column("held_out_accuracy", Some("accuracy/held-out"), Step("/held_out/accuracy")),
    column("train_loss", Some("loss/training set"), Stage("/train_loss")),
    column("test_loss", Some("loss/test"), Stage("/test_loss")),
    column("test_accuracy", Some("accuracy/test"), Stage("/test_accuracy")),
    column("gradient_norm", Some("step/gradient norm"), Step("/gradient_norm")),
    column("step_norm", Some("step/norm"), Step("/step_norm")),
    column("step_length", Some("step/length"), Step("/step_length")),
    column("evaluations", Some("step/evaluations"), Step("/evaluations")),
    column("inner_iterations", Some("step/inner iterations"), Step("/inner_iterations")),
    column("restarted", None, Step("/restarted")),
    column("rejected", None, Step("/rejected")),
    column("damping", Some("method/damping"), Step("/damping")),
    column("radius", Some("method/radius"), Step("/radius")),
    column("rho", Some("method/rho"), Step("/rho")),
    column("kept", Some("method/kept"), Step("/kept")),
    column("units", None, Step("/units")),
    column("cost_epochs", Some("cost/epochs"), Step("/cost_epochs")),
    column("network_epochs", Some("cost/network epochs"), Step("/network_epochs")),
    column("wall_seconds", Some("cost/seconds"), Step("/wall_seconds")),
];

impl LoggedStep<'_> {
    /// The value of each column; null for what there is not, or what is not finite.
    pub(super) fn values(&self) -> Vec<Value> {
        let [step, stage] = [serde_json::to_value(self.step), serde_json::to_value(self.stage)]
            .map(|value| value.expect("a record is plain data"));
        let of = |place: Origin| match place {
            Step(pointer) => step.pointer(pointer).cloned(),
            Stage(pointer) => stage.pointer(pointer).cloned(),
        };
        COLUMNS.iter().map(|column| of(column.place).unwrap_or(Value::Null)).collect()
    }

    /// Those of them that are scalars, with their tags.
    pub(super) fn scalars(&self) -> Vec<(&'static str, f64)> {
        let tagged = COLUMNS.iter().zip(self.values());
        tagged.filter_map(|(column, value)| Some((column.tag?, value.as_f64()?))).collect()
    }

    /// Of the report of its stage alone.
    pub(super) fn scalars_of_stage(&self) -> Vec<(&'static str, f64)> {
        let of_stage = |tag: &str| COLUMNS.iter().any(|c| c.tag == Some(tag) && matches!(c.place, Stage(_)));
        self.scalars().into_iter().filter(|(tag, _)| of_stage(tag)).collect()
    }
}
