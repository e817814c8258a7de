//! Optimisers for a deterministic loss, one subset or any smooth function; and first-order methods on mini-batches of it.
//!
//! They are written against [`Space`], so the same code runs on GPU buffers and on `Vec<f64>`, where it is
//! tested on problems with known minima.

mod first_order;
mod gauss_newton;
mod kfac;
mod lbfgs;
mod line_search;
mod method;
mod nonlinear_cg;
mod on_gpu;
mod order;
mod point;
#[cfg(test)]
mod quadratic;
mod space;
mod sweep;
mod training;
mod truncated_cg;

use crate::error::{Result, RunError};
use crate::objective::Batch;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use std::sync::Arc;

pub use first_order::{Adam, FirstOrder, Rule, Sgd, Update};
pub use gauss_newton::{GaussNewton, GaussNewtonSettings, Preconditioner};
pub use kfac::{Kfac, KfacSettings};
pub use lbfgs::{Lbfgs, LbfgsSettings};
pub use line_search::{Found, LineSearch, Trial, Verdict};
pub use method::Method;
pub use nonlinear_cg::{Beta, NcgSettings, NonlinearCg};
pub use on_gpu::{GpuSpace, SubsetProblem};
pub use order::Inclusion;
pub use point::Snapshot;
use point::{Lowest, Point};
pub use space::{Elementwise, Euclidean, Space};
pub use sweep::Sweep;
pub use training::{BatchPlan, Decay};

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

    /// What later calls depend on besides their arguments, such as the last look at the curvature: vectors by name, of any length. A
    /// method that goes on from a saved state needs its problem to [`Problem::remember`] them.
    fn memory(&self) -> Vec<(String, Vector<Self>)> {
        Vec::new()
    }

    /// Takes up what [`Problem::memory`] of the same problem said.
    ///
    /// # Errors
    /// [`Error::Data`](crate::error::Error::Data) when it is another problem's.
    fn remember(&mut self, _memory: &[(String, Vector<Self>)]) -> Result<()> {
        Ok(())
    }
}

/// A problem that knows the curvature of its loss: the Gauss-Newton matrix G, weight decay included.
pub trait Curved: Problem {
    /// product ← G(x) v, perhaps with the G of some of the examples only.
    ///
    /// # Errors
    /// What the device reports; so for the others.
    fn gauss_newton_product(&mut self, x: &Vector<Self>, v: &Vector<Self>, product: &mut Vector<Self>) -> Result<()>;

    /// \[uᵀGu, uᵀGv, vᵀGv\] with the same G at x: cheaper than the products. `gram` is \[uᵀu, uᵀv, vᵀv\], which whoever asks needs, too.
    fn curvature(&mut self, x: &Vector<Self>, directions: [&Vector<Self>; 2], gram: [f64; 3]) -> Result<[f64; 3]>;

    /// Looks at the curvature around x, for the calls of [`Curved::precondition`] that follow.
    fn update_preconditioner(&mut self, x: &Vector<Self>, look: Look) -> Result<()>;

    /// out ← K⁻¹ v, K near G + `damping`·I as it was at the last look.
    fn precondition(&mut self, damping: f64, v: &Vector<Self>, out: &mut Vector<Self>) -> Result<()>;

    /// The same with the diagonal of K alone.
    fn precondition_diagonally(&mut self, damping: f64, v: &Vector<Self>, out: &mut Vector<Self>) -> Result<()>;
}

/// A look at the curvature.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look {
    /// Of what is random in it.
    pub seed: u64,
    /// How much of the looks before is kept: 0 forgets them.
    pub keep: f64,
    /// Whether the mini-batch before, at the same x, is what to look at, rather than a fixed sample of the examples.
    pub at_minibatch: bool,
}

impl Look {
    /// One that forgets those before.
    pub fn anew(seed: u64) -> Self {
        Self { seed, keep: 0.0, at_minibatch: false }
    }
}

/// A problem that is a mean over examples, of which a few tell something.
pub trait Stochastic: Problem<Space: Elementwise> {
    /// How many examples.
    fn examples(&self) -> usize;

    /// How likely each is to be one of an epoch's, where not all are.
    fn inclusion(&self) -> Option<Arc<Inclusion>> {
        None
    }

    /// gradient ← that of the loss over a mini-batch, positions being of 0..[`Stochastic::examples`]. May return before it is
    /// computed: the space's operations come after it. The batch is as long as the one before.
    ///
    /// # Errors
    /// What the device reports; so for the others.
    fn minibatch_gradient(&mut self, x: &Vector<Self>, batch: Batch<'_>, gradient: &mut Vector<Self>) -> Result<()>;

    /// The mean loss over the mini-batches since last asked, each at its own x; not finite when any was. One read-back.
    fn take_minibatch_loss(&mut self) -> Result<f64>;

    /// What all of it has cost up to the mini-batch whose loss was taken last, in examples forward and backward.
    fn units(&self) -> f64;
}

/// A method that lowers the loss of a problem step by step.
pub trait Optimiser<P: Problem> {
    /// One step: a direction and a search along it, or a stretch of mini-batches. A step that stops leaves the parameters where they were.
    fn step(&mut self, problem: &mut P) -> Result<Outcome>;

    /// Where it stands.
    fn snapshot(&self) -> Snapshot<'_, Vector<P>>;

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
        let Snapshot { parameters, loss, gradient_norm, iteration } = self.snapshot();
        let (vectors, numbers) = self.memory();
        State { parameters: parameters.clone(), loss, gradient_norm, iteration, vectors, numbers }
    }
}

/// A method in the middle of its work, as a checkpoint holds it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State<V> {
    /// x
    pub parameters: V,
    /// f(x)
    pub loss: f64,
    /// ‖∇f(x)‖
    pub gradient_norm: f64,
    /// Steps taken.
    pub iteration: u64,
    /// What else the method remembers: vectors by name …
    pub vectors: Vec<(String, V)>,
    /// … and numbers, as JSON, which keeps every bit of them.
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
            loss: self.loss,
            gradient_norm: self.gradient_norm,
            iteration: self.iteration,
            numbers: self.numbers.clone(),
        })
    }

    /// A vector by name.
    ///
    /// # Errors
    /// [`Error::Data`](crate::error::Error::Data) when the state is another method's.
    fn vector(&self, name: &str) -> Result<V>
    where
        V: Clone,
    {
        let found = self.vectors.iter().find(|(other, _)| other == name);
        let missing = || RunError::State { lacks: format!("the vector {name}"), source: None }.into();
        found.map(|(_, vector)| vector.clone()).ok_or_else(missing)
    }

    /// The numbers.
    ///
    /// # Errors
    /// [`Error::Data`](crate::error::Error::Data) when the state is another method's.
    fn numbers<T: DeserializeOwned>(&self) -> Result<T> {
        let invalid = |e| RunError::State { lacks: "the numbers of its method".to_owned(), source: Some(e) }.into();
        serde_json::from_str(&self.numbers).map_err(invalid)
    }
}

/// Vectors of a [`State`].
fn named<V: Clone, const N: usize>(vectors: [(&str, &V); N]) -> Vec<(String, V)> {
    vectors.map(|(name, vector)| (name.to_owned(), vector.clone())).into()
}

/// Numbers of a [`State`].
fn to_json(numbers: &impl Serialize) -> String {
    serde_json::to_string(numbers).expect("numbers are plain data")
}

/// A number that JSON may have had to write as null, because it was not finite.
pub(crate) fn nan_if_null<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

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
    /// The longest step allowed, in the norm of the Fisher matrix: √(2 KL), KL the divergence of the predictions; of the sweep.
    pub radius: Option<f64>,
    /// ρ: the fall of the loss as a multiple of what the quadratic model predicted.
    pub rho: Option<f64>,
    /// Products with the curvature matrix, or whatever else the method repeats inside a step.
    pub inner_iterations: usize,
    /// Why the trial point was not taken, and the parameters stay where they were. The method goes on.
    pub rejected: Option<Rejected>,
    /// Set when no step was taken, and no further one can be.
    #[serde(skip)]
    pub stop: Option<Stop>,
}

impl Outcome {
    /// A step not taken, yet.
    fn before(loss: f64, gradient_norm: f64) -> Self {
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

/// An angle is below a right one if its cosine exceeds this: above what rounding an f32 inner product can fake. On a quadratic, y = g − g₀
/// and s = x − x₀ are so up to a condition of 10¹².
const ACUTE: f64 = 1e-6;

/// Whether a direction with this slope gᵀd, by gᵀg and dᵀd, leads downhill enough to be taken.
fn is_downhill(slope: f64, gg: f64, dd: f64) -> bool {
    slope < -ACUTE * (gg * dd).sqrt()
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
    /// The learning rate has fallen to zero.
    ScheduleEnded,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Converged => "converged: the gradient is zero within its tolerance",
            Self::LineSearchFailed => "no lower loss along the negative gradient: the limit of its precision",
            Self::NotFinite => "the loss or its gradient is not finite",
            Self::ScheduleEnded => "the schedule of the learning rate has ended",
        })
    }
}
