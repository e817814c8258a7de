//! A method at work: one step, where it stands, and all that the next step depends on.

use super::outcome::Outcome;
use super::problem::{Problem, Vector};
use crate::error::{Result, RunError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A method that lowers the loss of a problem step by step. It may be moved to another thread.
pub trait Optimiser<P: Problem>: Send {
    /// One step: a direction and a search along it, or a stretch of mini-batches. A step that stops leaves the
    /// parameters where they were; one that is [paused](super::Stop::Paused) is finished by the next call. What was
    /// found where it ended is in [`Optimiser::snapshot`].
    ///
    /// # Errors
    /// What the problem reports.
    fn step(&mut self, problem: &mut P) -> Result<Outcome>;

    /// Where it stands.
    fn snapshot(&self) -> Snapshot<'_, P>;

    /// What the next step depends on besides: vectors by name, and numbers as JSON.
    fn memory(&self) -> (Vec<(String, Vector<P>)>, String);

    /// The point reached, x.
    fn parameters(&self) -> &Vector<P> {
        self.snapshot().parameters
    }

    /// The loss at x.
    fn loss(&self) -> f64 {
        self.snapshot().loss
    }

    /// ‖∇f(x)‖.
    fn gradient_norm(&self) -> f64 {
        self.snapshot().gradient_norm
    }

    /// Steps taken.
    fn iteration(&self) -> u64 {
        self.snapshot().iteration
    }

    /// All that the next step depends on: save it, and the method's `resume` goes on bit for bit.
    fn state(&self) -> State<Vector<P>> {
        let Snapshot { parameters, loss, gradient_norm, iteration, .. } = self.snapshot();
        let (vectors, numbers) = self.memory();
        let scalars = StateScalars { loss, gradient_norm, iteration, numbers };
        State { parameters: parameters.clone(), vectors, scalars }
    }
}

/// What everybody may know of a method.
pub struct Snapshot<'a, P: Problem> {
    /// The point reached, x.
    pub parameters: &'a Vector<P>,
    /// f(x)
    pub loss: f64,
    /// ‖∇f(x)‖
    pub gradient_norm: f64,
    /// Steps taken.
    pub iteration: u64,
    /// What was found at x, or on the way of a step that met a value which is not finite; none after a resume, before
    /// the next step.
    pub evaluation: Option<&'a P::Evaluation>,
}

/// A method in the middle of its work, as a checkpoint holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct State<V> {
    /// x
    pub parameters: V,
    /// What else the method remembers, by name.
    pub vectors: Vec<(String, V)>,
    /// The numbers.
    pub scalars: StateScalars,
}

/// The numbers of a [`State`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StateScalars {
    /// f(x)
    #[serde(deserialize_with = "crate::files::infinite_if_null")]
    pub loss: f64,
    /// ‖∇f(x)‖
    #[serde(deserialize_with = "crate::files::infinite_if_null")]
    pub gradient_norm: f64,
    /// Steps taken.
    pub iteration: u64,
    /// What else the method remembers, as JSON, which keeps every bit of it.
    pub numbers: String,
}

impl<V> State<V> {
    /// The same state with each vector passed through `convert`: down from the device for a checkpoint, and up again.
    ///
    /// # Errors
    /// Those of `convert`.
    pub fn convert<W>(&self, mut convert: impl FnMut(&V) -> Result<W>) -> Result<State<W>> {
        let vectors = self.vectors.iter().map(|(name, vector)| Ok((name.clone(), convert(vector)?)));
        Ok(State {
            vectors: vectors.collect::<Result<_>>()?,
            parameters: convert(&self.parameters)?,
            scalars: self.scalars.clone(),
        })
    }

    /// A vector by name.
    ///
    /// # Errors
    /// [`Error::Data`](crate::error::Error::Data) when the state is another method's.
    pub(super) fn vector(&self, name: &str) -> Result<V>
    where
        V: Clone,
    {
        let found = self.vectors.iter().find(|(other, _)| other == name);
        let missing = || RunError::State { lacks: format!("the vector {name}"), source: None }.into();
        found.map(|(_, vector)| vector.clone()).ok_or_else(missing)
    }

    /// The numbers that the method remembers.
    ///
    /// # Errors
    /// [`Error::Data`](crate::error::Error::Data) when the state is another method's.
    pub(super) fn numbers<T: DeserializeOwned>(&self) -> Result<T> {
        let numbers = serde_json::from_str(&self.scalars.numbers);
        let lacks = "the numbers of its method".to_owned();
        numbers.map_err(|e| RunError::State { lacks, source: Some(e) }.into())
    }
}

/// Vectors of a [`State`].
pub(super) fn named<V: Clone, const N: usize>(vectors: [(&str, &V); N]) -> Vec<(String, V)> {
    vectors.map(|(name, vector)| (name.to_owned(), vector.clone())).into()
}

/// Numbers of a [`State`].
pub(super) fn to_json(numbers: &impl Serialize) -> String {
    serde_json::to_string(numbers).expect("numbers are plain data")
}
