//! The page about some runs: one file, without a script and without anything from elsewhere. `maud` escapes what is put
//! in.

use super::chart::Chart;
use super::headline::{NONE, headline, state};
use super::history::History;
use super::sentence::{percent, sentence};
use crate::error::Result;
use crate::subset::StageReport;
use maud::{DOCTYPE, Markup, PreEscaped, html};

/// What marks a page as ours.
const GENERATOR: &str = concat!("gpu-subset ", env!("CARGO_PKG_VERSION"));

const STYLE: &str = include_str!("page.css");

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
                    @if let Some(sentence) = sentence(runs) { p.lead { (sentence) } }
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

fn figure(chart: &Chart) -> Result<Markup> {
    Ok(html! {
        figure aria-label=(chart.title) {
            (PreEscaped(chart.inline_svg()?))
            figcaption { (chart.caption) }
        }
    })
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
            @if let Some(network) = &run.network {
                h3 { "Network" }
                (network.svg())
            }
            h3 { "Configuration" }
            pre { (run.config) }
        }
    })
}

/// A quantity of a stage, as text.
type OfStage = fn(&StageReport) -> String;

const QUANTITIES: [(&str, OfStage); 13] = [
    ("K, examples", |stage| stage.examples.to_string()),
    ("Q = K·M/P", |stage| format!("{:.2}", stage.overdetermination)),
    ("iterations", |stage| stage.iterations.to_string()),
    ("passes over them", |stage| format!("{:.2}", stage.passes)),
    ("loss, weight decay included", |stage| number(Some(stage.loss))),
    ("cross entropy", |stage| number(stage.cross_entropy)),
    ("… of the training set", |stage| number(stage.train_loss)),
    ("… of the held-out examples", |stage| number(stage.held_out.map(|found| found.loss))),
    ("… of the test set", |stage| number(stage.test_loss)),
    ("held-out accuracy", |stage| stage.held_out.map_or(NONE.to_owned(), |found| percent(found.accuracy))),
    ("test accuracy", |stage| percent(stage.test_accuracy)),
    ("‖∇f‖, of its start", |stage| format!("{:.2e}", stage.gradient_reduction)),
    ("ended because", |stage| stage.stopped.clone()),
];

fn number(x: Option<f64>) -> String {
    x.filter(|x| x.is_finite()).map_or(NONE.to_owned(), |x| format!("{x:.4}"))
}

/// A quantity a row, a stage a column.
fn stages(stages: &[StageReport]) -> Markup {
    html! {
        table.stages {
            thead { tr { th {} @for stage in stages { th scope="col" { (stage.stage) } } } }
            tbody {
                @for (what, of) in &QUANTITIES {
                    tr {
                        th scope="row" { (what) }
                        @for stage in stages { td { (of(stage)) } }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{NetworkDrawing, TestEvaluation, Worst, charts};
    use super::*;
    use crate::model::{Description, Model};
    use crate::run::{Confusion, Metrics, worst_mistakes};
    use crate::shape::Shape;

    const HOSTILE: &str = "</pre><script>alert('1')</script> & \"<b>\"";

    fn history(classes: usize, predicted: impl Fn(usize) -> usize) -> History {
        let logits: Vec<f32> = (0..classes)
            .flat_map(|n| (0..classes).map(move |m| (n, m)))
            .map(|(n, m)| f32::from(u8::from(predicted(n) == m)))
            .collect();
        let labels: Vec<u32> = (0..classes as u32).collect();
        let worst = worst_mistakes(&logits, &labels, classes, 3);
        let names: Vec<String> = (0..classes).map(|class| format!("{HOSTILE} {class}")).collect();
        let confusion = Confusion::new(&logits, &labels, classes);
        let evaluation = Ok(TestEvaluation {
            weights: HOSTILE.to_owned(),
            other_data: Some(HOSTILE.to_owned()),
            parameters: 1,
            metrics: Metrics::new(&logits, &labels, &names, &confusion),
            examples: vec![Vec::new(); classes],
            classes: names,
            loss: f64::NAN,
            confusion,
            worst: worst.into_iter().map(|mistake| Worst { mistake, png: vec![1, 2, 3] }).collect(),
        });
        let (name, config) = (HOSTILE.to_owned(), format!("data = {HOSTILE:?}"));
        let model = Model::new(&Description::linear(1), Shape::new(1, 2, 2), 3).unwrap();
        let network = Some(NetworkDrawing::new(&model));
        History { name, config, record: None, steps: Vec::new(), stages: Vec::new(), network, evaluation }
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
