//! What the weights of a run make of the test set, and that part of the page.

use super::class_table::{ClassExample, class_table, first_of_each};
use super::labelled::Labelled;
use super::picture::{data_uri, example_png};
use crate::error::Result;
use crate::run::{Confusion, Metrics, Mistake, mean_cross_entropy, worst_mistakes};
use maud::{Markup, html};

/// Mistakes shown.
const WORST: usize = 24;
/// Classes up to which the confusion matrix is a table of numbers.
const MOST_IN_TABLE: usize = 20;
/// Pairs listed beside a matrix without numbers.
const PAIRS: usize = 20;

/// The test set as a network sees it.
#[derive(Clone, Debug)]
pub struct TestEvaluation {
    /// Which weights.
    pub weights: String,
    /// The data, where they are not those of the run.
    pub other_data: Option<String>,
    /// P
    pub parameters: usize,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Mean cross entropy.
    pub loss: f64,
    /// What was taken for what.
    pub confusion: Confusion,
    /// How well each class is told from the others.
    pub metrics: Metrics,
    /// The first examples of each class.
    pub examples: Vec<Vec<ClassExample>>,
    /// The worst mistakes, the worst first.
    pub worst: Vec<Worst>,
}

/// A mistake to look at.
#[derive(Clone, Debug)]
pub struct Worst {
    /// Which.
    pub mistake: Mistake,
    /// The image.
    pub png: Vec<u8>,
}

impl TestEvaluation {
    /// From the logits `[N][M]` of a test set.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io) when an image cannot be encoded.
    pub fn new(
        weights: String,
        parameters: usize,
        classes: &[String],
        logits: &[f32],
        test: Labelled<'_>,
    ) -> Result<Self> {
        let range = test.images.shades();
        let worst = worst_mistakes(logits, test.labels, classes.len(), WORST)
            .into_iter()
            .map(|mistake| Ok(Worst { mistake, png: example_png(test.image(mistake.example), test.shape, range)? }));
        let confusion = Confusion::new(logits, test.labels, classes.len());
        Ok(Self {
            weights,
            other_data: None,
            parameters,
            classes: classes.to_vec(),
            loss: mean_cross_entropy(logits, test.labels, classes.len()),
            metrics: Metrics::new(logits, test.labels, classes, &confusion),
            examples: first_of_each(logits, test, classes.len(), range)?,
            confusion,
            worst: worst.collect::<Result<_>>()?,
        })
    }

    /// The metrics of all and of each class, the confusion matrix, and the worst mistakes.
    pub(super) fn section(&self) -> Result<Markup> {
        let matrix = if self.classes.len() <= MOST_IN_TABLE { self.table() } else { self.grid()? };
        Ok(html! {
            p {
                (format!(
                    "{:.2}% of {} test examples, cross entropy {:.4}; ",
                    100.0 * self.confusion.accuracy(),
                    self.confusion.total(),
                    self.loss
                ))
                "weights: " (self.weights) "."
                @if let Some(data) = &self.other_data {
                    " " strong { "Other data than the run was made on: " (data) "." }
                }
            }
            p {
                (format!(
                    "Balanced accuracy {}, top-5 accuracy {}, calibration error {:.4}.",
                    percent(self.metrics.balanced_accuracy),
                    percent(self.metrics.top_5_accuracy),
                    self.metrics.calibration_error
                ))
            }
            h4 { "Classes" }
            (class_table(&self.metrics, &self.examples))
            h4 { "Confusion matrix" }
            (matrix)
            h4 { "Worst mistakes" }
            @if self.worst.is_empty() {
                p { "None: every test example is classified right." }
            } @else {
                p.note {
                    "The misclassified test examples of the highest cross entropy: "
                    "what they are → what they were taken for."
                }
                div.mistakes {
                    @for Worst { mistake, png } in &self.worst {
                        figure {
                            img src=(data_uri(png)) alt={ "test example " (mistake.example) };
                            figcaption {
                                (self.classes[mistake.label]) " → " (self.classes[mistake.predicted]) br;
                                (format!("loss {:.2}, № {}", mistake.loss, mistake.example))
                            }
                        }
                    }
                }
            }
        })
    }

    fn table(&self) -> Markup {
        let classes = 0..self.classes.len();
        html! {
            p.note { "Rows are classes, columns what their examples were taken for; shades are shares of a row." }
            div.wide {
                table.matrix {
                    thead { tr {
                        th {}
                        @for class in &self.classes { th scope="col" { span { (class) } } }
                        th scope="col" { "accuracy" }
                    } }
                    tbody {
                        @for label in classes.clone() {
                            tr {
                                th scope="row" { (self.classes[label]) }
                                @for other in classes.clone() {
                                    td style=[self.shade(label, other)] { (self.confusion.count(label, other)) }
                                }
                                td { (percent(self.confusion.share(label, label))) }
                            }
                        }
                    }
                }
            }
        }
    }

    /// The colour of a cell: blue on the diagonal, red and by its root beside it, where shares are small.
    fn shade(&self, label: usize, other: usize) -> Option<String> {
        let [r, g, b, alpha] = self.rgba(label, other);
        (alpha > 0).then(|| format!("background:rgba({r},{g},{b},{:.2})", f64::from(alpha) / 255.0))
    }

    fn rgba(&self, label: usize, other: usize) -> [u8; 4] {
        let share = self.confusion.share(label, other);
        let alpha = |share: f64| (255.0 * share).round() as u8;
        if label == other { [59, 130, 196, alpha(0.75 * share)] } else { [220, 60, 70, alpha(share.sqrt())] }
    }

    /// An image of the matrix, a pixel a cell, with what is worth naming beside it.
    fn grid(&self) -> Result<Markup> {
        let classes = self.classes.len();
        let pixels: Vec<u8> =
            (0..classes * classes).flat_map(|cell| self.rgba(cell / classes, cell % classes)).collect();
        let image = data_uri(&super::picture::png(&pixels, classes, classes, ::image::ExtendedColorType::Rgba8)?);
        Ok(html! {
            p.note { "Rows are classes in their order, from the top; columns what their examples were taken for." }
            img.grid src=(image) alt="confusion matrix";
            h4 { "Most confused" }
            ul.columns {
                @for (a, b) in self.confusion.most_confused(PAIRS) {
                    li {
                        (self.classes[a]) " → " (self.classes[b]) ": "
                        (self.confusion.count(a, b)) " of " (self.confusion.examples(a))
                    }
                }
            }
        })
    }
}

pub(super) fn percent(share: f64) -> String {
    format!("{:.1}%", 100.0 * share)
}
