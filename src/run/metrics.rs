//! What a confusion matrix and confidences come to, class by class and over all.

use super::likely::likeliest;
use super::predictions::Confusion;
use serde::{Deserialize, Serialize};

/// Bins of equal width that confidences fall into for the calibration error.
const BINS: usize = 15;

/// A guess counts here if the class is among so many.
const TOP: usize = 5;

/// How well one class is told from the others. What would be a share of nothing is null.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassMetrics {
    /// Its name.
    pub class: String,
    /// Examples of it.
    pub support: usize,
    /// Of the examples taken for it, the share that are of it.
    pub precision: Option<f64>,
    /// Of its examples, the share taken for it.
    pub recall: Option<f64>,
    /// The harmonic mean of the two: 2·hits / (support + taken for it).
    pub f1: Option<f64>,
}

/// How well all classes are told apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Mean recall of the classes that have examples.
    pub balanced_accuracy: f64,
    /// Share of examples whose class is among the five likeliest.
    pub top_5_accuracy: f64,
    /// Expected calibration error (Naeini, Cooper, Hauskrecht 2015): mean distance of confidence and accuracy over 15
    /// bins of equal width, weighted by their examples.
    pub calibration_error: f64,
    /// Of each class.
    pub classes: Vec<ClassMetrics>,
}

impl Metrics {
    /// Of examples with these logits `[N][M]`, labels `[N]` and confusion matrix.
    pub fn new(logits: &[f32], labels: &[u32], names: &[String], confusion: &Confusion) -> Self {
        let share = |hits: usize, all: usize| (all > 0).then(|| hits as f64 / all as f64);
        let of_class = |(class, name): (usize, &String)| {
            let (hits, support) = (confusion.count(class, class), confusion.examples(class));
            let taken = (0..confusion.classes).map(|label| confusion.count(label, class)).sum();
            ClassMetrics {
                class: name.clone(),
                support,
                precision: share(hits, taken),
                recall: share(hits, support),
                f1: share(2 * hits, support + taken),
            }
        };
        let classes: Vec<_> = names.iter().enumerate().map(of_class).collect();
        let recalls: Vec<f64> = classes.iter().filter_map(|class| class.recall).collect();
        let mut bins = [Bin::default(); BINS];
        let mut among_top = 0;
        for (row, &label) in logits.chunks_exact(names.len().max(1)).zip(labels) {
            let likely = likeliest(row, TOP);
            among_top += usize::from(likely.iter().any(|likely| likely.class == label as usize));
            // a bin holds its upper end; what is not finite is not sure of anything
            let confidence = Some(likely[0].confidence).filter(|confidence| confidence.is_finite()).unwrap_or(0.0);
            let bin = (confidence * BINS as f64).ceil() as usize;
            bins[bin.clamp(1, BINS) - 1].add(confidence, likely[0].class == label as usize);
        }
        let examples = labels.len().max(1) as f64;
        Self {
            balanced_accuracy: recalls.iter().sum::<f64>() / recalls.len().max(1) as f64,
            top_5_accuracy: among_top as f64 / examples,
            calibration_error: bins.iter().map(|bin| (bin.confidence - bin.hits).abs()).sum::<f64>() / examples,
            classes,
        }
    }
}

/// Sums over the examples of a bin: |Σ confidence − hits| is its number of examples times the distance of the means.
#[derive(Clone, Copy, Default)]
struct Bin {
    confidence: f64,
    hits: f64,
}

impl Bin {
    fn add(&mut self, confidence: f64, is_hit: bool) {
        self.confidence += confidence;
        self.hits += f64::from(u8::from(is_hit));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_those_of_the_formulas() {
        // two sure hits of class a, one of b taken for a at even odds, none of c
        let logits = [50.0, 0.0, 0.0, 50.0, 0.0, 0.0, 1.0, 1.0, -90.0];
        let labels = [0, 0, 1];
        let names = ["a", "b", "c"].map(str::to_owned);
        let confusion = Confusion::new(&logits, &labels, 3);
        let Metrics { balanced_accuracy, top_5_accuracy, calibration_error, classes } =
            Metrics::new(&logits, &labels, &names, &confusion);
        assert_eq!((balanced_accuracy, top_5_accuracy), (0.5, 1.0));
        assert!((calibration_error - 0.5 / 3.0).abs() < 1e-9, "{calibration_error}");
        let of = |class: &ClassMetrics| (class.support, class.precision, class.recall, class.f1);
        assert_eq!(of(&classes[0]), (2, Some(2.0 / 3.0), Some(1.0), Some(0.8)));
        assert_eq!(of(&classes[1]), (1, None, Some(0.0), Some(0.0)));
        assert_eq!(of(&classes[2]), (0, None, None, None));
    }
}
