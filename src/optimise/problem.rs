//! What a method minimises, and what it may ask of it.

use super::batch_plan::BatchPlan;
use super::order::Inclusion;
use super::outcome::Stop;
use super::space::{Elementwise, Space};
use crate::batch::Batch;
use crate::cost::{Cost, Units};
use crate::error::Result;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::ops::Add;
use std::sync::Arc;

/// The vectors a problem is posed in.
pub type Vector<P> = <<P as Problem>::Space as Space>::Vector;

/// What an evaluation found. The loss is what methods go by; the rest is for those who watch.
pub trait Evaluated: Clone + Send + 'static {
    /// f(x); not finite where anything on the way was not.
    fn loss(&self) -> f64;
}

impl Evaluated for f64 {
    fn loss(&self) -> f64 {
        *self
    }
}

/// A function to minimise.
pub trait Problem {
    /// Where its parameters and gradients live.
    type Space: Space;

    /// What an evaluation finds.
    type Evaluation: Evaluated;

    /// The space of the parameters.
    fn space(&self) -> &Self::Space;

    /// Evaluates the loss at x; its gradient there is written into `gradient`. The same x gives the same bits. A loss
    /// or gradient that is not finite is a legal answer: the optimiser takes a shorter step.
    ///
    /// # Errors
    /// That of a device that failed.
    fn loss_and_gradient(&mut self, x: &Vector<Self>, gradient: &mut Vector<Self>) -> Result<Self::Evaluation>;

    /// Whether what may be spent on it pays for so much more. A method whose step it does not pay for takes none.
    fn affords(&self, _work: Calls) -> bool {
        true
    }

    /// What later calls depend on besides their arguments, such as Kronecker factors: vectors by name, of any length.
    /// A method that goes on from a saved state needs its problem to [`Problem::remember`] them.
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

/// What a method asks of its problem.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// Calls of [`Problem::loss_and_gradient`].
    pub evaluations: usize,
    /// Calls of [`Curved::gauss_newton_product`].
    pub products: usize,
    /// Calls of [`Curved::curvature`].
    pub planes: usize,
    /// Calls of [`Curved::refresh_preconditioner`] …
    pub refreshes: usize,
    /// … and those that look at the mini-batch before.
    pub looks: usize,
    /// Calls of [`Curved::precondition`], or of [`Curved::precondition_diagonally`], …
    pub preconditions: usize,
    /// … and those among them after a refresh or with another damping.
    pub inversions: usize,
    /// Multiply-adds of the [`Space`]'s operations, for each element of a vector: two of an `axpby`, one where β is 0,
    /// one of an inner product and of a term of a combination, none of a copy.
    pub vectors: usize,
    /// Times that the matrices of the space are orthogonalised.
    pub orthogonalisations: usize,
}

impl Calls {
    /// So many evaluations.
    pub const fn of_evaluations(evaluations: usize) -> Self {
        Self {
            evaluations,
            products: 0,
            planes: 0,
            refreshes: 0,
            looks: 0,
            preconditions: 0,
            inversions: 0,
            vectors: 0,
            orthogonalisations: 0,
        }
    }
}

impl Add for Calls {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self {
            evaluations: self.evaluations + other.evaluations,
            products: self.products + other.products,
            planes: self.planes + other.planes,
            refreshes: self.refreshes + other.refreshes,
            looks: self.looks + other.looks,
            preconditions: self.preconditions + other.preconditions,
            inversions: self.inversions + other.inversions,
            vectors: self.vectors + other.vectors,
            orthogonalisations: self.orthogonalisations + other.orthogonalisations,
        }
    }
}

/// The largest of 0..=`most` whose work a problem affords; none where that of 0 is too much.
pub(super) fn most_affordable<P: Problem>(problem: &P, most: usize, work: impl Fn(usize) -> Calls) -> Option<usize> {
    if problem.affords(work(most)) {
        return Some(most);
    }
    // no step is as long as that, and a configuration may say anything
    let (mut affordable, mut too_much) = (None, most.min(1 << 20));
    while affordable.map_or(0, |least: usize| least + 1) < too_much {
        let middle = affordable.unwrap_or(0).midpoint(too_much);
        if problem.affords(work(middle)) {
            affordable = Some(middle);
        } else {
            too_much = middle;
        }
    }
    affordable
}

/// Why a method stops whose steps take so much at least.
pub(super) fn unaffordable<P: Problem>(problem: &P, least: Calls) -> Option<Stop> {
    (!problem.affords(least)).then_some(Stop::Unaffordable)
}

/// A problem that knows the curvature of its loss: the Gauss-Newton matrix G, weight decay included.
pub trait Curved: Problem {
    /// product ← G(x) v, perhaps with the G of some of the examples only.
    ///
    /// # Errors
    /// What the device reports; so for the others.
    fn gauss_newton_product(&mut self, x: &Vector<Self>, v: &Vector<Self>, product: &mut Vector<Self>) -> Result<()>;

    /// \[uᵀGu, uᵀGv, vᵀGv\] with the same G at x: cheaper than the products. `gram` is \[uᵀu, uᵀv, vᵀv\], which whoever
    /// asks needs, too.
    fn curvature(&mut self, x: &Vector<Self>, directions: [&Vector<Self>; 2], gram: [f64; 3]) -> Result<[f64; 3]>;

    /// Makes the preconditioner K anew from the curvature around x, for the calls of [`Curved::precondition`] that
    /// follow.
    fn refresh_preconditioner(&mut self, x: &Vector<Self>, refresh: Refresh) -> Result<()>;

    /// out ← K⁻¹ v, K near G + `damping`·I as it was at the last refresh.
    fn precondition(&mut self, damping: f64, v: &Vector<Self>, out: &mut Vector<Self>) -> Result<()>;

    /// The same with the diagonal of K alone.
    fn precondition_diagonally(&mut self, damping: f64, v: &Vector<Self>, out: &mut Vector<Self>) -> Result<()>;
}

/// How a preconditioner is made anew.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Refresh {
    /// Seed of the random signs with which the loss Hessian is sampled.
    pub seed: u64,
    /// How much of the preconditioner before is kept: 0 forgets it.
    pub keep: f64,
    /// Whether the mini-batch before, at the same x, is what the curvature is taken from, rather than a fixed sample of
    /// the examples.
    pub at_minibatch: bool,
}

impl Refresh {
    /// One that forgets those before.
    pub fn anew(seed: u64) -> Self {
        Self { seed, keep: 0.0, at_minibatch: false }
    }
}

/// A problem that is a mean over examples, of which a few tell something.
pub trait Stochastic: Problem<Space: Elementwise> {
    /// What mini-batches came to that were not evaluated yet.
    type Sums: Clone + Send + Serialize + DeserializeOwned + 'static;

    /// How many examples.
    fn examples(&self) -> usize;

    /// How likely each is to be one of an epoch's, where not all are.
    fn inclusion(&self) -> Option<Arc<Inclusion>> {
        None
    }

    /// The class of each, where that is known.
    fn labels(&self) -> Option<Vec<u32>> {
        None
    }

    /// gradient ← that of the loss over a mini-batch, positions being of 0..[`Stochastic::examples`]. May return before
    /// it is computed: the space's operations come after it. The batch is as long as the one before.
    ///
    /// # Errors
    /// What the device reports; so for the others.
    fn minibatch_gradient(&mut self, x: &Vector<Self>, batch: Batch<'_>, gradient: &mut Vector<Self>) -> Result<()>;

    /// The mean over the mini-batches since last asked, each at its own x; its loss is not finite when any was. One
    /// read-back.
    fn take_minibatch_evaluation(&mut self) -> Result<Self::Evaluation>;

    /// Whether a stretch of mini-batches should pause here, so that a run can be saved or stopped in the middle of it.
    fn is_to_pause(&self) -> bool {
        false
    }

    /// Hands out what the mini-batches since last asked came to, for a pause: from here on there were none.
    fn suspend_minibatches(&mut self) -> Result<Self::Sums>;

    /// Goes on after the mini-batches that these sums are of, in the same process or in another.
    fn take_up_minibatches(&mut self, batches: &BatchPlan, sums: Self::Sums) -> Result<()>;

    /// What so many mini-batches of so many examples cost with other work beside them, at most.
    fn most(&self, minibatches: u64, examples: usize, _besides: Calls) -> Units {
        Units::new(minibatches as f64 * examples as f64)
    }

    /// What all of it has cost up to the mini-batch whose evaluation was taken last.
    fn cost(&self) -> Cost;
}
