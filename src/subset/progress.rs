//! How far a run has come: all that the rest of it depends on, numbers apart from vectors.

use super::record::{HeldOut, StageReport};
use crate::cost::Cost;
use crate::error::{Result, RunError};
use crate::files::{infinite_if_null, infinite_pair_if_null, nan_if_null};
use crate::optimise::{State, StateScalars};
use serde::{Deserialize, Serialize};

/// What a checkpoint holds. `V` is a vector on the device or on the host.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress<V> {
    /// The numbers.
    pub scalars: ProgressScalars,
    /// The vectors.
    pub vectors: ProgressVectors<V>,
}

/// The numbers of a run in the middle. One more is a field here, with the value it has at the start of a run in
/// `Default`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProgressScalars {
    /// Reports of the stages that have ended.
    pub stages: Vec<StageReport>,
    /// Of the optimiser in the middle of the stage after them.
    pub state: StateScalars,
    /// ‖∇f‖ at the start of the stage; of the first step that knows one, over mini-batches.
    #[serde(deserialize_with = "infinite_if_null")]
    pub initial_gradient_norm: f64,
    /// Cross entropy where the optimiser stands, over the examples it works on.
    #[serde(deserialize_with = "nan_if_null")]
    pub cross_entropy: f64,
    /// Whether the optimiser is in the middle of an iteration: between two of its mini-batches.
    pub is_within: bool,
    /// The losses one and two iterations ago.
    #[serde(deserialize_with = "infinite_pair_if_null")]
    pub earlier_losses: [f64; 2],
    /// ‖step‖ of the latest iteration: the next stage's first step is as long.
    pub step_norm: f64,
    /// λ whose inverses were charged since the factors were made anew.
    pub paid_for: Option<f64>,
    /// Cost of this stage's own examples so far.
    pub stage_cost: Cost,
    /// Cost of everything before and beside: earlier stages, held-out examples.
    pub other_cost: Cost,
    /// What the best parameters scored, once there was a validation.
    pub best: Option<HeldOut>,
    /// The latest validation of this stage, and the iteration it followed.
    pub last_validation: Option<(u64, HeldOut)>,
    /// Validations since the best one.
    pub validations_since_best: u64,
    /// Seconds so far.
    pub wall_seconds: f64,
}

impl Default for ProgressScalars {
    fn default() -> Self {
        Self {
            stages: Vec::new(),
            state: StateScalars::default(),
            initial_gradient_norm: f64::INFINITY,
            cross_entropy: f64::NAN,
            is_within: false,
            earlier_losses: [f64::INFINITY; 2],
            step_norm: 0.0,
            paid_for: None,
            stage_cost: Cost::default(),
            other_cost: Cost::default(),
            best: None,
            last_validation: None,
            validations_since_best: 0,
            wall_seconds: 0.0,
        }
    }
}

impl ProgressScalars {
    /// Everything spent so far.
    pub fn cost(&self) -> Cost {
        self.stage_cost + self.other_cost
    }

    /// Steps of all stages so far, each of which has its record.
    pub fn steps(&self) -> u64 {
        self.stages.iter().map(|stage| stage.iterations).sum::<u64>() + self.state.iteration
    }
}

/// The vectors of a run in the middle.
#[derive(Clone, Debug, PartialEq)]
pub struct ProgressVectors<V> {
    /// θ
    pub parameters: V,
    /// What the optimiser remembers besides, by name.
    pub optimiser: Vec<(String, V)>,
    /// What the problem it works on remembers, such as Kronecker factors.
    pub problem: Vec<(String, V)>,
    /// The parameters with the lowest held-out loss so far.
    pub best: Option<V>,
}

// how vectors are called in a file
const PARAMETERS: &str = "parameters";
const OPTIMISER: &str = "optimiser/";
const PROBLEM: &str = "problem/";
const BEST: &str = "best";

impl<V> ProgressVectors<V> {
    /// Every vector by a name of its own.
    pub fn named(&self) -> Vec<(String, &V)> {
        let mut named = vec![(PARAMETERS.to_owned(), &self.parameters)];
        named.extend(self.optimiser.iter().map(|(name, vector)| (format!("{OPTIMISER}{name}"), vector)));
        named.extend(self.problem.iter().map(|(name, vector)| (format!("{PROBLEM}{name}"), vector)));
        named.extend(self.best.iter().map(|vector| (BEST.to_owned(), vector)));
        named
    }

    /// Those that are as long as the parameters.
    pub fn of_parameters(&self) -> Vec<(String, &V)> {
        let mut named = self.named();
        named.retain(|(name, _)| !name.starts_with(PROBLEM));
        named
    }

    /// From vectors by name, in any order.
    ///
    /// # Errors
    /// [`RunError`] when one has another name, or the parameters are missing.
    pub fn from_named(named: impl IntoIterator<Item = (String, V)>) -> std::result::Result<Self, RunError> {
        let (mut parameters, mut best, mut optimiser, mut problem) = (None, None, Vec::new(), Vec::new());
        for (name, vector) in named {
            match (name.as_str(), name.strip_prefix(OPTIMISER), name.strip_prefix(PROBLEM)) {
                (PARAMETERS, ..) => parameters = Some(vector),
                (BEST, ..) => best = Some(vector),
                (_, Some(name), _) => optimiser.push((name.to_owned(), vector)),
                (_, _, Some(name)) => problem.push((name.to_owned(), vector)),
                _ => return Err(RunError::UnknownVector { vector: name }),
            }
        }
        let missing = || RunError::State { lacks: "the parameters".to_owned(), source: None };
        let parameters = parameters.ok_or_else(missing)?;
        Ok(Self { parameters, optimiser, problem, best })
    }
}

impl<V: Clone> Progress<V> {
    /// The state of the optimiser.
    pub(super) fn state(&self) -> State<V> {
        let Self { scalars, vectors } = self;
        let (parameters, vectors) = (vectors.parameters.clone(), vectors.optimiser.clone());
        State { parameters, vectors, scalars: scalars.state.clone() }
    }

    /// Takes over the state of the optimiser, and what its problem remembers.
    pub(super) fn take(&mut self, state: State<V>, memory: Vec<(String, V)>, paid_for: Option<f64>) {
        self.scalars.state = state.scalars;
        (self.vectors.parameters, self.vectors.optimiser) = (state.parameters, state.vectors);
        (self.vectors.problem, self.scalars.paid_for) = (memory, paid_for);
    }

    /// The same progress with each vector passed through `convert`.
    ///
    /// # Errors
    /// Those of `convert`.
    pub(crate) fn convert<W>(&self, mut convert: impl FnMut(&V) -> Result<W>) -> Result<Progress<W>> {
        let named = self.vectors.named().into_iter().map(|(name, vector)| Ok((name, convert(vector)?)));
        let vectors = ProgressVectors::from_named(named.collect::<Result<Vec<_>>>()?)?;
        Ok(Progress { scalars: self.scalars.clone(), vectors })
    }
}
