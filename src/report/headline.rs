//! The table that a page begins with: a quantity a row, a run a column.

use super::evaluation::TestEvaluation;
use super::history::History;
use crate::run::RunRecord;
use maud::{Markup, html};

/// What stands for a value that is not known.
pub(super) const NONE: &str = "–";

/// Where the text of a row comes from.
enum Fact {
    /// The record, once the run is over.
    OfRecord(fn(&RunRecord) -> String),
    /// Whatever there is of the run so far.
    OfRun(fn(&History) -> Option<String>),
}
use Fact::{OfRecord, OfRun};

const ROWS: [(&str, Fact); 23] = [
    ("test accuracy", OfRun(accuracy)),
    ("test loss (cross entropy)", OfRun(loss)),
    ("training loss (cross entropy)", OfRecord(|run| format!("{:.4}", run.train_loss))),
    ("cost", OfRun(cost)),
    ("of it through the network", OfRun(network)),
    ("reported besides", OfRecord(|run| format!("{:.2} epochs", run.reporting_epochs))),
    ("wall time", OfRun(time)),
    ("model", OfRecord(|run| run.model.clone())),
    ("P, parameters", OfRun(parameters)),
    ("K, examples of the subset", OfRecord(|run| run.subset_examples.to_string())),
    ("Q = K·M/P", OfRecord(|run| format!("{:.2}", run.overdetermination))),
    ("screening", OfRun(screening)),
    ("seed", OfRecord(|run| run.seed.to_string())),
    ("weights kept", OfRecord(|run| run.weights.clone())),
    ("data", OfRecord(|run| run.data.clone())),
    ("device", OfRecord(|run| run.adapter.clone())),
    ("interface", OfRecord(|run| run.backend.clone())),
    ("driver", OfRecord(|run| run.driver.clone())),
    ("version", OfRecord(|run| run.version.clone())),
    ("state", OfRun(|run| Some(run.record.as_ref().map_or_else(|| state(run), |_| "complete".to_owned())))),
    ("data_sha256", OfRecord(|run| run.data_sha256.clone())),
    ("subset_sha256", OfRecord(|run| run.subset_sha256.clone())),
    ("weights_sha256", OfRecord(|run| run.weights_sha256.clone())),
];

/// The table.
pub(super) fn headline(runs: &[History]) -> Markup {
    html! {
        table.headline {
            @if runs.len() > 1 {
                thead { tr { th {} @for run in runs { th.text scope="col" { (run.name) } } } }
            }
            tbody {
                @for (what, fact) in &ROWS {
                    tr {
                        th scope="row" { (what) }
                        @for run in runs {
                            @let text = fact.text(run).unwrap_or_else(|| NONE.to_owned());
                            td.text { @if what.ends_with("sha256") { code { (text) } } @else { (text) } }
                        }
                    }
                }
            }
        }
    }
}

/// How far a run has come that is not over.
pub(super) fn state(run: &History) -> String {
    let Some(last) = run.steps.last() else { return "in progress, no iteration recorded yet".to_owned() };
    format!(
        "in progress, {} iterations, cost so far {:.2} epochs, {:.1} s",
        run.steps.len(),
        last.cost_epochs,
        last.wall_seconds
    )
}

impl Fact {
    /// None where the run does not tell it, or not yet.
    fn text(&self, run: &History) -> Option<String> {
        match self {
            OfRecord(of) => run.record.as_ref().map(of),
            OfRun(of) => of(run),
        }
    }
}

fn accuracy(run: &History) -> Option<String> {
    match &run.record {
        Some(record) => Some(format!("{:.2}%", 100.0 * record.test_accuracy)),
        None => now(run).map(|found| format!("{:.2}% now", 100.0 * found.confusion.accuracy())),
    }
}

fn loss(run: &History) -> Option<String> {
    match &run.record {
        Some(record) => Some(format!("{:.4}", record.test_loss)),
        None => now(run).map(|found| format!("{:.4} now", found.loss)),
    }
}

/// What is found of a run now, on its own data.
fn now(run: &History) -> Option<&TestEvaluation> {
    run.evaluation.as_ref().ok().filter(|found| found.other_data.is_none())
}

fn cost(run: &History) -> Option<String> {
    match (&run.record, run.steps.last()) {
        (Some(record), _) => Some(format!("{:.3} epochs", record.cost_epochs)),
        (None, last) => last.map(|step| format!("{:.3} epochs so far", step.cost_epochs)),
    }
}

fn network(run: &History) -> Option<String> {
    match (&run.record, run.steps.last()) {
        (Some(record), _) => Some(format!("{:.3} epochs", record.network())),
        (None, last) => {
            last.map(|step| format!("{:.3} epochs so far", step.network_epochs.unwrap_or(step.cost_epochs)))
        }
    }
}

fn time(run: &History) -> Option<String> {
    match (&run.record, run.steps.last()) {
        (Some(record), _) => Some(format!("{:.2} s", record.wall_seconds)),
        (None, last) => last.map(|step| format!("{:.2} s so far", step.wall_seconds)),
    }
}

fn parameters(run: &History) -> Option<String> {
    let of_evaluation = || run.evaluation.as_ref().ok().map(|found| found.parameters);
    run.record.as_ref().map(|record| record.parameters).or_else(of_evaluation).map(|p| p.to_string())
}

fn screening(run: &History) -> Option<String> {
    let found = run.record.as_ref()?.screening.as_ref()?;
    let accuracy = 100.0 * found.accuracy;
    Some(match found.share {
        1.0 => format!("no help: a linear model classifies {accuracy:.1}%"),
        share => format!("{:.0}% of the examples an epoch; a linear model classifies {accuracy:.1}%", 100.0 * share),
    })
}
