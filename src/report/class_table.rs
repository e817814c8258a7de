//! The classes of a test set: how well each is told from the others, with a few of its examples.

use super::labelled::Labelled;
use super::picture::{data_uri, thumbnail_png};
use crate::error::Result;
use crate::run::{ClassMetrics, Metrics, likeliest};
use maud::{Markup, html};

/// Examples of a class, at most.
const EACH: usize = 6;
/// Examples of all classes, at most, if each has one.
const ALL: usize = 240;
/// Pixels of their longer side, at most.
const SIDE: usize = 64;
/// Classes up to which the table is shown as it is; a longer one scrolls.
const MOST_IN_SIGHT: usize = 20;

/// An example of a class to look at.
#[derive(Clone, Debug)]
pub struct ClassExample {
    /// Its position in the split.
    pub example: usize,
    /// What it was taken for.
    pub predicted: usize,
    /// The image.
    pub png: Vec<u8>,
}

/// The first examples of each class, with what logits `[N][M]` take them for. `range` is of the values from black to
/// white.
pub(super) fn first_of_each(
    logits: &[f32],
    test: Labelled<'_>,
    classes: usize,
    range: (f64, f64),
) -> Result<Vec<Vec<ClassExample>>> {
    let each = (ALL / classes.max(1)).clamp(1, EACH);
    let mut found: Vec<Vec<ClassExample>> = vec![Vec::new(); classes];
    for (example, (row, &label)) in logits.chunks_exact(classes).zip(test.labels).enumerate() {
        let of_class = &mut found[label as usize];
        if of_class.len() < each {
            let png = thumbnail_png(test.image(example), test.shape, range, SIDE)?;
            of_class.push(ClassExample { example, predicted: likeliest(row, 1)[0].class, png });
        }
    }
    Ok(found)
}

/// A class a row.
pub(super) fn class_table(metrics: &Metrics, examples: &[Vec<ClassExample>]) -> Markup {
    let classes = &metrics.classes;
    html! {
        p.note {
            "Precision: of what is taken for the class, the share that is of it. Recall: of the class, the share taken "
            "for it. F1: their harmonic mean. Beside them the first test examples of the class; those that are taken "
            "for another have a frame."
        }
        div.wide.tall[classes.len() > MOST_IN_SIGHT] {
            table.classes {
                thead { tr {
                    @for head in ["class", "examples", "precision", "recall", "F1"] { th scope="col" { (head) } }
                    th.text scope="col" { "the first of them" }
                } }
                tbody { @for (class, examples) in classes.iter().zip(examples) { (row(class, examples, classes)) } }
            }
        }
    }
}

fn row(class: &ClassMetrics, examples: &[ClassExample], classes: &[ClassMetrics]) -> Markup {
    let share = |share: Option<f64>| share.map_or("–".to_owned(), |share| format!("{share:.3}"));
    let shown = |found: &ClassExample| {
        let taken_for = &classes[found.predicted].class;
        let is_wrong = *taken_for != class.class;
        let told = if is_wrong { format!(", taken for {taken_for}") } else { String::new() };
        (is_wrong, format!("№ {}{told}", found.example))
    };
    html! {
        tr {
            th scope="row" { (class.class) }
            td { (class.support) }
            td { (share(class.precision)) }
            td { (share(class.recall)) }
            td { (share(class.f1)) }
            td.examples {
                @for found in examples {
                    @let (is_wrong, told) = shown(found);
                    img.wrong[is_wrong] src=(data_uri(&found.png)) alt=(told) title=(told);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Confusion;
    use crate::shape::Shape;

    #[test]
    fn a_class_has_its_first_examples_and_a_frame_around_mistakes() {
        let labels: Vec<u32> = (0..20).map(|i| u32::from(i % 2 == 1)).collect();
        // example 2 alone is taken for the other class
        let logits: Vec<f32> =
            (0..20).flat_map(|i| if (i % 2 == 1) != (i == 2) { [0.0, 1.0] } else { [1.0, 0.0] }).collect();
        let images = vec![7; 20 * 4];
        let test = Labelled { shape: Shape::new(1, 2, 2), images: (&images).into(), labels: &labels };
        let examples = first_of_each(&logits, test, 2, (0.0, 255.0)).unwrap();
        assert_eq!(examples[0].iter().map(|found| found.example).collect::<Vec<_>>(), [0, 2, 4, 6, 8, 10]);
        assert_eq!((examples[0][1].predicted, examples[1].len()), (1, EACH));
        let names = ["a", "<b>"].map(str::to_owned);
        let metrics = Metrics::new(&logits, &labels, &names, &Confusion::new(&logits, &labels, 2));
        let text = class_table(&metrics, &examples).into_string();
        assert_eq!((text.matches("<img").count(), text.matches("class=\"wrong\"").count()), (2 * EACH, 1), "{text}");
        assert!(text.contains("title=\"№ 2, taken for &lt;b&gt;\"") && !text.contains("<b>"), "{text}");
        assert!(text.contains("<td>0.900</td>"), "recall of nine in ten: {text}");
    }

    #[test]
    fn many_classes_have_one_example_each() {
        let classes = 300;
        let logits = vec![0.0; 2 * classes * classes];
        let labels: Vec<u32> = (0..2 * classes as u32).map(|i| i % classes as u32).collect();
        let images = vec![7; 2 * classes * 100 * 100];
        let test = Labelled { shape: Shape::new(1, 100, 100), images: (&images).into(), labels: &labels };
        let examples = first_of_each(&logits, test, classes, (0.0, 255.0)).unwrap();
        assert!(examples.iter().all(|of_class| of_class.len() == 1));
        let png = image::load_from_memory(&examples[0][0].png).unwrap();
        assert_eq!((png.width(), png.height()), (64, 64), "made smaller");
    }
}
