//! Adam and stochastic gradient descent: the conventional baselines, on mini-batches.

use super::order::Order;
use super::{BatchPlan, Elementwise, Optimiser, Outcome, Snapshot, Space, State, Stochastic, Stop, Vector, to_json};
use crate::error::Result;
use crate::kernels::update;
use serde::{Deserialize, Serialize};

/// How a gradient moves the parameters, and what is remembered of it.
pub trait Rule<P: Stochastic>: Copy {
    /// Names of the vectors remembered, all zero at first.
    const MEMORY: &'static [&'static str];

    /// What is common to all rules.
    fn training(&self) -> &BatchPlan;

    /// η of the weights (η + 1)/(t + η) with which iterates enter their average: it reaches over the last 1/(η + 1) of a run, about.
    fn averaging(&self) -> f64 {
        7.0
    }

    /// What comes before the first update, at `x`.
    ///
    /// # Errors
    /// What the device reports.
    fn start(&self, _problem: &mut P, _x: &Vector<P>) -> Result<()> {
        Ok(())
    }

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

/// Adam with its corrections of the bias (Kingma and Ba 2015, arXiv 1412.6980, algorithm 1). The penalty λ/2 ‖x‖² is part of the
/// loss and of its gradient, as with `torch.optim.Adam(weight_decay = λ)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Adam {
    /// β₁, how much of the mean of the gradients an update keeps.
    pub beta1: f64,
    /// β₂, how much of the mean of their squares it keeps.
    pub beta2: f64,
    /// ε, added to the root of the mean square; positive.
    pub epsilon: f64,
    /// Mini-batches and learning rate.
    pub training: BatchPlan,
}

impl Default for Adam {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, training: BatchPlan::default() }
    }
}

impl<P: Stochastic> Rule<P> for Adam {
    const MEMORY: &'static [&'static str] = &["mean", "mean square"];

    fn training(&self) -> &BatchPlan {
        &self.training
    }

    fn update(
        &self,
        problem: &mut P,
        Update { number, rate }: Update,
        gradient: &Vector<P>,
        memory: &mut [Vector<P>],
        x: &mut Vector<P>,
    ) -> Result<()> {
        // rate · (m/c₁) / (√(v/c₂) + ε) = rate √c₂/c₁ · m / (√v + ε √c₂), c = 1 − βᵗ
        let [c1, c2] = [self.beta1, self.beta2].map(|beta| 1.0 - beta.powf(number as f64));
        let (step, epsilon) = (rate * c2.sqrt() / c1, self.epsilon * c2.sqrt());
        let [mean, square] = memory else { unreachable!("as many as MEMORY names") };
        let by = update::Adam { beta1: self.beta1, beta2: self.beta2, step, epsilon };
        problem.space().adam(&by, gradient, [mean, square], x)
    }
}

/// Stochastic gradient descent with momentum as in PyTorch, v ← μ v + g, x ← x − η v (Sutskever and others 2013, ICML, with the
/// learning rate η outside of v); Nesterov's takes g + μ v for v.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sgd {
    /// μ, how much of the velocity an update keeps.
    pub momentum: f64,
    /// Whether the momentum is Nesterov's.
    pub nesterov: bool,
    /// Mini-batches and learning rate.
    pub training: BatchPlan,
}

impl Default for Sgd {
    fn default() -> Self {
        Self { momentum: 0.9, nesterov: false, training: BatchPlan { learning_rate: 0.05, ..BatchPlan::default() } }
    }
}

impl<P: Stochastic> Rule<P> for Sgd {
    const MEMORY: &'static [&'static str] = &["velocity"];

    fn training(&self) -> &BatchPlan {
        &self.training
    }

    fn update(
        &self,
        problem: &mut P,
        Update { rate, .. }: Update,
        gradient: &Vector<P>,
        memory: &mut [Vector<P>],
        x: &mut Vector<P>,
    ) -> Result<()> {
        let (velocity, along) = if self.nesterov { (rate * self.momentum, rate) } else { (rate, 0.0) };
        let by = update::Momentum { momentum: self.momentum, velocity, gradient: along };
        problem.space().momentum(&by, gradient, &mut memory[0], x)
    }
}

/// A method that takes a step of its [`Rule`] for every mini-batch. One [`Optimiser::step`] is a stretch of mini-batches
/// ([`BatchPlan::batches_per_step`]), so that the host reads back once in a while. Its [`Outcome`] has, unlike that of other
/// methods, the loss averaged over the stretch, each mini-batch at the parameters it met, and the gradient norm of the last one.
#[derive(Debug)]
pub struct FirstOrder<V, R> {
    rule: R,
    /// The iterate.
    x: V,
    /// The average of the iterates, if it is what is reported: recent ones weigh most (polynomial-decay averaging; Shamir and Zhang 2013,
    /// ICML, section 4).
    average: Option<V>,
    /// As [`Rule::MEMORY`] names.
    memory: Vec<V>,
    loss: f64,
    gradient_norm: f64,
    iteration: u64,
    spent: Spent,
    order: Order,
    gradient: V,
    // the parameters reported before a step, and how far it moved them
    before: V,
    moved: V,
}

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Spent {
    /// Mini-batches so far, t.
    updates: u64,
    /// What they cost, and what came before the first, in examples forward and backward.
    units: f64,
    /// What one costs, by those of the last step.
    of_update: f64,
}

impl<V: Clone, R: Copy> FirstOrder<V, R> {
    /// Starts at x. Loss and gradient norm are infinite until the first step knows better: an evaluation is a cost of other methods
    /// that this one does not need.
    ///
    /// # Errors
    /// What the problem reports; so for the others.
    pub fn new<P>(problem: &mut P, x: V, rule: R) -> Result<Self>
    where
        P: Stochastic<Space: Space<Vector = V>>,
        R: Rule<P>,
    {
        let state = State {
            parameters: x.clone(),
            loss: f64::INFINITY,
            gradient_norm: f64::INFINITY,
            iteration: 0,
            vectors: Vec::new(),
            numbers: String::new(),
        };
        let memory = R::MEMORY.iter().map(|_| problem.space().zeros()).collect::<Result<_>>()?;
        let mut method = Self::at(problem, &x, &state, memory, rule)?;
        let units = problem.units();
        rule.start(problem, &method.x)?;
        method.spent.units = problem.units() - units;
        Ok(method)
    }

    /// Goes on from a saved state of the same problem.
    ///
    /// # Errors
    /// [`Error::Data`](crate::error::Error::Data) when it is another method's.
    pub fn resume<P>(problem: &P, state: &State<V>, rule: R) -> Result<Self>
    where
        P: Stochastic<Space: Space<Vector = V>>,
        R: Rule<P>,
    {
        let memory = R::MEMORY.iter().map(|name| problem.space().copied(&state.vector(name)?));
        let memory = memory.collect::<Result<_>>()?;
        let iterate = if rule.training().average { state.vector("iterate")? } else { state.parameters.clone() };
        let spent = state.numbers()?;
        Ok(Self { spent, ..Self::at(problem, &iterate, state, memory, rule)? })
    }

    /// At x with memory of its own, since updates are in place.
    fn at<P>(problem: &P, x: &V, state: &State<V>, memory: Vec<V>, rule: R) -> Result<Self>
    where
        P: Stochastic<Space: Space<Vector = V>>,
        R: Rule<P>,
    {
        let space = problem.space();
        let of_update = rule.training().batch_of(problem.examples()) as f64;
        let average = rule.training().average.then(|| space.copied(&state.parameters)).transpose()?;
        Ok(Self {
            rule,
            x: space.copied(x)?,
            average,
            memory,
            loss: state.loss,
            gradient_norm: state.gradient_norm,
            iteration: state.iteration,
            spent: Spent { updates: 0, units: 0.0, of_update },
            order: Order::new(rule.training(), problem.examples(), problem.inclusion()),
            gradient: space.zeros()?,
            before: space.zeros()?,
            moved: space.zeros()?,
        })
    }

    fn reported(&self) -> &V {
        self.average.as_ref().unwrap_or(&self.x)
    }

    /// `count` mini-batches; returns the last update. What they cost is known afterwards: on the way it is reckoned with what
    /// those before did.
    fn run<P>(&mut self, problem: &mut P, count: u64) -> Result<Update>
    where
        P: Stochastic<Space: Space<Vector = V>>,
        R: Rule<P>,
    {
        let (training, examples) = (*self.rule.training(), problem.examples());
        let Spent { units, of_update, .. } = self.spent;
        let mut update = Update { number: self.spent.updates, rate: 0.0 };
        for i in 0..count {
            let batch = self.order.batch(&training, self.spent.updates);
            problem.minibatch_gradient(&self.x, batch, &mut self.gradient)?;
            self.spent.updates += 1;
            update.number = self.spent.updates;
            update.rate = training.rate(examples, units + i as f64 * of_update);
            let Self { x, gradient, memory, .. } = self;
            self.rule.update(problem, update, gradient, memory, x)?;
            if let Some(average) = &mut self.average {
                // iterate number t, from 1; the first has weight 1
                let (eta, t) = (self.rule.averaging(), self.spent.updates as f64);
                problem.space().average((eta + 1.0) / (t + eta), x, average)?;
            }
        }
        Ok(update)
    }
}

impl<P: Stochastic, R: Rule<P>> Optimiser<P> for FirstOrder<Vector<P>, R> {
    fn step(&mut self, problem: &mut P) -> Result<Outcome> {
        let mut outcome = Outcome::before(self.loss, self.gradient_norm);
        let count = self.rule.training().next_step(problem.examples(), self.spent.units);
        if self.loss.is_nan() {
            outcome.stop = Some(Stop::NotFinite);
        } else if count == 0 {
            outcome.stop = Some(Stop::ScheduleEnded);
        }
        if outcome.stop.is_some() {
            return Ok(outcome);
        }

        let reported = self.average.as_ref().unwrap_or(&self.x);
        problem.space().copy(reported, &mut self.before)?;
        let units = problem.units();
        let last = self.run(problem, count)?;
        outcome.step_length = last.rate;
        self.rule.describe(last, problem.examples(), &mut outcome);
        outcome.evaluations = count as usize;
        let loss = problem.take_minibatch_loss()?;
        let cost = problem.units() - units;
        self.spent.units += cost;
        self.spent.of_update = cost / count as f64;
        let reported = self.average.as_ref().unwrap_or(&self.x);
        problem.space().combine(&[(1.0, reported), (-1.0, &self.before)], &mut self.moved)?;
        let (d, g) = (&self.moved, &self.gradient);
        let [moved, slope] = problem.space().dots([(d, d), (g, g)])?.map(f64::sqrt);
        (self.loss, self.gradient_norm) = (loss, slope);
        (outcome.loss, outcome.gradient_norm) = (loss, slope);
        if !(loss.is_finite() && slope.is_finite() && moved.is_finite()) {
            // back to where it stood, and no further: what it remembers is spoilt
            self.loss = f64::NAN;
            self.average.iter_mut().chain([&mut self.x]).try_for_each(|to| problem.space().copy(&self.before, to))?;
            outcome.stop = Some(Stop::NotFinite);
            return Ok(outcome);
        }
        self.iteration += 1;
        outcome.step_norm = moved;
        Ok(outcome)
    }

    /// The loss is the mean over the mini-batches of the last step, the gradient norm that of the last of them.
    fn snapshot(&self) -> Snapshot<'_, Vector<P>> {
        let Self { loss, gradient_norm, iteration, .. } = *self;
        Snapshot { parameters: self.reported(), loss, gradient_norm, iteration }
    }

    fn memory(&self) -> (Vec<(String, Vector<P>)>, String) {
        let mut vectors: Vec<_> =
            R::MEMORY.iter().map(|&name| name.to_owned()).zip(self.memory.iter().cloned()).collect();
        if self.average.is_some() {
            vectors.push(("iterate".to_owned(), self.x.clone()));
        }
        (vectors, to_json(&self.spent))
    }
}
