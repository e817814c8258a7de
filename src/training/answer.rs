//! What ranks answer, and how answers become one.

use crate::cost::Cost;
use crate::error::{Error, FailureKind, RankError, Result, in_one_line};
use crate::exchange::Message;
use crate::objective::{Evaluation, MinibatchSums};
use serde::{Deserialize, Serialize};

/// What a rank found, or several together: sums over shares of what these count.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct RankAnswer {
    /// Means of an evaluation or of a curvature; or what the vector counts.
    pub numbers: Vec<Number>,
    pub not_finite: Option<String>,
    pub sums: Option<MinibatchSums>,
    /// What it has cost ranks other than 0.
    pub cost: Cost,
    pub failed: Option<Failed>,
    /// What is to be said of these ranks.
    pub said: Vec<String>,
    #[serde(skip)]
    pub vector: Vec<f32>,
}

/// A number by its bits: JSON has none that is not finite.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Number(u64);

impl Number {
    pub(crate) fn new(value: f64) -> Self {
        Self(value.to_bits())
    }

    pub(crate) fn value(self) -> f64 {
        f64::from_bits(self.0)
    }
}

/// The error of a rank.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Failed {
    rank: usize,
    host: String,
    why: String,
    failure: FailureKind,
}

impl From<Failed> for RankError {
    fn from(Failed { rank, host, why, failure }: Failed) -> Self {
        Self::Failed { rank, host, why, failure }
    }
}

/// Adds up two lists, either of which may be left out.
fn added<T: Copy>(mut left: Vec<T>, right: Vec<T>, sum: impl Fn(T, T) -> T) -> Vec<T> {
    if left.is_empty() || right.is_empty() {
        return if left.is_empty() { right } else { left };
    }
    assert_eq!(left.len(), right.len(), "ranks answer the same question");
    left.iter_mut().zip(right).for_each(|(left, right)| *left = sum(*left, right));
    left
}

impl RankAnswer {
    /// Of numbers that count so much.
    pub(crate) fn of(share: f64, numbers: &[f64]) -> Self {
        Self { numbers: numbers.iter().map(|&number| Number::new(share * number)).collect(), ..Self::default() }
    }

    /// Of an evaluation that counts so much, whose examples count so much each, on average.
    pub(crate) fn of_evaluation(share: f64, weight: f64, found: Evaluation) -> Self {
        let Evaluation { loss, cross_entropy, accuracy, not_finite, .. } = found;
        Self { not_finite, ..Self::of(share, &[loss, cross_entropy, weight * accuracy, weight]) }
    }

    /// With a vector that counts so much.
    pub(crate) fn with(self, share: f64, mut vector: Vec<f32>) -> Self {
        if share != 1.0 {
            vector.iter_mut().for_each(|value| *value *= share as f32);
        }
        Self { vector, ..self }
    }

    pub(super) fn failed(error: &Error, rank: usize, host: &str) -> Self {
        let (host, why) = (host.to_owned(), in_one_line(error));
        let failed = Failed { rank, host, why, failure: error.failure() };
        Self { failed: Some(failed), ..Self::default() }
    }

    pub(super) fn join(self, other: Self) -> Self {
        let sums = match (self.sums, other.sums) {
            (Some(left), Some(right)) => Some(left.beside(right)),
            (left, right) => left.or(right),
        };
        Self {
            numbers: added(self.numbers, other.numbers, |a, b| Number::new(a.value() + b.value())),
            not_finite: self.not_finite.or(other.not_finite),
            sums,
            cost: self.cost + other.cost,
            failed: self.failed.or(other.failed),
            said: [self.said, other.said].concat(),
            vector: added(self.vector, other.vector, |a, b| a + b),
        }
    }

    pub(super) fn message(&self) -> Message {
        Message::new(self, &[bytemuck::cast_slice(&self.vector)])
    }

    pub(super) fn read(message: &Message) -> Result<Self> {
        let (answer, parts) = message.parts::<Self>()?;
        let vector = parts.first().map_or(Vec::new(), |part| bytemuck::cast_slice(part).to_vec());
        Ok(Self { vector, ..answer })
    }

    /// What so many numbers add up to.
    pub(crate) fn numbers<const N: usize>(&self) -> Result<[f64; N]> {
        let numbers: Vec<f64> = self.numbers.iter().map(|number| number.value()).collect();
        let why = format!("{} numbers in place of {N}", numbers.len());
        numbers.try_into().map_err(|_| RankError::Message { why }.into())
    }

    /// As an evaluation over all shares.
    pub(crate) fn evaluation(&self) -> Result<Evaluation> {
        let [loss, cross_entropy, hits, weight] = self.numbers()?;
        let accuracy = hits / weight;
        Ok(Evaluation { loss, cross_entropy, accuracy, kept: None, not_finite: self.not_finite.clone() })
    }
}
