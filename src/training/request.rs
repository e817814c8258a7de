//! What rank 0 asks all ranks for.

use crate::batch::{Batch, Draw};
use serde::{Deserialize, Serialize};

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
    /// The gradient of a mini-batch at x; where a draw keeps some of its examples, what their scores are.
    Minibatch { positions: Vec<u32>, weights: Option<Vec<f32>>, epoch: u64, draw: Option<Draw> },
    /// The gradient of the mini-batch before, of so many examples, by the threshold of their scores.
    Chosen { examples: usize, threshold: f32 },
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
