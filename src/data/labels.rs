//! Classes of files that store numbers for labels.

/// Labels beyond this are something else: each up to the largest is a class.
pub(super) const MOST_LABEL: u32 = (1 << 16) - 1;

/// The classes of such a set: the labels from the first to the last.
///
/// The classes are the labels from 0 to the largest in the training part. If the smallest is 1, as in EMNIST letters,
/// they are counted from there, and each class keeps its label as its name.
#[derive(Clone, Copy)]
pub(super) struct NumberedClasses {
    pub(super) first: u32,
    pub(super) last: u32,
}

impl NumberedClasses {
    /// Of the labels of a training part.
    pub(super) fn of_training(labels: &[u32]) -> Self {
        let first = u32::from(labels.iter().min() == Some(&1));
        Self { first, last: labels.iter().copied().max().unwrap_or(0) }
    }

    /// Of a test part alone: from the smallest to the largest that is there.
    pub(super) fn of_test(labels: &[u32]) -> Self {
        let [first, last] = [labels.iter().min(), labels.iter().max()].map(|label| label.copied().unwrap_or(0));
        Self { first, last }
    }

    /// Where a label is none of them.
    pub(super) fn stray(self, labels: &[u32]) -> Option<usize> {
        labels.iter().position(|label| !(self.first..=self.last).contains(label))
    }

    /// Labels that are among them, counted from the first.
    pub(super) fn count_from_first(self, labels: &mut [u32]) {
        labels.iter_mut().for_each(|label| *label -= self.first);
    }

    pub(super) fn names(self) -> Vec<String> {
        (self.first..=self.last).map(|label| label.to_string()).collect()
    }
}
