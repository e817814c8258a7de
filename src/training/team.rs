//! The ranks of a run: what rank 0, which alone knows method and plan, asks of all, and what they answer.
//!
//! A loss is a mean over examples, and so is whatever is derived from it: each rank takes it over its share, and the
//! shares' means are added up by what they count. Points come from rank 0, so ranks stay together whatever their
//! devices make of the same program.

use crate::batch::{Batch, Draw, Share};
use crate::cost::Cost;
use crate::error::{Error, Failure, RankError, Result};
use crate::exchange::{Alone, Exchange, Message, broadcast, gather};
use crate::objective::{Evaluation, MinibatchSums};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// What all ranks are asked for. Vectors come beside it, in the order named here.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// A run of this configuration, by the program of this SHA-256, begins.
    Begin { config: String, program: String },
    /// Goes on with the problem of a stage of the plan, from here on.
    Open { stage: usize },
    /// Loss and gradient at x.
    Gradient,
    /// G(x) v, at x along v.
    Product,
    /// The curvature at x along u and v.
    Curvature,
    /// A look at what the curvature around x is.
    Look { seed: u64, at_minibatch: bool },
    /// The gradient of a mini-batch at x.
    Minibatch { positions: Vec<u32>, weights: Option<Vec<f32>>, epoch: u64, draw: Option<Draw> },
    /// What the mini-batches since last asked, of so many examples, came to; their choices are charged, or not yet.
    Sums { examples: usize, charge: bool },
    /// A loss that decides or reports, at x.
    Loss { which: LossOf },
    /// It is over.
    End,
}

/// The losses that a run evaluates beside its problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LossOf {
    /// Over training examples that only decisions use.
    HeldOut,
    /// Over the whole training set.
    Training,
    /// Over the test set.
    Test,
}

impl Request {
    pub(crate) fn minibatch(batch: Batch<'_>) -> Self {
        let Batch { positions, weights, epoch, draw } = batch;
        Self::Minibatch { positions: positions.to_vec(), weights: weights.map(<[f32]>::to_vec), epoch, draw }
    }
}

/// What a rank found, or several together: sums over shares of what these count.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Answer {
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
    failure: Failure,
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

impl Answer {
    /// Of numbers that count so much.
    pub(crate) fn of(share: f64, numbers: &[f64]) -> Self {
        Self { numbers: numbers.iter().map(|&number| Number::new(share * number)).collect(), ..Self::default() }
    }

    /// Of an evaluation that counts so much.
    pub(crate) fn of_evaluation(share: f64, found: Evaluation) -> Self {
        let Evaluation { loss, cross_entropy, accuracy, not_finite, .. } = found;
        Self { not_finite, ..Self::of(share, &[loss, cross_entropy, accuracy]) }
    }

    /// With a vector that counts so much.
    pub(crate) fn with(self, share: f64, mut vector: Vec<f32>) -> Self {
        if share != 1.0 {
            vector.iter_mut().for_each(|value| *value *= share as f32);
        }
        Self { vector, ..self }
    }

    fn failed(error: &Error, rank: usize, host: &str) -> Self {
        let mut why = error.to_string();
        let mut next = std::error::Error::source(error);
        while let Some(source) = next {
            why = format!("{why}: {source}");
            next = source.source();
        }
        let failed = Failed { rank, host: host.to_owned(), why, failure: error.failure() };
        Self { failed: Some(failed), ..Self::default() }
    }

    fn join(self, other: Self) -> Self {
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

    fn message(&self) -> Message {
        Message::new(self, &[bytemuck::cast_slice(&self.vector)])
    }

    fn read(message: &Message) -> Result<Self> {
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
        let [loss, cross_entropy, accuracy] = self.numbers()?;
        Ok(Evaluation { loss, cross_entropy, accuracy, kept: None, not_finite: self.not_finite.clone() })
    }
}

/// What exchanges have taken on rank 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Traffic {
    /// Bytes that it sent and received.
    pub bytes: u64,
    /// Seconds in which it did nothing else: it sends, or waits for others.
    pub seconds: f64,
}

/// The ranks of a run, this one among them.
#[derive(Clone)]
pub struct Team {
    exchange: Arc<dyn Exchange>,
    host: String,
    traffic: Arc<Mutex<Traffic>>,
}

impl Team {
    /// No other rank.
    pub fn alone() -> Self {
        Self::new(Arc::new(Alone))
    }

    /// All ranks of an exchange.
    pub fn new(exchange: Arc<dyn Exchange>) -> Self {
        let host = gethostname::gethostname().to_string_lossy().into_owned();
        Self { exchange, host, traffic: Arc::default() }
    }

    /// Whether there is no other.
    pub fn is_alone(&self) -> bool {
        self.ranks() == 1
    }

    /// Which this one is.
    pub fn rank(&self) -> usize {
        self.exchange.rank()
    }

    /// How many there are.
    pub fn ranks(&self) -> usize {
        self.exchange.ranks()
    }

    /// The machine that it is on.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// This rank's share of a list.
    pub fn share(&self) -> Share {
        Share { of: self.rank(), among: self.ranks() }
    }

    /// What exchanges have taken so far.
    pub fn traffic(&self) -> Traffic {
        *crate::device::lock(&self.traffic)
    }

    fn count(&self, words: usize, since: Instant) {
        let mut traffic = crate::device::lock(&self.traffic);
        traffic.bytes += 4 * words as u64;
        traffic.seconds += since.elapsed().as_secs_f64();
    }

    /// Asks all for something, on rank 0.
    ///
    /// # Errors
    /// [`Error::Rank`], as all here.
    pub(crate) fn ask(&self, request: &Request, vectors: &[Vec<f32>]) -> Result<()> {
        let start = Instant::now();
        let words: Vec<&[u32]> = vectors.iter().map(|vector| bytemuck::cast_slice(vector)).collect();
        let said = broadcast(&*self.exchange, Some(Message::new(request, &words)))?;
        self.count(said.words().len(), start);
        Ok(())
    }

    /// What is asked for, and the vectors beside it, on the others.
    pub(crate) fn hear(&self) -> Result<(Request, Vec<Vec<f32>>)> {
        let said = broadcast(&*self.exchange, None)?;
        let (request, parts) = said.parts()?;
        Ok((request, parts.into_iter().map(|part| bytemuck::cast_slice(part).to_vec()).collect()))
    }

    /// What all answer, on rank 0; on the others nothing. An error of any rank is one of rank 0, which hears all before.
    pub(crate) fn join(&self, own: Result<Answer>) -> Result<Option<Answer>> {
        let start = Instant::now();
        let answer = match &own {
            Ok(answer) => answer.clone(),
            Err(error) => Answer::failed(error, self.rank(), &self.host),
        };
        let all = gather(&*self.exchange, answer, Answer::message, Answer::read, Answer::join)?;
        let Some(all) = all else { return Ok(None) };
        self.count(all.vector.len(), start);
        own?; // with its type
        match all.failed {
            Some(Failed { rank, host, why, failure }) => Err(RankError::Failed { rank, host, why, failure }.into()),
            None => Ok(Some(all)),
        }
    }

    /// The same on rank 0.
    pub(crate) fn joined(&self, own: Result<Answer>) -> Result<Answer> {
        self.join(own).map(|all| all.expect("rank 0 has what all answer"))
    }

    /// Tells the others that it is over.
    ///
    /// # Errors
    /// [`Error::Rank`].
    pub fn end(&self) -> Result<()> {
        self.ask(&Request::End, &[])
    }
}
