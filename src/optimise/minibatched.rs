//! Methods that go over mini-batches: the loop that the sweep, Adam, stochastic gradient descent and Muon share. Each
//! is an [`UpdateRule`] of it, in a file of its own.

use super::batch_plan::BatchPlan;
use super::optimiser::{Optimiser, Snapshot, State, StateScalars, to_json};
use super::order::Order;
use super::outcome::{Outcome, Stop};
use super::problem::{Calls, Evaluated, Stochastic, Vector};
use super::space::{Elementwise, Space};
use crate::cost::{Cost, Units};
use crate::error::Result;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// How a gradient moves the parameters, and what is remembered of it.
pub trait UpdateRule<P: Stochastic>: Copy + Send + 'static {
    /// Names of the vectors remembered, all zero before [`UpdateRule::start`].
    const MEMORY: &'static [&'static str];

    /// What is common to all rules.
    fn batches(&self) -> &BatchPlan;

    /// η of the weights (η + 1)/(t + η) with which iterates enter their average: it reaches over the last 1/(η + 1) of
    /// a run, about.
    fn averaging(&self) -> f64 {
        7.0
    }

    /// What comes before the first update, at `x`; `memory` is zero.
    ///
    /// # Errors
    /// What the device reports.
    fn start(&self, _problem: &mut P, _x: &Vector<P>, _memory: &mut [Vector<P>]) -> Result<()> {
        Ok(())
    }

    /// What these updates take besides their gradients, t − 1 being the numbers of the range.
    fn work(&self, updates: Range<u64>) -> Calls;

    /// The update of `x` along its mini-batch's `gradient`.
    ///
    /// # Errors
    /// What the device reports.
    fn update(
        &self,
        problem: &mut P,
        at: Update,
        gradient: &Vector<P>,
        memory: &mut [Vector<P>],
        x: &mut Vector<P>,
    ) -> Result<()>;

    /// What the outcome of a step says of its last update, besides the learning rate.
    fn describe(&self, _last: Update, _examples: usize, _outcome: &mut Outcome) {}
}

/// One of many updates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Update {
    /// t, counted from 1.
    pub number: u64,
    /// The learning rate.
    pub rate: f64,
}

/// A method that takes a step of its [`UpdateRule`] for every mini-batch until a budget is spent. One
/// [`Optimiser::step`] is a stretch of mini-batches ([`BatchPlan::batches_per_step`]), so that the host reads back once
/// in a while; it pauses where its problem asks for it ([`Stochastic::is_to_pause`]). Its [`Outcome`] has, unlike that
/// of other methods, the loss averaged over the stretch, each mini-batch at the parameters it met, and the gradient
/// norm of the last one.
pub struct Minibatched<P: Stochastic, R> {
    rule: R,
    /// At whose end the learning rate is 0 and the run over, unless it is constant.
    budget: Units,
    /// The iterate.
    x: Vector<P>,
    /// The average of the iterates, if it is what is reported: recent ones weigh most (polynomial-decay averaging;
    /// Shamir and Zhang 2013, ICML, section 4).
    average: Option<Vector<P>>,
    /// As [`UpdateRule::MEMORY`] names.
    memory: Vec<Vector<P>>,
    loss: f64,
    gradient_norm: f64,
    iteration: u64,
    evaluation: Option<P::Evaluation>,
    spent: Spent,
    /// Where a stretch was paused.
    stretch: Option<Stretch<P::Sums>>,
    order: Order,
    gradient: Vector<P>,
    // the parameters reported before a step, and how far it moved them
    before: Vector<P>,
    moved: Vector<P>,
}

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Spent {
    /// Mini-batches so far, t.
    updates: u64,
    /// What they cost, and what came before the first: in whole numbers, so that a run which goes on counts as one that
    /// was never stopped.
    cost: Cost,
    /// Units that one costs, by those of the last step: a mean, so no whole number.
    of_update: f64,
}

/// A stretch of mini-batches in the middle.
#[derive(Clone, Serialize, Deserialize)]
struct Stretch<S> {
    /// Mini-batches of it so far.
    done: u64,
    /// What these cost, as far as it is known.
    cost: Cost,
    /// What they came to.
    sums: S,
}

/// The numbers of a [`State`].
#[derive(Serialize, Deserialize)]
struct Numbers<S> {
    #[serde(flatten)]
    spent: Spent,
    stretch: Option<Stretch<S>>,
}

/// The vector that a state holds in the middle of a stretch: where it began.
const BEFORE: &str = "before";

impl<P: Stochastic, R: UpdateRule<P>> Minibatched<P, R> {
    /// Starts at x, with a budget, in the order of the examples that follows from the seed. Loss and gradient norm are
    /// infinite until the first step knows better: an evaluation is a cost of other methods that this one does not
    /// need.
    ///
    /// # Errors
    /// What the problem reports; so for the others.
    pub fn new(problem: &mut P, x: Vector<P>, rule: R, budget: Units, seed: u64) -> Result<Self> {
        let (loss, gradient_norm) = (f64::INFINITY, f64::INFINITY);
        let scalars = StateScalars { loss, gradient_norm, ..StateScalars::default() };
        let state = State { parameters: x.clone(), vectors: Vec::new(), scalars };
        let memory = R::MEMORY.iter().map(|_| problem.space().zeros()).collect::<Result<_>>()?;
        let mut method = Self::at(problem, &x, &state, memory, (rule, budget, seed))?;
        let before = problem.cost();
        rule.start(problem, &method.x, &mut method.memory)?;
        method.spent.cost = problem.cost() - before;
        Ok(method)
    }

    /// Goes on from a saved state of the same problem, with the same budget and seed.
    ///
    /// # Errors
    /// [`Error::Data`](crate::error::Error::Data) when it is another method's.
    pub fn resume(problem: &P, state: &State<Vector<P>>, rule: R, budget: Units, seed: u64) -> Result<Self> {
        let memory = R::MEMORY.iter().map(|name| problem.space().copied(&state.vector(name)?));
        let memory = memory.collect::<Result<_>>()?;
        let iterate = if rule.batches().average { state.vector("iterate")? } else { state.parameters.clone() };
        let Numbers { spent, stretch } = state.numbers()?;
        let mut method = Self::at(problem, &iterate, state, memory, (rule, budget, seed))?;
        if stretch.is_some() {
            problem.space().copy(&state.vector(BEFORE)?, &mut method.before)?;
        }
        Ok(Self { spent, stretch, ..method })
    }

    /// At x with memory of its own, since updates are in place.
    fn at(
        problem: &P,
        x: &Vector<P>,
        state: &State<Vector<P>>,
        memory: Vec<Vector<P>>,
        (rule, budget, seed): (R, Units, u64),
    ) -> Result<Self> {
        let (space, batches) = (problem.space(), rule.batches());
        let of_update = batches.batch_of(problem.examples()) as f64;
        let labels = if batches.spread { problem.labels() } else { None };
        let average = batches.average.then(|| space.copied(&state.parameters)).transpose()?;
        Ok(Self {
            x: space.copied(x)?,
            average,
            memory,
            loss: state.scalars.loss,
            gradient_norm: state.scalars.gradient_norm,
            iteration: state.scalars.iteration,
            evaluation: None,
            spent: Spent { updates: 0, cost: Cost::default(), of_update },
            stretch: None,
            order: Order::new(*batches, seed, problem.examples(), problem.inclusion(), labels),
            gradient: space.zeros()?,
            before: space.zeros()?,
            moved: space.zeros()?,
            rule,
            budget,
        })
    }

    /// What the first mini-batches of a stretch cost with their updates, at most: the same where it was paused.
    fn most(&self, problem: &P, count: u64) -> Units {
        let updates = self.spent.updates - self.stretch.as_ref().map_or(0, |stretch| stretch.done);
        let examples = problem.examples();
        let averages = if self.average.is_some() { 2 * count as usize } else { 0 };
        let averages = Calls { vectors: averages, ..Calls::default() };
        problem.most(count, self.rule.batches().batch_of(examples), self.rule.work(updates..updates + count) + averages)
    }

    fn reported(&self) -> &Vector<P> {
        self.average.as_ref().unwrap_or(&self.x)
    }

    /// Mini-batches `done..count` of a stretch; returns the last update, and how many were done by then: fewer where it
    /// was paused. What they cost is known afterwards: on the way it is reckoned with what those before did.
    fn run(&mut self, problem: &mut P, done: u64, count: u64) -> Result<(Update, u64)> {
        let (batches, examples) = (*self.rule.batches(), problem.examples());
        let Spent { cost, of_update, .. } = self.spent;
        let mut update = Update { number: self.spent.updates, rate: 0.0 };
        for i in done..count {
            // one at least, or it would never come to an end
            if i > done && problem.is_to_pause() {
                return Ok((update, i));
            }
            let batch = self.order.batch(self.spent.updates);
            problem.minibatch_gradient(&self.x, batch, &mut self.gradient)?;
            self.spent.updates += 1;
            update.number = self.spent.updates;
            let spent = cost.units().count() + i as f64 * of_update;
            update.rate = batches.rate(examples, self.budget, spent);
            let Self { x, gradient, memory, .. } = self;
            self.rule.update(problem, update, gradient, memory, x)?;
            if let Some(average) = &mut self.average {
                // iterate number t, from 1; the first has weight 1
                let (eta, t) = (self.rule.averaging(), self.spent.updates as f64);
                problem.space().average((eta + 1.0) / (t + eta), x, average)?;
            }
        }
        Ok((update, count))
    }

    /// Takes note of where a stretch begins, or goes on with one that was paused: how many of its mini-batches are
    /// done, and what they cost.
    fn begin(&mut self, problem: &mut P) -> Result<(u64, Cost)> {
        if let Some(Stretch { done, cost, sums }) = self.stretch.take() {
            problem.take_up_minibatches(self.rule.batches(), sums)?;
            return Ok((done, cost));
        }
        let reported = self.average.as_ref().unwrap_or(&self.x);
        problem.space().copy(reported, &mut self.before)?;
        Ok((0, Cost::default()))
    }

    /// Back to where the step began, and no further: what the method remembers is spoilt.
    fn step_back(&mut self, problem: &P) -> Result<()> {
        self.loss = f64::NAN;
        let Self { average, x, before, .. } = self;
        average.iter_mut().chain([x]).try_for_each(|to| problem.space().copy(before, to))
    }
}

impl<P: Stochastic, R: UpdateRule<P>> Optimiser<P> for Minibatched<P, R> {
    fn step(&mut self, problem: &mut P) -> Result<Outcome> {
        let mut outcome = Outcome::before(self.loss, self.gradient_norm);
        let (plan, spent) = (self.rule.batches(), self.spent.cost.units());
        let count = plan.next_step(problem.examples(), self.budget, spent, |count| self.most(problem, count));
        if self.loss.is_nan() {
            outcome.stop = Some(Stop::NotFinite);
        } else if count == 0 {
            outcome.stop = Some(Stop::ScheduleEnded);
        }
        if outcome.stop.is_some() {
            return Ok(outcome);
        }

        let (done, earlier_cost) = self.begin(problem)?;
        let before = problem.cost();
        let (last, done) = self.run(problem, done, count)?;
        if done < count {
            let sums = problem.suspend_minibatches()?;
            self.stretch = Some(Stretch { done, cost: earlier_cost + (problem.cost() - before), sums });
            outcome.stop = Some(Stop::Paused);
            return Ok(outcome);
        }
        outcome.step_length = last.rate;
        self.rule.describe(last, problem.examples(), &mut outcome);
        outcome.evaluations = count as usize;
        let evaluation = problem.take_minibatch_evaluation()?;
        let loss = evaluation.loss();
        self.evaluation = Some(evaluation);
        let reported = self.average.as_ref().unwrap_or(&self.x);
        problem.space().combine(&[(1.0, reported), (-1.0, &self.before)], &mut self.moved)?;
        let (d, g) = (&self.moved, &self.gradient);
        let [moved, slope] = problem.space().dots([(d, d), (g, g)])?.map(f64::sqrt);
        let cost = earlier_cost + (problem.cost() - before);
        self.spent.cost += cost;
        self.spent.of_update = cost.units().count() / count as f64;
        (self.loss, self.gradient_norm) = (loss, slope);
        (outcome.loss, outcome.gradient_norm) = (loss, slope);
        if !(loss.is_finite() && slope.is_finite() && moved.is_finite()) {
            self.step_back(problem)?;
            outcome.stop = Some(Stop::NotFinite);
            return Ok(outcome);
        }
        self.iteration += 1;
        outcome.step_norm = moved;
        Ok(outcome)
    }

    /// The loss is the mean over the mini-batches of the last step, the gradient norm that of the last of them.
    fn snapshot(&self) -> Snapshot<'_, P> {
        let Self { loss, gradient_norm, iteration, evaluation, .. } = self;
        Snapshot {
            parameters: self.reported(),
            loss: *loss,
            gradient_norm: *gradient_norm,
            iteration: *iteration,
            evaluation: evaluation.as_ref(),
        }
    }

    fn memory(&self) -> (Vec<(String, Vector<P>)>, String) {
        let names = R::MEMORY.iter().map(|&name| name.to_owned());
        let mut vectors: Vec<_> = names.zip(self.memory.iter().cloned()).collect();
        if self.average.is_some() {
            vectors.push(("iterate".to_owned(), self.x.clone()));
        }
        if self.stretch.is_some() {
            vectors.push((BEFORE.to_owned(), self.before.clone()));
        }
        (vectors, to_json(&Numbers { spent: self.spent, stretch: self.stretch.clone() }))
    }
}
