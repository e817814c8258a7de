//! The choice of a method, as a configuration holds it.

use super::first_order::{Adam, FirstOrder, Sgd};
use super::gauss_newton::{GaussNewton, GaussNewtonSettings};
use super::kfac::{Kfac, KfacSettings};
use super::lbfgs::{Lbfgs, LbfgsSettings};
use super::nonlinear_cg::{NcgSettings, NonlinearCg};
use super::sweep::Sweep;
use super::training::BatchPlan;
use super::{Curved, Optimiser, State, Stochastic, Vector};
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// A method and its choices.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case")]
pub enum Method {
    /// Nonlinear conjugate gradients.
    Ncg(NcgSettings),
    /// L-BFGS.
    Lbfgs(LbfgsSettings),
    /// Hessian-free Gauss-Newton.
    GaussNewton(GaussNewtonSettings),
    /// K-FAC with exact steps and momentum.
    Kfac(KfacSettings),
    /// K-FAC over one small subset after another.
    Sweep(Sweep),
    /// Adam on mini-batches.
    Adam(Adam),
    /// Stochastic gradient descent with momentum.
    Sgd(Sgd),
}

impl Method {
    /// How it goes over mini-batches, if its losses and gradients are those of some.
    pub fn training(&self) -> Option<&BatchPlan> {
        match self {
            Self::Sweep(Sweep { training, .. })
            | Self::Adam(Adam { training, .. })
            | Self::Sgd(Sgd { training, .. }) => Some(training),
            Self::Ncg(_) | Self::Lbfgs(_) | Self::GaussNewton(_) | Self::Kfac(_) => None,
        }
    }

    /// The same with another horizon, where there is one.
    pub fn with_epochs(self, epochs: f64) -> Self {
        let with = |training| BatchPlan { epochs, ..training };
        match self {
            Self::Sweep(sweep) => Self::Sweep(Sweep { training: with(sweep.training), ..sweep }),
            Self::Adam(adam) => Self::Adam(Adam { training: with(adam.training), ..adam }),
            Self::Sgd(sgd) => Self::Sgd(Sgd { training: with(sgd.training), ..sgd }),
            other => other,
        }
    }

    /// Starts at x. Of `before`, the state of the same method on a problem much like this one, K-FAC takes over λ and the last step; methods
    /// that search try a first step as long as its last, `step_norm`.
    ///
    /// # Errors
    /// What the problem reports, and [`Error::Data`](crate::error::Error::Data) when the state is another method's.
    pub fn start<P: Curved + Stochastic>(
        &self,
        problem: &mut P,
        x: Vector<P>,
        before: Option<(&State<Vector<P>>, f64)>,
    ) -> Result<Box<dyn Optimiser<P>>>
    where
        Vector<P>: 'static,
    {
        let step_norm = before.map(|(_, step_norm)| step_norm).filter(|norm| *norm > 0.0);
        Ok(match *self {
            Self::Ncg(settings) => Box::new(NonlinearCg::new(problem, x, step_norm, settings)?),
            Self::Lbfgs(settings) => Box::new(Lbfgs::new(problem, x, step_norm, settings)?),
            Self::GaussNewton(settings) => Box::new(GaussNewton::new(problem, x, step_norm, settings)?),
            Self::Kfac(settings) => Box::new(Kfac::new(problem, x, before.map(|(state, _)| state), settings)?),
            Self::Sweep(rule) => Box::new(FirstOrder::new(problem, x, rule)?),
            Self::Adam(rule) => Box::new(FirstOrder::new(problem, x, rule)?),
            Self::Sgd(rule) => Box::new(FirstOrder::new(problem, x, rule)?),
        })
    }

    /// Goes on from a saved state.
    ///
    /// # Errors
    /// [`Error::Data`](crate::error::Error::Data) when it is another method's, and what the problem reports.
    pub fn resume<P: Curved + Stochastic>(&self, problem: &P, state: &State<Vector<P>>) -> Result<Box<dyn Optimiser<P>>>
    where
        Vector<P>: 'static,
    {
        Ok(match *self {
            Self::Ncg(settings) => Box::new(NonlinearCg::resume(problem, state, settings)?),
            Self::Lbfgs(settings) => Box::new(Lbfgs::resume(problem, state, settings)?),
            Self::GaussNewton(settings) => Box::new(GaussNewton::resume(problem, state, settings)?),
            Self::Kfac(settings) => Box::new(Kfac::resume(problem, state, settings)?),
            Self::Sweep(rule) => Box::new(FirstOrder::resume(problem, state, rule)?),
            Self::Adam(rule) => Box::new(FirstOrder::resume(problem, state, rule)?),
            Self::Sgd(rule) => Box::new(FirstOrder::resume(problem, state, rule)?),
        })
    }
}
