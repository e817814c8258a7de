//! What mini-batches came to that were not evaluated yet.

use crate::files::nan_if_null;
use serde::{Deserialize, Serialize};

/// Losses and hits of mini-batches that were not evaluated yet.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct MinibatchSums {
    pub(super) batches: usize,
    /// What their examples counted: as much as there are mini-batches, on average.
    pub(super) weight: f64,
    #[serde(deserialize_with = "nan_if_null")]
    pub(super) cross_entropy: f64,
    pub(super) accuracy: f64,
    pub(super) not_finite: Option<String>,
    pub(super) backward: u64,
}

impl MinibatchSums {
    /// The same as a part of larger mini-batches, of whose examples these are a share.
    #[must_use]
    pub(crate) fn of_share(self, share: f64) -> Self {
        let Self { weight, cross_entropy, accuracy, .. } = self;
        Self { weight: share * weight, cross_entropy: share * cross_entropy, accuracy: share * accuracy, ..self }
    }

    /// Two shares of the same mini-batches together.
    #[must_use]
    pub(crate) fn beside(self, other: Self) -> Self {
        Self { batches: self.batches.max(other.batches), ..self.then(other, 0) }
    }

    /// Those of mini-batches and of others after them.
    #[must_use]
    pub(crate) fn and(self, other: Self) -> Self {
        let batches = other.batches;
        self.then(other, batches)
    }

    fn then(self, other: Self, more: usize) -> Self {
        Self {
            batches: self.batches + more,
            weight: self.weight + other.weight,
            cross_entropy: self.cross_entropy + other.cross_entropy,
            accuracy: self.accuracy + other.accuracy,
            not_finite: self.not_finite.or(other.not_finite),
            backward: self.backward + other.backward,
        }
    }
}
