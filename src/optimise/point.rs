//! Where a method stands, and whether it can go on from there.

use super::optimiser::{Snapshot, State};
use super::outcome::{Outcome, Stop};
use super::problem::{Evaluated, Problem, Vector};
use super::space::Space;
use crate::error::Result;
use serde::{Deserialize, Serialize};
use std::mem::swap;

/// x and ∇f(x), of a method that evaluates all of a problem.
pub(super) struct Point<P: Problem> {
    pub parameters: Vector<P>,
    pub gradient: Vector<P>,
    pub loss: f64,
    pub gradient_norm: f64,
    /// Steps taken to get here.
    pub iteration: u64,
    /// What was found here; none after a resume.
    pub evaluation: Option<P::Evaluation>,
}

impl<P: Problem> Point<P> {
    /// The start at x, with one evaluation of the problem there.
    pub(super) fn start(problem: &mut P, x: Vector<P>) -> Result<Self> {
        let mut gradient = problem.space().zeros()?;
        let evaluation = problem.loss_and_gradient(&x, &mut gradient)?;
        let gradient_norm = problem.space().dot(&gradient, &gradient)?.sqrt();
        let (loss, evaluation) = (evaluation.loss(), Some(evaluation));
        Ok(Self { parameters: x, gradient, loss, gradient_norm, iteration: 0, evaluation })
    }

    /// Where a saved state was.
    pub(super) fn resume(state: &State<Vector<P>>) -> Result<Self> {
        Ok(Self {
            parameters: state.parameters.clone(),
            gradient: state.vector("gradient")?,
            loss: state.scalars.loss,
            gradient_norm: state.scalars.gradient_norm,
            iteration: state.scalars.iteration,
            evaluation: None,
        })
    }

    pub(super) fn snapshot(&self) -> Snapshot<'_, P> {
        let Self { parameters, loss, gradient_norm, iteration, evaluation, .. } = self;
        Snapshot {
            parameters,
            loss: *loss,
            gradient_norm: *gradient_norm,
            iteration: *iteration,
            evaluation: evaluation.as_ref(),
        }
    }

    /// A step not taken, yet; or none to take, for want of a finite loss and gradient or of a gradient above the
    /// tolerance.
    pub(super) fn before_step(&self, tolerance: f64) -> Outcome {
        let stop = if !(self.loss.is_finite() && self.gradient_norm.is_finite()) {
            Some(Stop::NotFinite)
        } else {
            (self.gradient_norm <= tolerance).then_some(Stop::Converged)
        };
        Outcome { stop, ..Outcome::before(self.loss, self.gradient_norm) }
    }

    /// Goes to the trial's x and gradient, where `evaluation` was found, and leaves it those from before.
    pub(super) fn move_to(
        &mut self,
        (x, gradient): (&mut Vector<P>, &mut Vector<P>),
        evaluation: P::Evaluation,
        gradient_norm: f64,
    ) {
        swap(&mut self.parameters, x);
        swap(&mut self.gradient, gradient);
        (self.loss, self.gradient_norm) = (evaluation.loss(), gradient_norm);
        self.evaluation = Some(evaluation);
        self.iteration += 1;
    }
}

/// Steps without a lower loss or a smaller gradient than ever before, after which rounding is all that moves a method.
const PATIENCE: u32 = 100;

/// The lowest loss and the smallest gradient so far. Near a minimum the slopes, on which
/// [`LineSearch`](super::LineSearch) relies where losses cannot be told apart, can go on promising descent that no step
/// in floating point delivers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Lowest {
    loss: f64,
    gradient_norm: f64,
    /// Steps since either was reached.
    since: u32,
}

impl Lowest {
    pub(super) fn at<P: Problem>(point: &Point<P>) -> Self {
        Self { loss: point.loss, gradient_norm: point.gradient_norm, since: 0 }
    }

    /// After a step that was taken.
    pub(super) fn note<P: Problem>(&mut self, point: &Point<P>) {
        let Point { loss, gradient_norm, .. } = *point;
        self.since = if loss < self.loss || gradient_norm < self.gradient_norm { 0 } else { self.since + 1 };
        (self.loss, self.gradient_norm) = (self.loss.min(loss), self.gradient_norm.min(gradient_norm));
    }

    /// Why no further step is worth while, if so.
    pub(super) fn stop(&self) -> Option<Stop> {
        (self.since >= PATIENCE).then_some(Stop::LineSearchFailed)
    }
}
