//! An objective as something to minimise.

use super::prices::{Prices, curvature_examples};
use super::space::GpuSpace;
use crate::batch::{Batch, Looks};
use crate::cost::{Cost, Units};
use crate::device::Buf;
use crate::error::{Result, RunError};
use crate::objective::{Evaluation, Kronecker, MinibatchSums, Minibatches, Objective};
use crate::optimise::{BatchPlan, Calls, Curved, Evaluated, Inclusion, Problem, Refresh, Rule, Stochastic};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The loss over a subset as something to minimise: all of it, or mini-batches of it.
pub struct SubsetProblem {
    objective: Objective,
    space: GpuSpace,
    prices: Prices,
    inclusion: Option<Arc<Inclusion>>,
    /// Mini-batches of the subset, once asked for.
    minibatches: Option<Minibatches>,
    /// Examples that tell the curvature, once asked for.
    curvature: Option<Objective>,
    kronecker: Option<Kronecker>,
    /// What its factors are estimated from.
    looks: Looks,
    /// Whether these hold anything: a run that goes on remembers them.
    has_factors: bool,
    /// How often its factors were made anew.
    refreshes: u64,
    /// What mini-batches of another size have cost.
    earlier_cost: Cost,
    /// When a stretch of mini-batches comes back before its end.
    pause_at: Option<Instant>,
    /// What all of it may cost.
    allowance: Option<Units>,
}

impl SubsetProblem {
    /// An objective and the space of its parameters.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::error::Error::OutOfMemory).
    pub fn new(objective: Objective) -> Result<Self> {
        let space = GpuSpace::new(objective.gpu(), &objective.workspace().model)?;
        let prices = Self::prices(&objective, Looks::USUAL);
        let (minibatches, curvature, kronecker) = (None, None, None);
        let earlier_cost = Cost::default();
        let (inclusion, has_factors, refreshes, allowance) = (None, false, 0, None);
        Ok(Self {
            objective,
            space,
            prices,
            inclusion,
            minibatches,
            curvature,
            kronecker,
            looks: Looks::USUAL,
            has_factors,
            refreshes,
            earlier_cost,
            pause_at: None,
            allowance,
        })
    }

    fn prices(objective: &Objective, looks: Looks) -> Prices {
        Prices::new(&objective.workspace().model, objective.examples().multiply_adds_of_copy(), looks)
    }

    /// Affords no more from now on than so much in all.
    pub fn set_allowance(&mut self, allowance: Units) {
        self.allowance = Some(allowance);
    }

    /// The loss over the subset.
    pub fn objective(&self) -> &Objective {
        &self.objective
    }

    /// Takes an epoch's examples with these probabilities from now on, all as likely where there are none.
    pub fn set_inclusion(&mut self, inclusion: Option<Arc<Inclusion>>) {
        self.inclusion = inclusion;
    }

    /// Lets a stretch of mini-batches come back before its end if it takes longer than this, or at once when the device
    /// is asked to stop.
    pub fn pause_after(&mut self, seconds: Duration) {
        self.pause_at = Some(Instant::now() + seconds);
    }

    /// Records what a rule will run, so that its kernels are compiled while others run.
    ///
    /// # Errors
    /// What the device reports.
    pub fn prepare(&mut self, rule: &Rule) -> Result<()> {
        let batches = rule.batches();
        self.looks = rule.looks();
        self.prices = Self::prices(&self.objective, self.looks);
        self.minibatches(batches.batch_of(self.objective.len()), batches.select)?;
        if rule.is_preconditioned() {
            self.kronecker()?;
        }
        Ok(())
    }

    /// Mini-batches of so many examples, all or a choice of which go backward.
    fn minibatches(&mut self, examples: usize, selects: bool) -> Result<&mut Minibatches> {
        if let Some(others) = self.minibatches.take_if(|known| !known.are(examples, selects)) {
            self.earlier_cost += others.cost();
        }
        if self.minibatches.is_none() {
            self.minibatches = Some(Minibatches::new(&self.objective, examples, selects)?);
        }
        Ok(self.minibatches.as_mut().expect("just made"))
    }

    /// The examples that tell the curvature (Martens 2010, section 4.5, takes it from a sample as well).
    fn curvature_sample(&mut self) -> Result<&mut Objective> {
        if self.curvature.is_none() {
            self.curvature = Some(self.objective.sample(curvature_examples(self.objective.len()))?);
        }
        Ok(self.curvature.as_mut().expect("just made"))
    }

    fn kronecker(&mut self) -> Result<&mut Kronecker> {
        if self.kronecker.is_none() {
            self.kronecker = Some(Kronecker::new(&self.objective, self.looks)?);
        }
        Ok(self.kronecker.as_mut().expect("just made"))
    }

    /// The factors that were refreshed before, or taken over: a checkpoint may lack them.
    fn factors(&mut self) -> Result<&mut Kronecker> {
        let lacks = || RunError::State { lacks: "the Kronecker factors".to_owned(), source: None }.into();
        self.kronecker.as_mut().filter(|_| self.has_factors).ok_or_else(lacks)
    }

    /// How often what it remembers was made anew.
    pub fn refreshes(&self) -> u64 {
        self.refreshes
    }

    /// The λ whose inverses were charged since the factors were made anew: a run that goes on remembers it with them.
    pub fn paid_for(&self) -> Option<f64> {
        self.kronecker.as_ref().and_then(Kronecker::paid_for)
    }

    /// Takes over [`SubsetProblem::paid_for`].
    pub fn set_paid_for(&mut self, lambda: Option<f64>) {
        if let Some(kronecker) = &mut self.kronecker {
            kronecker.set_paid_for(lambda);
        }
    }

    /// What all of it has cost so far.
    pub fn cost(&self) -> Cost {
        let minibatches = self.minibatches.as_ref().map_or(Cost::default(), Minibatches::cost);
        let curvature = self.curvature.as_ref().map_or(Cost::default(), Objective::cost);
        let kronecker = self.kronecker.as_ref().map_or(Cost::default(), Kronecker::cost);
        self.objective.cost() + self.space.cost() + self.earlier_cost + minibatches + curvature + kronecker
    }
}

impl Evaluated for Evaluation {
    fn loss(&self) -> f64 {
        self.loss
    }
}

impl Problem for SubsetProblem {
    type Space = GpuSpace;
    type Evaluation = Evaluation;

    fn space(&self) -> &GpuSpace {
        &self.space
    }

    fn loss_and_gradient(&mut self, x: &Buf, gradient: &mut Buf) -> Result<Evaluation> {
        let found = self.objective.loss_and_gradient(x, gradient)?;
        self.space.freeze(gradient).map(|()| found)
    }

    fn affords(&self, work: Calls) -> bool {
        let more = self.prices.of(work, self.objective.len(), None).units();
        self.allowance.is_none_or(|allowance| self.cost().units() + more <= allowance)
    }

    fn memory(&self) -> Vec<(String, Buf)> {
        self.kronecker.as_ref().filter(|_| self.has_factors).map_or(Vec::new(), Kronecker::factors)
    }

    fn remember(&mut self, memory: &[(String, Buf)]) -> Result<()> {
        self.refreshes += 1;
        if !memory.is_empty() {
            self.kronecker()?.restore(memory)?;
            self.has_factors = true;
        }
        Ok(())
    }
}

impl Curved for SubsetProblem {
    fn gauss_newton_product(&mut self, x: &Buf, v: &Buf, product: &mut Buf) -> Result<()> {
        self.curvature_sample()?.gauss_newton_product(x, v, product)?;
        self.space.freeze(product)
    }

    fn curvature(&mut self, x: &Buf, directions: [&Buf; 2], gram: [f64; 3]) -> Result<[f64; 3]> {
        let sample = self.curvature_sample()?;
        let of_cross_entropy = sample.curvature(x, directions)?;
        let decay = sample.weight_decay();
        Ok(std::array::from_fn(|i| of_cross_entropy[i] + decay * gram[i]))
    }

    fn refresh_preconditioner(&mut self, x: &Buf, refresh: Refresh) -> Result<()> {
        self.kronecker()?;
        if refresh.keep > 0.0 {
            self.factors()?; // that it keeps a part of
        }
        self.has_factors = true;
        self.refreshes += 1;
        let Self { minibatches, kronecker: Some(kronecker), .. } = self else { unreachable!("just made") };
        let activations = minibatches.as_ref().filter(|_| refresh.at_minibatch).and_then(Minibatches::activations);
        match activations {
            Some(activations) => kronecker.update_at(&activations, refresh.seed, refresh.keep),
            None => kronecker.update(x, refresh.seed, refresh.keep),
        }
    }

    fn precondition(&mut self, damping: f64, v: &Buf, out: &mut Buf) -> Result<()> {
        let lambda = damping + self.objective.weight_decay();
        self.factors()?.precondition(lambda, v, out)
    }

    fn precondition_diagonally(&mut self, damping: f64, v: &Buf, out: &mut Buf) -> Result<()> {
        let lambda = damping + self.objective.weight_decay();
        self.factors()?.precondition_diagonally(lambda, v, out)
    }
}

impl Stochastic for SubsetProblem {
    type Sums = MinibatchSums;

    fn examples(&self) -> usize {
        self.objective.len()
    }

    fn inclusion(&self) -> Option<Arc<Inclusion>> {
        self.inclusion.clone()
    }

    fn labels(&self) -> Option<Vec<u32>> {
        Some(self.objective.labels())
    }

    fn minibatch_gradient(&mut self, x: &Buf, batch: Batch<'_>, gradient: &mut Buf) -> Result<()> {
        self.minibatches(batch.positions.len(), batch.draw.is_some())?.gradient(x, batch, gradient)?;
        self.space.freeze(gradient)
    }

    fn take_minibatch_evaluation(&mut self) -> Result<Evaluation> {
        self.minibatches.as_mut().expect("a mini-batch ran").take_evaluation()
    }

    fn is_to_pause(&self) -> bool {
        self.pause_at.is_some_and(|at| self.objective.gpu().is_asked_to_stop() || Instant::now() >= at)
    }

    fn suspend_minibatches(&mut self) -> Result<MinibatchSums> {
        self.minibatches.as_mut().expect("a mini-batch ran").suspend()
    }

    fn take_up_minibatches(&mut self, batches: &BatchPlan, sums: MinibatchSums) -> Result<()> {
        self.minibatches(batches.batch_of(self.objective.len()), batches.select)?.take_up(sums);
        Ok(())
    }

    fn most(&self, minibatches: u64, examples: usize, besides: Calls) -> Units {
        let of_minibatch = Kronecker::looks_at(&self.objective, self.looks, examples);
        let one = self.prices.minibatch(examples).units().count();
        Units::new(minibatches as f64 * one) + self.prices.of(besides, self.objective.len(), of_minibatch).units()
    }

    fn cost(&self) -> Cost {
        Self::cost(self)
    }
}
