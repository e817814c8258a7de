//! Optimisers for a deterministic loss: one subset, or any smooth function.
//!
//! They are written against [`Space`], so the same code runs on GPU buffers and on `Vec<f64>`, where it is
//! tested on problems with known minima.

mod line_search;
mod nonlinear_cg;
mod on_gpu;
mod space;

use crate::error::Result;
use serde::Serialize;
use std::fmt;

pub use line_search::{Found, LineSearch, Trial, Verdict};
pub use nonlinear_cg::{Beta, NonlinearCg, Settings, State};
pub use on_gpu::{GpuSpace, OnGpu};
pub use space::{Euclidean, Space};

/// The vectors a problem is posed in.
pub type Vector<P> = <<P as Problem>::Space as Space>::Vector;

/// A function to minimise.
pub trait Problem {
    /// Where its parameters and gradients live.
    type Space: Space;

    /// The space of the parameters.
    fn space(&self) -> &Self::Space;

    /// The loss at x; its gradient there is written into `gradient`. The same x gives the same bits. A loss
    /// or gradient that is not finite is a legal answer: the optimiser takes a shorter step. `Err` is for a
    /// device that failed.
    fn loss_and_gradient(&mut self, x: &Vector<Self>, gradient: &mut Vector<Self>) -> Result<f64>;
}

/// A method that lowers the loss of a problem step by step.
pub trait Optimiser<P: Problem> {
    /// One step: a direction and a search along it. A step that stops leaves the parameters where they were.
    fn step(&mut self, problem: &mut P) -> Result<Outcome>;

    /// The point reached, x.
    fn parameters(&self) -> &Vector<P>;

    /// The loss at x.
    fn loss(&self) -> f64;

    /// ‖∇f(x)‖.
    fn gradient_norm(&self) -> f64;
}

/// What one step did.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// The loss after the step.
    pub loss: f64,
    /// ‖∇f‖ after the step.
    pub gradient_norm: f64,
    /// ‖x_new − x_old‖.
    pub step_norm: f64,
    /// The step as a multiple of the direction.
    pub step_length: f64,
    /// Evaluations of loss and gradient that the step took.
    pub evaluations: usize,
    /// Whether the method dropped what it knew of earlier steps and went down the gradient.
    pub restarted: bool,
    /// Set when no step was taken, and no further one can be.
    #[serde(skip)]
    pub stop: Option<Stop>,
}

impl Outcome {
    /// A step not taken, yet.
    fn before(loss: f64, gradient_norm: f64) -> Self {
        Self { loss, gradient_norm, step_norm: 0.0, step_length: 0.0, evaluations: 0, restarted: false, stop: None }
    }
}

/// Why an optimiser stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The gradient is as small as was asked for.
    Converged,
    /// No lower loss along the negative gradient.
    LineSearchFailed,
    /// The loss or its gradient is NaN or infinite where the method stands.
    NotFinite,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Converged => "converged: the gradient is zero within its tolerance",
            Self::LineSearchFailed => "no lower loss along the negative gradient: the limit of its precision",
            Self::NotFinite => "the loss or its gradient is not finite",
        })
    }
}
