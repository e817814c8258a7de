//! What a run does, how far it has come, and what it says of each step.

use crate::error::Result;
use crate::objective::Cost;
use crate::optimise::{Method, Outcome, State, nan_if_null};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The schedules by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Name {
    /// One small disjoint subset after another, a K-FAC step on each, within a budget.
    Sweep,
    /// One subset to its minimum, then the full set for a short adaptation.
    Paper,
    /// Nested subsets up to the full set, each four times the one before and started from where that ended.
    Growing,
    /// The full set alone, as a whole.
    Full,
    /// Mini-batches of the full set, within a budget.
    Minibatch,
}

impl Name {
    /// All of them, and what they are called.
    pub const NAMES: [(Self, &str); 5] = [
        (Self::Sweep, "sweep"),
        (Self::Paper, "paper"),
        (Self::Growing, "growing"),
        (Self::Full, "full"),
        (Self::Minibatch, "minibatch"),
    ];

    /// Whether a run ends where its budget is spent, and its steps grow smaller towards there.
    pub fn has_budget(self) -> bool {
        matches!(self, Self::Sweep | Self::Minibatch)
    }

    /// Copies of each example that a pass goes over, out of so many: with a budget one, since every epoch takes another.
    pub fn copies_of_a_pass(self, copies: Option<usize>) -> usize {
        if self.has_budget() { 1 } else { copies.unwrap_or(1) }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::NAMES[*self as usize].1)
    }
}

/// What a run does, in one stage or two.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// Which it is.
    pub name: Name,
    /// Passes over the subset, at most; a pass is K units. 0: no such stage.
    pub subset_passes: f64,
    /// Passes over the full set, at most.
    pub full_passes: f64,
    /// Iterations between two looks at the held-out examples, 0: only at the end of a stage. In the paper's schedule every iteration on
    /// the full set is followed by one.
    pub check_every: u64,
    /// Looks in a row without a lower held-out loss after which a stage ends; 0: never. One, whatever this says, in a subset with a `gap`.
    pub patience: u64,
    /// A subset stage ends where the cross entropy over the subset is below this share of the held-out one, after a look: going on to the
    /// minimum would only fit the subset. 0: never.
    pub gap: f64,
    /// A subset stage ends after two iterations that together lowered the loss by less than this share. 0: never.
    pub stall: f64,
    /// The next stage starts at so many times the parameters that a subset ended at: nearer to zero they go wrong with less confidence where
    /// the next examples differ, and generalise better (Ash and Adams 2020, *On warm-starting neural network training*, arXiv
    /// 1910.08475, there with noise besides). 1: at the same.
    #[serde(default = "unchanged")]
    pub shrink: f64,
    /// A stage ends where the gradient is this much smaller than at its start: the minimum, near enough.
    pub tolerance: f64,
}

impl Schedule {
    /// The schedule over so many examples, with what suits it and the method: K-FAC is near a minimum after few passes, and a budget
    /// is no fewer updates than a small set needs.
    pub fn new(name: Name, method: &Method, examples: usize) -> Self {
        let budget = method.training().map_or(0.0, |training| {
            let updates = if name == Name::Sweep { 100 } else { 1000 };
            (training.batch * updates) as f64 / examples as f64
        });
        let (subset, full, check_every) = match (name, method) {
            (Name::Sweep | Name::Minibatch, _) => (0.0, budget.max(1.5), 0),
            (Name::Paper, Method::Kfac(_)) => (30.0, 8.0, 5),
            (Name::Paper, _) => (100.0, 8.0, 5),
            (Name::Growing, _) => (25.0, 8.0, 1),
            (Name::Full, Method::Kfac(_)) => (0.0, 30.0, 1),
            (Name::Full, _) => (0.0, 100.0, 1),
        };
        let (gap, stall, shrink) = if name == Name::Growing { (0.4, 1e-2, 0.9) } else { (0.0, 0.0, 1.0) };
        Self {
            name,
            subset_passes: subset,
            full_passes: full,
            check_every,
            patience: 0,
            gap,
            stall,
            shrink,
            tolerance: 1e-4,
        }
    }

    /// Passes over a stage's examples, at most.
    pub fn passes(&self, stage: StageKind) -> f64 {
        match stage {
            StageKind::Subset => self.subset_passes,
            StageKind::Full => self.full_passes,
        }
    }

    /// Iterations of a stage between two looks at the held-out examples; 0: only at its end.
    pub fn look_every(&self, stage: StageKind) -> u64 {
        if self.name == Name::Paper && stage == StageKind::Full { 1 } else { self.check_every }
    }

    /// Whether a look at the held-out examples follows so many iterations of a stage.
    pub(super) fn is_look_due(&self, stage: StageKind, iteration: u64) -> bool {
        let every = self.look_every(stage);
        every > 0 && iteration.is_multiple_of(every)
    }
}

fn unchanged() -> f64 {
    1.0
}

/// What the run works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StageKind {
    /// A subset, to its minimum.
    Subset,
    /// The full training set, for a short adaptation.
    Full,
}

impl fmt::Display for StageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Subset => "subset",
            Self::Full => "full set",
        })
    }
}

/// A look at the held-out examples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeldOut {
    /// Mean cross entropy.
    #[serde(deserialize_with = "nan_if_null")]
    pub loss: f64,
    /// Share classified right.
    #[serde(deserialize_with = "nan_if_null")]
    pub accuracy: f64,
}

/// The record of one iteration, a line of `steps.jsonl`. Runs of earlier versions lack what is optional.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// StageKind.
    pub stage: StageKind,
    /// Examples it works on.
    pub examples: usize,
    /// Iteration of the stage, from 1.
    pub iteration: u64,
    /// Loss over the stage's examples (weight decay included), norms, evaluations.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// The loss without weight decay: the mean cross entropy alone.
    pub cross_entropy: Option<f64>,
    /// Share classified right of what the loss is over.
    pub accuracy: Option<f64>,
    /// Share of the examples that went backward, where they are chosen.
    pub kept: Option<f64>,
    /// The look at held-out examples that followed, if any.
    pub held_out: Option<HeldOut>,
    /// Units spent since the start of the run, everything included.
    pub units: f64,
    /// The same in passes over the training set.
    pub cost_epochs: f64,
    /// Seconds since the start of the run.
    pub wall_seconds: f64,
}

/// What a stage came to. Runs of earlier versions lack what is optional.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageReport {
    /// StageKind.
    pub stage: StageKind,
    /// Examples it worked on.
    pub examples: usize,
    /// Q = K·M/P
    pub overdetermination: f64,
    /// Iterations.
    pub iterations: u64,
    /// Units spent on the stage's own examples, in passes over them.
    pub passes: f64,
    /// Loss at its end, weight decay included.
    #[serde(deserialize_with = "nan_if_null")]
    pub loss: f64,
    /// Cross entropy at its end over the stage's own examples (on mini-batches: the mean over the last of them) …
    pub cross_entropy: Option<f64>,
    /// … and over the whole training set. Reported, as the test set is.
    pub train_loss: Option<f64>,
    /// ‖∇f‖ at its end, relative to its start.
    #[serde(deserialize_with = "nan_if_null")]
    pub gradient_reduction: f64,
    /// Held-out loss and accuracy at its end.
    pub held_out: Option<HeldOut>,
    /// Test accuracy at its end. Reported; nothing is decided by it.
    #[serde(deserialize_with = "nan_if_null")]
    pub test_accuracy: f64,
    /// Cross entropy over the test set at its end.
    pub test_loss: Option<f64>,
    /// Why it ended.
    pub stopped: String,
}

/// The parameters with the lowest held-out loss so far.
#[derive(Clone, Debug, PartialEq)]
pub struct Best<V> {
    /// What they scored.
    pub held_out: HeldOut,
    /// θ
    pub parameters: V,
}

/// All that the rest of a run depends on: what a checkpoint holds. `V` is a vector on the device or on the host.
#[derive(Clone, Debug)]
pub struct Progress<V> {
    /// StageKind in progress.
    pub stage: StageKind,
    /// The optimiser in the middle of that stage.
    pub optimiser: State<V>,
    /// What the problem it works on remembers, such as Kronecker factors.
    pub memory: Vec<(String, V)>,
    /// ‖∇f‖ at the start of the stage; of the first step that knows one, over mini-batches.
    pub initial_gradient_norm: f64,
    /// Cross entropy where the optimiser stands, over the examples it works on.
    pub cross_entropy: f64,
    /// The losses one and two iterations ago.
    pub earlier_losses: [f64; 2],
    /// ‖step‖ of the latest iteration: the next stage's first step is as long.
    pub step_norm: f64,
    /// Cost of this stage's own examples so far.
    pub stage_cost: Cost,
    /// Cost of everything before and beside: earlier stages, held-out examples.
    pub other_cost: Cost,
    /// Best parameters, once there was a look at held-out examples.
    pub best: Option<Best<V>>,
    /// The latest look of this stage, and the iteration it followed.
    pub last_look: Option<(u64, HeldOut)>,
    /// Looks since the best one.
    pub looks_since_best: u64,
    /// Reports of the stages that have ended.
    pub stages: Vec<StageReport>,
    /// Seconds so far.
    pub wall_seconds: f64,
}

impl<V> Progress<V> {
    /// Everything spent so far.
    pub fn cost(&self) -> Cost {
        self.stage_cost + self.other_cost
    }

    /// The same progress with each vector passed through `convert`.
    pub(super) fn convert<W>(&self, mut convert: impl FnMut(&V) -> Result<W>) -> Result<Progress<W>> {
        let best = self
            .best
            .as_ref()
            .map(|best| -> Result<_> { Ok(Best { held_out: best.held_out, parameters: convert(&best.parameters)? }) });
        let memory = self.memory.iter().map(|(name, vector)| Ok((name.clone(), convert(vector)?)));
        Ok(Progress {
            stage: self.stage,
            memory: memory.collect::<Result<_>>()?,
            optimiser: self.optimiser.convert(&mut convert)?,
            initial_gradient_norm: self.initial_gradient_norm,
            cross_entropy: self.cross_entropy,
            earlier_losses: self.earlier_losses,
            step_norm: self.step_norm,
            stage_cost: self.stage_cost,
            other_cost: self.other_cost,
            best: best.transpose()?,
            last_look: self.last_look,
            looks_since_best: self.looks_since_best,
            stages: self.stages.clone(),
            wall_seconds: self.wall_seconds,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_a_configuration() {
        for (schedule, name) in Name::NAMES {
            assert_eq!((schedule.to_string(), serde_json::to_value(schedule).unwrap()), (name.to_owned(), name.into()));
        }
    }
}
