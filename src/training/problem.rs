//! An objective as something to minimise.

use super::answer::RankAnswer;
use super::local::LocalProblem;
use super::prices::Prices;
use super::request::Request;
use super::space::GpuSpace;
use super::team::Team;
use crate::batch::{Batch, Looks};
use crate::cost::{Cost, Units};
use crate::device::Buf;
use crate::error::{Result, RunError};
use crate::kernels::selection::threshold;
use crate::objective::{Evaluation, Kronecker, MinibatchSums, Objective};
use crate::optimise::{BatchPlan, Calls, Curved, Evaluated, Inclusion, Problem, Refresh, Rule, Stochastic};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The loss over a subset as something to minimise: all of it, or mini-batches of it. Its examples may be shared out
/// among the ranks of a team, whose rank 0 has the problem.
pub struct SubsetProblem {
    local: LocalProblem,
    team: Team,
    space: GpuSpace,
    prices: Prices,
    inclusion: Option<Arc<Inclusion>>,
    /// Whether its factors hold anything: a run that goes on remembers them.
    has_factors: bool,
    /// How often its factors were made anew.
    refreshes: u64,
    /// What it has cost other ranks.
    others_cost: Cost,
    /// Examples of a mini-batch of a team, and what those before a pause came to.
    minibatch: usize,
    earlier_sums: MinibatchSums,
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
        Self::of_team(objective, Team::alone())
    }

    /// The same shared out among ranks, the others of which have opened it.
    ///
    /// # Errors
    /// As [`SubsetProblem::new`].
    pub(crate) fn of_team(objective: Objective, team: Team) -> Result<Self> {
        let space = GpuSpace::new(objective.gpu(), &objective.workspace().model)?;
        let prices = Self::prices(&objective, Looks::USUAL);
        let local = LocalProblem::new(objective, team.share());
        let (inclusion, has_factors, refreshes, allowance) = (None, false, 0, None);
        Ok(Self {
            local,
            team,
            space,
            prices,
            inclusion,
            has_factors,
            refreshes,
            others_cost: Cost::default(),
            minibatch: 0,
            earlier_sums: MinibatchSums::default(),
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
        self.local.objective()
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
        self.local.prepare(rule)?;
        self.prices = Self::prices(self.local.objective(), self.local.looks());
        Ok(())
    }

    /// What all ranks answer at these points; where that is a vector, this one finds its own in `out`.
    fn ask(&mut self, request: &Request, at: &[&Buf], out: Option<&Buf>) -> Result<RankAnswer> {
        let points = at.iter().map(|point| self.space.download(point)).collect::<Result<Vec<_>>>()?;
        self.team.ask(request, &points)?;
        let answer = self.team.joined(self.local.answer(request, at, out))?;
        self.others_cost += answer.cost;
        Ok(answer)
    }

    /// The same where they answer with a vector, which is put into `out`.
    fn ask_for(&mut self, request: &Request, at: &[&Buf], out: &Buf) -> Result<RankAnswer> {
        let answer = self.ask(request, at, Some(out))?;
        self.objective().gpu().write(out, &answer.vector);
        self.space.freeze(out)?;
        Ok(answer)
    }

    /// The factors of all ranks' looks, so much of those before being kept.
    fn look_together(&mut self, x: &Buf, Refresh { seed, keep, at_minibatch }: Refresh) -> Result<()> {
        let before = match keep > 0.0 {
            true => self.kronecker()?.values()?,
            false => Vec::new(),
        };
        let RankAnswer { numbers, vector, .. } = self.ask(&Request::Look { seed, at_minibatch }, &[x], None)?;
        let examples: f64 = numbers.iter().map(|number| number.value()).sum();
        let scale = ((1.0 - keep) / examples) as f32;
        let mut mean: Vec<f32> = vector.iter().map(|sum| scale * sum).collect();
        mean.iter_mut().zip(&before).for_each(|(mean, before)| *mean += keep as f32 * before);
        self.kronecker()?.set_values(&mean);
        Ok(())
    }

    /// The gradient of a mini-batch of all ranks; a choice among its examples is by one threshold.
    fn minibatch_together(&mut self, x: &Buf, batch: Batch<'_>, gradient: &Buf) -> Result<()> {
        let (examples, request) = (batch.positions.len(), Request::minibatch(batch));
        self.minibatch = examples;
        if batch.draw.is_none() {
            return self.ask_for(&request, &[x], gradient).map(|_| ());
        }
        let scores: Vec<f64> = self.ask(&request, &[x], Some(gradient))?.vector.into_iter().map(f64::from).collect();
        let chosen = Request::Chosen { examples, threshold: threshold(&scores) as f32 };
        self.ask_for(&chosen, &[], gradient).map(|_| ())
    }

    /// What the mini-batches of all ranks since last asked came to.
    fn sums_together(&mut self, charge: bool) -> Result<MinibatchSums> {
        let request = Request::Sums { examples: self.minibatch, charge };
        Ok(self.ask(&request, &[], None)?.sums.unwrap_or_default())
    }

    fn kronecker(&mut self) -> Result<&mut Kronecker> {
        Ok(self.local.kronecker()?.expect("rank 0 has the first block of whatever is shared out"))
    }

    /// The factors that were refreshed before, or taken over: a checkpoint may lack them.
    fn factors(&mut self) -> Result<&mut Kronecker> {
        let lacks = || RunError::State { lacks: "the Kronecker factors".to_owned(), source: None }.into();
        self.local.known_kronecker().filter(|_| self.has_factors).ok_or_else(lacks)
    }

    /// How often what it remembers was made anew.
    pub fn refreshes(&self) -> u64 {
        self.refreshes
    }

    /// The λ whose inverses were charged since the factors were made anew: a run that goes on remembers it with them.
    pub fn paid_for(&self) -> Option<f64> {
        self.local.factors().and_then(Kronecker::paid_for)
    }

    /// Takes over [`SubsetProblem::paid_for`].
    pub fn set_paid_for(&mut self, lambda: Option<f64>) {
        if let Some(kronecker) = self.local.known_kronecker() {
            kronecker.set_paid_for(lambda);
        }
    }

    /// What all of it has cost so far, all ranks together.
    pub fn cost(&self) -> Cost {
        self.local.cost() + self.space.cost() + self.others_cost
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
        if !self.team.is_alone() {
            return self.ask_for(&Request::Gradient, &[x], gradient)?.evaluation();
        }
        let (_, (_, found)) = self.local.gradient(x, gradient)?.expect("who is alone has all");
        self.space.freeze(gradient).map(|()| found)
    }

    fn affords(&self, work: Calls) -> bool {
        let more = self.prices.of(work, self.objective().len(), None).units();
        self.allowance.is_none_or(|allowance| self.cost().units() + more <= allowance)
    }

    fn memory(&self) -> Vec<(String, Buf)> {
        self.local.factors().filter(|_| self.has_factors).map_or(Vec::new(), Kronecker::factors)
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
        if !self.team.is_alone() {
            return self.ask_for(&Request::Product, &[x, v], product).map(|_| ());
        }
        self.local.gauss_newton_product(x, v, product)?;
        self.space.freeze(product)
    }

    fn curvature(&mut self, x: &Buf, directions: [&Buf; 2], gram: [f64; 3]) -> Result<[f64; 3]> {
        let [u, v] = directions;
        let of_cross_entropy = match self.team.is_alone() {
            true => self.local.curvature(x, directions)?.expect("who is alone has all").1,
            false => self.ask(&Request::Curvature, &[x, u, v], None)?.numbers()?,
        };
        let decay = self.objective().weight_decay();
        Ok(std::array::from_fn(|i| of_cross_entropy[i] + decay * gram[i]))
    }

    fn refresh_preconditioner(&mut self, x: &Buf, refresh: Refresh) -> Result<()> {
        self.kronecker()?;
        if refresh.keep > 0.0 {
            self.factors()?; // that it keeps a part of
        }
        self.has_factors = true;
        self.refreshes += 1;
        if !self.team.is_alone() {
            return self.look_together(x, refresh);
        }
        self.local.look(x, refresh.seed, refresh.keep, refresh.at_minibatch).map(|_| ())
    }

    fn precondition(&mut self, damping: f64, v: &Buf, out: &mut Buf) -> Result<()> {
        let lambda = damping + self.objective().weight_decay();
        self.factors()?.precondition(lambda, v, out)
    }

    fn precondition_diagonally(&mut self, damping: f64, v: &Buf, out: &mut Buf) -> Result<()> {
        let lambda = damping + self.objective().weight_decay();
        self.factors()?.precondition_diagonally(lambda, v, out)
    }
}

impl Stochastic for SubsetProblem {
    type Sums = MinibatchSums;

    fn examples(&self) -> usize {
        self.objective().len()
    }

    fn inclusion(&self) -> Option<Arc<Inclusion>> {
        self.inclusion.clone()
    }

    fn labels(&self) -> Option<Vec<u32>> {
        Some(self.objective().labels())
    }

    fn minibatch_gradient(&mut self, x: &Buf, batch: Batch<'_>, gradient: &mut Buf) -> Result<()> {
        if !self.team.is_alone() {
            return self.minibatch_together(x, batch, gradient);
        }
        self.local.minibatch_gradient(x, batch, gradient)?;
        self.space.freeze(gradient)
    }

    fn take_minibatch_evaluation(&mut self) -> Result<Evaluation> {
        let sums = match self.team.is_alone() {
            true => None,
            false => Some(self.sums_together(true)?),
        };
        let (earlier, examples) = (std::mem::take(&mut self.earlier_sums), self.minibatch);
        let minibatches = self.local.known_minibatches().expect("a mini-batch ran");
        let Some(sums) = sums else { return minibatches.take_evaluation() };
        minibatches.charge_choice(&earlier, examples);
        minibatches.evaluation(earlier.and(sums), examples)
    }

    fn is_to_pause(&self) -> bool {
        self.pause_at.is_some_and(|at| self.objective().gpu().is_asked_to_stop() || Instant::now() >= at)
    }

    fn suspend_minibatches(&mut self) -> Result<MinibatchSums> {
        if !self.team.is_alone() {
            let earlier = std::mem::take(&mut self.earlier_sums);
            return Ok(earlier.and(self.sums_together(false)?));
        }
        self.local.known_minibatches().expect("a mini-batch ran").suspend()
    }

    fn take_up_minibatches(&mut self, batches: &BatchPlan, sums: MinibatchSums) -> Result<()> {
        let examples = batches.batch_of(self.objective().len());
        let minibatches = self.local.minibatches(examples, batches.select)?.expect("rank 0 has the first block");
        if self.team.is_alone() {
            minibatches.take_up(sums);
        } else {
            (self.minibatch, self.earlier_sums) = (examples, sums);
        }
        Ok(())
    }

    fn most(&self, minibatches: u64, examples: usize, besides: Calls) -> Units {
        let of_minibatch = Kronecker::looks_at(self.objective(), self.local.looks(), examples);
        let one = self.prices.minibatch(examples).units().count();
        Units::new(minibatches as f64 * one) + self.prices.of(besides, self.objective().len(), of_minibatch).units()
    }

    fn cost(&self) -> Cost {
        Self::cost(self)
    }
}
