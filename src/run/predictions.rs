//! What a network makes of labelled examples: the confusion matrix and the worst mistakes.

use std::cmp::Reverse;

/// How often each class was taken for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confusion {
    /// M
    pub classes: usize,
    /// Examples of a class (row) predicted as a class (column), `[M][M]`.
    pub counts: Vec<usize>,
}

/// An example that was misclassified.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mistake {
    /// Its position in the split.
    pub example: usize,
    /// Its class.
    pub label: usize,
    /// What it was taken for.
    pub predicted: usize,
    /// Its cross entropy; NaN where a logit was not finite.
    pub loss: f64,
}

/// The first of the largest logits, as the kernel that counts hits has it; 0 where none is a number.
fn predicted(logits: &[f32]) -> usize {
    let mut best = 0;
    for (class, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = class;
        }
    }
    best
}

/// ln Σ eᶻ − z of the label.
fn cross_entropy(logits: &[f32], label: usize) -> f64 {
    let logits = logits.iter().map(|&z| f64::from(z));
    let largest = logits.clone().fold(f64::NEG_INFINITY, f64::max);
    let label = logits.clone().nth(label).unwrap_or(f64::NAN);
    logits.map(|z| (z - largest).exp()).sum::<f64>().ln() + largest - label
}

/// Mean cross entropy of examples with these logits `[N][M]` and labels `[N]`.
pub fn mean_cross_entropy(logits: &[f32], labels: &[u32], classes: usize) -> f64 {
    let rows = logits.chunks_exact(classes).zip(labels);
    rows.map(|(row, &label)| cross_entropy(row, label as usize)).sum::<f64>() / labels.len().max(1) as f64
}

impl Confusion {
    /// Of examples with these logits `[N][M]` and labels `[N]`.
    pub fn new(logits: &[f32], labels: &[u32], classes: usize) -> Self {
        let mut counts = vec![0; classes * classes];
        for (row, &label) in logits.chunks_exact(classes).zip(labels) {
            counts[label as usize * classes + predicted(row)] += 1;
        }
        Self { classes, counts }
    }

    /// Examples of `label` predicted as `predicted`.
    pub fn count(&self, label: usize, predicted: usize) -> usize {
        self.counts[label * self.classes + predicted]
    }

    /// Examples of a class.
    pub fn examples(&self, label: usize) -> usize {
        self.counts[label * self.classes..(label + 1) * self.classes].iter().sum()
    }

    /// Share of the examples of `label` that are predicted as `predicted`; 0 where there is none.
    pub fn share(&self, label: usize, predicted: usize) -> f64 {
        self.count(label, predicted) as f64 / self.examples(label).max(1) as f64
    }

    /// N
    pub fn total(&self) -> usize {
        self.counts.iter().sum()
    }

    /// Share of all examples classified right.
    pub fn accuracy(&self) -> f64 {
        let hits: usize = (0..self.classes).map(|class| self.count(class, class)).sum();
        hits as f64 / self.total().max(1) as f64
    }

    /// The pairs (class, taken for) that are confused most often, at most so many.
    pub fn most_confused(&self, most: usize) -> Vec<(usize, usize)> {
        let all = (0..self.classes).flat_map(|label| (0..self.classes).map(move |other| (label, other)));
        let mut pairs: Vec<_> = all.filter(|&(a, b)| a != b && self.count(a, b) > 0).collect();
        pairs.sort_by_key(|&(a, b)| Reverse(self.count(a, b)));
        pairs.truncate(most);
        pairs
    }
}

/// The misclassified examples of the highest loss, at most so many, the worst first.
pub fn worst_mistakes(logits: &[f32], labels: &[u32], classes: usize, most: usize) -> Vec<Mistake> {
    let rows = logits.chunks_exact(classes).zip(labels).enumerate();
    let mistake = |(example, (row, &label)): (usize, (&[f32], &u32))| {
        let (label, predicted) = (label as usize, predicted(row));
        Mistake { example, label, predicted, loss: cross_entropy(row, label) }
    };
    let mut mistakes: Vec<_> = rows.map(mistake).filter(|mistake| mistake.label != mistake.predicted).collect();
    mistakes.sort_by(|a, b| b.loss.total_cmp(&a.loss));
    mistakes.truncate(most);
    mistakes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four examples of three classes: a hit, a tie that the first class wins, a bad and a worse mistake.
    const LOGITS: [f32; 12] = [3.0, 1.0, 0.0, 2.0, 2.0, 0.0, 4.0, 0.0, 0.0, 0.0, 0.0, 9.0];
    const LABELS: [u32; 4] = [0, 1, 2, 1];

    #[test]
    fn a_confusion_matrix_counts_what_was_taken_for_what() {
        let confusion = Confusion::new(&LOGITS, &LABELS, 3);
        assert_eq!(confusion.counts, [1, 0, 0, 1, 0, 1, 1, 0, 0]);
        assert_eq!((confusion.examples(1), confusion.share(1, 2), confusion.accuracy()), (2, 0.5, 0.25));
        assert_eq!(confusion.most_confused(2), [(1, 0), (1, 2)]);
        let none = Confusion::new(&[], &[], 3);
        assert_eq!((none.accuracy(), none.share(0, 0), none.most_confused(5)), (0.0, 0.0, vec![]));
    }

    #[test]
    fn mistakes_come_worst_first_and_without_a_number_before_all() {
        let mistakes = worst_mistakes(&LOGITS, &LABELS, 3, 2);
        assert_eq!(mistakes.iter().map(|m| m.example).collect::<Vec<_>>(), [3, 2]);
        assert!((mistakes[1].loss - (4f64.exp() + 2.0).ln()).abs() < 1e-12);
        assert_eq!((mistakes[0].label, mistakes[0].predicted), (1, 2));
        let not_finite = worst_mistakes(&[f32::NAN; 3], &[1], 3, 2);
        assert!(not_finite.len() == 1 && not_finite[0].loss.is_nan() && not_finite[0].predicted == 0);
    }
}
