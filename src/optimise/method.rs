//! The choice of a method, as a configuration holds it.

use super::adam::Adam;
use super::batch_plan::BatchPlan;
use super::gauss_newton::{GaussNewton, GaussNewtonSettings};
use super::kfac::{Kfac, KfacSettings};
use super::lbfgs::{Lbfgs, LbfgsSettings};
use super::minibatched::Minibatched;
use super::muon::Muon;
use super::nonlinear_cg::{NcgSettings, NonlinearCg};
use super::optimiser::{Optimiser, State};
use super::problem::{Calls, Curved, Stochastic, Vector};
use super::sgd::Sgd;
use super::sweep::Sweep;
use super::truncated_cg::Preconditioner;
use crate::batch::Looks;
use crate::cost::Units;
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// A method that evaluates all of a problem in each step, and its choices.
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
}

impl Method {
    /// Whether it asks its problem for a preconditioner.
    pub fn is_preconditioned(&self) -> bool {
        match self {
            Self::Kfac(_) => true,
            Self::GaussNewton(settings) => settings.preconditioner != Preconditioner::None,
            Self::Ncg(_) | Self::Lbfgs(_) => false,
        }
    }

    /// What it takes to start and to make a first step, at least: a stage that gets any passes gets these.
    pub fn first_step(&self) -> Calls {
        // a search asks again what it may take after the products of its start
        let start_of_search = Calls { vectors: 3, ..Calls::default() };
        match self {
            Self::Ncg(_) => NcgSettings::START + start_of_search + NcgSettings::step(1),
            Self::Lbfgs(settings) => LbfgsSettings::START + start_of_search + settings.step(1),
            Self::GaussNewton(settings) => GaussNewtonSettings::START + settings.step(1, 1),
            Self::Kfac(_) => KfacSettings::START + Calls { refreshes: 1, ..KfacSettings::STEP },
        }
    }

    /// What any step takes, at least.
    pub fn least_step(&self) -> Calls {
        match self {
            // one that does not lead downhill is not evaluated
            Self::Kfac(_) => Calls { planes: 1, ..Calls::default() },
            Self::Ncg(_) | Self::Lbfgs(_) | Self::GaussNewton(_) => Calls::of_evaluations(1),
        }
    }

    /// Starts at x. Of `before`, the state of the same method on a problem much like this one, K-FAC takes over λ and
    /// the last step; methods that search try a first step as long as its last, `step_norm`.
    ///
    /// # Errors
    /// What the problem reports, and [`Error::Data`](crate::error::Error::Data) when the state is another method's.
    pub fn start<P: Curved + 'static>(
        &self,
        problem: &mut P,
        x: Vector<P>,
        before: Option<(&State<Vector<P>>, f64)>,
    ) -> Result<Box<dyn Optimiser<P>>> {
        let step_norm = before.map(|(_, step_norm)| step_norm).filter(|norm| *norm > 0.0);
        Ok(match *self {
            Self::Ncg(settings) => Box::new(NonlinearCg::new(problem, x, step_norm, settings)?),
            Self::Lbfgs(settings) => Box::new(Lbfgs::new(problem, x, step_norm, settings)?),
            Self::GaussNewton(settings) => Box::new(GaussNewton::new(problem, x, step_norm, settings)?),
            Self::Kfac(settings) => Box::new(Kfac::new(problem, x, before.map(|(state, _)| state), settings)?),
        })
    }

    /// Goes on from a saved state.
    ///
    /// # Errors
    /// [`Error::Data`](crate::error::Error::Data) when it is another method's, and what the problem reports.
    pub fn resume<P: Curved + 'static>(&self, problem: &P, state: &State<Vector<P>>) -> Result<Box<dyn Optimiser<P>>> {
        Ok(match *self {
            Self::Ncg(settings) => Box::new(NonlinearCg::resume(problem, state, settings)?),
            Self::Lbfgs(settings) => Box::new(Lbfgs::resume(problem, state, settings)?),
            Self::GaussNewton(settings) => Box::new(GaussNewton::resume(problem, state, settings)?),
            Self::Kfac(settings) => Box::new(Kfac::resume(problem, state, settings)?),
        })
    }
}

/// A method that goes over mini-batches until a budget is spent, and its choices.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case")]
pub enum Rule {
    /// K-FAC over one small subset after another.
    Sweep(Sweep),
    /// Adam.
    Adam(Adam),
    /// Stochastic gradient descent with momentum.
    Sgd(Sgd),
    /// Muon.
    Muon(Muon),
}

impl Rule {
    /// How it goes over mini-batches.
    pub fn batches(&self) -> &BatchPlan {
        match self {
            Self::Sweep(Sweep { batches, .. })
            | Self::Adam(Adam { batches, .. })
            | Self::Sgd(Sgd { batches, .. })
            | Self::Muon(Muon { batches, .. }) => batches,
        }
    }

    /// The same with other mini-batches.
    #[must_use]
    pub fn with_batches(self, batches: BatchPlan) -> Self {
        match self {
            Self::Sweep(rule) => Self::Sweep(Sweep { batches, ..rule }),
            Self::Adam(rule) => Self::Adam(Adam { batches, ..rule }),
            Self::Sgd(rule) => Self::Sgd(Sgd { batches, ..rule }),
            Self::Muon(rule) => Self::Muon(Muon { batches, ..rule }),
        }
    }

    /// The same [within a budget](Sweep::within).
    #[must_use]
    pub fn within(self, budget: Units) -> Self {
        match self {
            Self::Sweep(rule) => Self::Sweep(rule.within(budget)),
            other => other,
        }
    }

    /// The same [for a network](Sweep::suiting), of whose factors, from such looks, a product with the inverses and
    /// these cost so many units.
    #[must_use]
    pub fn suiting(self, units: impl Fn(Looks) -> [f64; 2]) -> Self {
        match self {
            Self::Sweep(rule) => Self::Sweep(rule.suiting(units)),
            other => other,
        }
    }

    /// The same for examples whose classes have such an [entropy](Sweep::entropy).
    #[must_use]
    pub fn among_classes(self, entropy: f64) -> Self {
        match self {
            Self::Sweep(rule) => Self::Sweep(Sweep { entropy, ..rule }),
            other => other,
        }
    }

    /// Whether it asks its problem for a preconditioner.
    pub fn is_preconditioned(&self) -> bool {
        matches!(self, Self::Sweep(_))
    }

    /// Whether it is a baseline of first order.
    pub fn is_conventional(&self) -> bool {
        !matches!(self, Self::Sweep(_))
    }

    /// What it looks at for a preconditioner.
    pub fn looks(&self) -> Looks {
        match self {
            Self::Sweep(rule) => rule.looks,
            Self::Adam(_) | Self::Sgd(_) | Self::Muon(_) => Looks::USUAL,
        }
    }

    /// What it takes before the first mini-batch.
    pub fn start_calls(&self) -> Calls {
        match self {
            Self::Sweep(_) => Calls { refreshes: 1, ..Calls::default() },
            Self::Adam(_) | Self::Sgd(_) => Calls::default(),
            Self::Muon(_) => Muon::START,
        }
    }

    /// Starts at x, with a budget, in the order of the examples that follows from the seed.
    ///
    /// # Errors
    /// What the problem reports.
    pub fn start<P: Curved + Stochastic + 'static>(
        &self,
        problem: &mut P,
        x: Vector<P>,
        budget: Units,
        seed: u64,
    ) -> Result<Box<dyn Optimiser<P>>> {
        Ok(match *self {
            Self::Sweep(rule) => Box::new(Minibatched::new(problem, x, rule, budget, seed)?),
            Self::Adam(rule) => Box::new(Minibatched::new(problem, x, rule, budget, seed)?),
            Self::Sgd(rule) => Box::new(Minibatched::new(problem, x, rule, budget, seed)?),
            Self::Muon(rule) => Box::new(Minibatched::new(problem, x, rule, budget, seed)?),
        })
    }

    /// Goes on from a saved state, with the same budget and seed.
    ///
    /// # Errors
    /// [`Error::Data`](crate::error::Error::Data) when it is another method's, and what the problem reports.
    pub fn resume<P: Curved + Stochastic + 'static>(
        &self,
        problem: &P,
        state: &State<Vector<P>>,
        budget: Units,
        seed: u64,
    ) -> Result<Box<dyn Optimiser<P>>> {
        Ok(match *self {
            Self::Sweep(rule) => Box::new(Minibatched::resume(problem, state, rule, budget, seed)?),
            Self::Adam(rule) => Box::new(Minibatched::resume(problem, state, rule, budget, seed)?),
            Self::Sgd(rule) => Box::new(Minibatched::resume(problem, state, rule, budget, seed)?),
            Self::Muon(rule) => Box::new(Minibatched::resume(problem, state, rule, budget, seed)?),
        })
    }
}
