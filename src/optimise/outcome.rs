//! What one step did.

use crate::files::nan_if_null;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What one step did.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The loss after the step.
    #[serde(deserialize_with = "nan_if_null")]
    pub loss: f64,
    /// ‖∇f‖ after the step.
    #[serde(deserialize_with = "nan_if_null")]
    pub gradient_norm: f64,
    /// ‖x_new − x_old‖.
    #[serde(deserialize_with = "nan_if_null")]
    pub step_norm: f64,
    /// The step as a multiple of the direction.
    #[serde(deserialize_with = "nan_if_null")]
    pub step_length: f64,
    /// Evaluations of loss and gradient that the step took.
    pub evaluations: usize,
    /// Whether the method dropped what it knew of earlier steps and went down the gradient.
    pub restarted: bool,
    /// λ added to the curvature, by methods that do.
    pub damping: Option<f64>,
    /// The longest step allowed, in the norm of the Fisher matrix: √(2 KL), KL the divergence of the predictions; of
    /// the sweep.
    pub radius: Option<f64>,
    /// ρ: the fall of the loss as a multiple of what the quadratic model predicted.
    pub rho: Option<f64>,
    /// Products with the curvature matrix, or whatever else the method repeats inside a step.
    pub inner_iterations: usize,
    /// Why the trial point was not taken, and the parameters stay where they were. The method goes on.
    pub rejected: Option<Rejected>,
    /// Set when no step was taken, and no further one can be; or when a step was paused.
    #[serde(skip)]
    pub stop: Option<Stop>,
}

impl Outcome {
    /// A step not taken, yet.
    pub(super) fn before(loss: f64, gradient_norm: f64) -> Self {
        Self {
            loss,
            gradient_norm,
            step_norm: 0.0,
            step_length: 0.0,
            evaluations: 0,
            restarted: false,
            damping: None,
            radius: None,
            rho: None,
            inner_iterations: 0,
            rejected: None,
            stop: None,
        }
    }
}

/// Why a trial point was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rejected {
    /// The loss was not lower there.
    NotLower,
    /// The loss or its gradient was NaN or infinite there.
    NotFinite,
    /// The direction did not lead downhill.
    NotDownhill,
}

/// Why an optimiser stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The gradient is as small as was asked for.
    Converged,
    /// No lower loss along the negative gradient, or no step so short that the loss falls.
    LineSearchFailed,
    /// The loss or its gradient is NaN or infinite where the method stands.
    NotFinite,
    /// What may be spent does not pay for another step.
    Unaffordable,
    /// The learning rate has fallen to zero.
    ScheduleEnded,
    /// Its problem asked for a pause in the middle of a stretch of mini-batches: the next step goes on with it.
    Paused,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Converged => "converged: the gradient is zero within its tolerance",
            Self::LineSearchFailed => "no lower loss along the negative gradient: the limit of its precision",
            Self::NotFinite => "the loss or its gradient is not finite",
            Self::Unaffordable => "what is left of the passes is less than a step costs",
            Self::ScheduleEnded => "the schedule of the learning rate has ended",
            Self::Paused => "paused between two mini-batches",
        })
    }
}
