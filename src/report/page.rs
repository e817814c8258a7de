//! The page about some runs: one file, without a script and without anything from elsewhere. `maud` escapes what is put
//! in.

use super::chart::Chart;
use super::evaluation::TestEvaluation;
use super::history::History;
use crate::error::Result;
use crate::run::RunRecord;
use crate::subset::StageReport;
use maud::{DOCTYPE, Markup, PreEscaped, html};

/// What marks a page as ours.
const GENERATOR: &str = concat!("gpu-subset ", env!("CARGO_PKG_VERSION"));

const STYLE: &str = include_str!("page.css");
const NONE: &str = "–";

/// Whether a file is such a page, of whatever version.
pub fn is_page(bytes: &[u8]) -> bool {
    let program = GENERATOR.split(' ').next().unwrap_or(GENERATOR);
    String::from_utf8_lossy(bytes).contains(&format!("content=\"{program} "))
}

/// The page as HTML.
///
/// # Errors
/// [`Error::Io`](crate::error::Error::Io) when a chart cannot be drawn.
pub fn page(runs: &[History], charts: &[Chart]) -> Result<String> {
    let title = match runs {
        [run] => run.name.clone(),
        _ => format!("{} runs", runs.len()),
    };
    let figures = charts.iter().filter(|chart| !chart.is_empty()).map(figure).collect::<Result<Vec<_>>>()?;
    let about = runs.iter().map(about).collect::<Result<Vec<_>>>()?;
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="generator" content=(GENERATOR);
                title { (title) " · gpu-subset" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { (title) }
                    @for run in runs.iter().filter(|run| run.record.is_none()) {
                        p { strong { @if runs.len() > 1 { (run.name) ": " } (state(run)) } }
                    }
                }
                main {
                    div.wide { (headline(runs)) }
                    h2 { "Curves" }
                    @if figures.is_empty() { p { "No step is recorded yet." } }
                    div.charts { @for figure in &figures { (figure) } }
                    @for about in &about { (about) }
                }
                footer { p { "Made by " (GENERATOR) ". The charts are in plots/ too, as SVG and PNG." } }
            }
        }
    };
    Ok(page.into_string())
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

fn figure(chart: &Chart) -> Result<Markup> {
    Ok(html! {
        figure aria-label=(chart.title) {
            (PreEscaped(chart.inline_svg()?))
            figcaption { (chart.caption) }
        }
    })
}

/// What is found of a run now, on its own data.
fn now(run: &History) -> Option<&TestEvaluation> {
    run.evaluation.as_ref().ok().filter(|found| found.other_data.is_none())
}

/// A quantity a row, a run a column.
fn headline(runs: &[History]) -> Markup {
    let of_record = |of: fn(&RunRecord) -> String| move |run: &History| run.record.as_ref().map(of);
    let cost = |run: &History| match (&run.record, run.steps.last()) {
        (Some(record), _) => Some(format!("{:.3} epochs", record.cost_epochs)),
        (None, last) => last.map(|step| format!("{:.3} epochs so far", step.cost_epochs)),
    };
    let time = |run: &History| match (&run.record, run.steps.last()) {
        (Some(record), _) => Some(format!("{:.2} s", record.wall_seconds)),
        (None, last) => last.map(|step| format!("{:.2} s so far", step.wall_seconds)),
    };
    let accuracy = |run: &History| match &run.record {
        Some(record) => Some(format!("{:.2}%", 100.0 * record.test_accuracy)),
        None => now(run).map(|found| format!("{:.2}% now", 100.0 * found.confusion.accuracy())),
    };
    let loss = |run: &History| match &run.record {
        Some(record) => Some(format!("{:.4}", record.test_loss)),
        None => now(run).map(|found| format!("{:.4} now", found.loss)),
    };
    let parameters = |run: &History| {
        let of_evaluation = || run.evaluation.as_ref().ok().map(|found| found.parameters);
        run.record.as_ref().map(|record| record.parameters).or_else(of_evaluation).map(|p| p.to_string())
    };
    let screening = |run: &History| {
        let found = run.record.as_ref()?.screening.as_ref()?;
        let accuracy = 100.0 * found.accuracy;
        Some(match found.share {
            1.0 => format!("no help: a linear model classifies {accuracy:.1}%"),
            share => {
                format!("{:.0}% of the examples an epoch; a linear model classifies {accuracy:.1}%", 100.0 * share)
            }
        })
    };
    type Cell<'a> = Box<dyn Fn(&History) -> Option<String> + 'a>;
    let rows: [(&str, Cell<'_>); 22] = [
        ("test accuracy", Box::new(accuracy)),
        ("test loss (cross entropy)", Box::new(loss)),
        ("training loss (cross entropy)", Box::new(of_record(|run| format!("{:.4}", run.train_loss)))),
        ("cost", Box::new(cost)),
        ("reported besides", Box::new(of_record(|run| format!("{:.2} epochs", run.reporting_epochs)))),
        ("wall time", Box::new(time)),
        ("model", Box::new(of_record(|run| run.model.clone()))),
        ("P, parameters", Box::new(parameters)),
        ("K, examples of the subset", Box::new(of_record(|run| run.subset_examples.to_string()))),
        ("Q = K·M/P", Box::new(of_record(|run| format!("{:.2}", run.overdetermination)))),
        ("screening", Box::new(screening)),
        ("seed", Box::new(of_record(|run| run.seed.to_string()))),
        ("weights kept", Box::new(of_record(|run| run.weights.clone()))),
        ("data", Box::new(of_record(|run| run.data.clone()))),
        ("device", Box::new(of_record(|run| run.adapter.clone()))),
        ("interface", Box::new(of_record(|run| run.backend.clone()))),
        ("driver", Box::new(of_record(|run| run.driver.clone()))),
        ("version", Box::new(of_record(|run| run.version.clone()))),
        ("state", Box::new(|run| Some(run.record.as_ref().map_or_else(|| state(run), |_| "complete".to_owned())))),
        ("data_sha256", Box::new(of_record(|run| run.data_sha256.clone()))),
        ("subset_sha256", Box::new(of_record(|run| run.subset_sha256.clone()))),
        ("weights_sha256", Box::new(of_record(|run| run.weights_sha256.clone()))),
    ];
    html! {
        table.headline {
            @if runs.len() > 1 {
                thead { tr { th {} @for run in runs { th.text scope="col" { (run.name) } } } }
            }
            tbody {
                @for (what, of) in &rows {
                    tr {
                        th scope="row" { (what) }
                        @for run in runs {
                            @let text = of(run).unwrap_or_else(|| NONE.to_owned());
                            td.text { @if what.ends_with("sha256") { code { (text) } } @else { (text) } }
                        }
                    }
                }
            }
        }
    }
}

/// Stages, test set and configuration of one run.
fn about(run: &History) -> Result<Markup> {
    let evaluation = match &run.evaluation {
        Ok(found) => found.section()?,
        Err(why) => html! { p { "No evaluation: " (why) "." } },
    };
    Ok(html! {
        section {
            h2 { (run.name) }
            h3 { "Stages" }
            @if run.stages.is_empty() { p { "No stage has ended yet." } } @else { div.wide { (stages(&run.stages)) } }
            h3 { "Test set" }
            (evaluation)
            h3 { "Configuration" }
            pre { (run.config) }
        }
    })
}

fn stages(stages: &[StageReport]) -> Markup {
    let number = |x: Option<f64>| x.filter(|x| x.is_finite()).map_or(NONE.to_owned(), |x| format!("{x:.4}"));
    let percent = |share: f64| format!("{:.2}%", 100.0 * share);
    html! {
        table {
            thead { tr {
                @for head in [
                    "stage", "K", "Q", "iterations", "passes", "loss, λ included", "cross entropy", "training set",
                    "held-out", "test set",
                    "held-out accuracy", "test accuracy", "‖∇f‖, of its start", "ended because",
                ] { th scope="col" { (head) } }
            } }
            tbody {
                @for stage in stages {
                    tr {
                        th scope="row" { (stage.stage) }
                        td { (stage.examples) }
                        td { (format!("{:.2}", stage.overdetermination)) }
                        td { (stage.iterations) }
                        td { (format!("{:.2}", stage.passes)) }
                        td { (number(Some(stage.loss))) }
                        td { (number(stage.cross_entropy)) }
                        td { (number(stage.train_loss)) }
                        td { (number(stage.held_out.map(|found| found.loss))) }
                        td { (number(stage.test_loss)) }
                        td { (stage.held_out.map_or(NONE.to_owned(), |found| percent(found.accuracy))) }
                        td { (percent(stage.test_accuracy)) }
                        td { (format!("{:.2e}", stage.gradient_reduction)) }
                        td.text { (stage.stopped) }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Confusion, Worst, charts, worst_mistakes};
    use super::*;

    const HOSTILE: &str = "</pre><script>alert('1')</script> & \"<b>\"";

    fn history(classes: usize, predicted: impl Fn(usize) -> usize) -> History {
        let logits: Vec<f32> = (0..classes)
            .flat_map(|n| (0..classes).map(move |m| (n, m)))
            .map(|(n, m)| f32::from(u8::from(predicted(n) == m)))
            .collect();
        let labels: Vec<u32> = (0..classes as u32).collect();
        let worst = worst_mistakes(&logits, &labels, classes, 3);
        let evaluation = Ok(TestEvaluation {
            weights: HOSTILE.to_owned(),
            other_data: Some(HOSTILE.to_owned()),
            parameters: 1,
            classes: (0..classes).map(|class| format!("{HOSTILE} {class}")).collect(),
            loss: f64::NAN,
            confusion: Confusion::new(&logits, &labels, classes),
            worst: worst.into_iter().map(|mistake| Worst { mistake, png: vec![1, 2, 3] }).collect(),
        });
        let (name, config) = (HOSTILE.to_owned(), format!("data = {HOSTILE:?}"));
        History { name, config, record: None, steps: Vec::new(), stages: Vec::new(), evaluation }
    }

    #[test]
    fn what_users_name_is_escaped_everywhere() {
        for classes in [3, 30] {
            let mut failed = history(classes, |n| n);
            failed.evaluation = Err(HOSTILE.to_owned());
            let runs = [history(classes, |n| (n + 1) % classes), failed];
            let html = page(&runs, &charts(&runs)).unwrap();
            assert!(!html.contains("<script") && !html.contains("<b>") && html.contains("&lt;script&gt;"), "{html}");
            assert_eq!(html.matches("</pre>").count(), 2);
            assert!(html.contains("No evaluation") && html.contains("in progress, no iteration recorded yet"));
        }
    }

    #[test]
    fn a_matrix_is_a_table_up_to_twenty_classes_and_an_image_beyond() {
        let few = page(&[history(20, |n| n)], &[]).unwrap();
        assert!(few.contains("<table class=\"matrix\">") && few.contains("every test example is classified right"));
        let many = page(&[history(21, |_| 0)], &[]).unwrap();
        assert!(
            !many.contains("<table class=\"matrix\">")
                && many.contains("<img class=\"grid\" src=\"data:image/png;base64,")
        );
        assert!(many.contains(": 1 of 1") && many.contains("alt=\"test example 1\""));
    }
}
