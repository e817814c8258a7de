//! What a run would come to, from the numbers of data and model and two seconds of it.

use super::assembly::Run;
use crate::bench::median;
use crate::cost::Units;
use crate::device::{Buf, Gpu};
use crate::error::{Error, Result, UsageError};
use crate::objective::Objective;
use crate::subset::{Observer, Plan, StepRecord, Subset, Trainer, overdetermination};
use serde::Serialize;
use std::time::Instant;

/// Seconds of training that are measured.
const SECONDS: f64 = 2.0;

/// Seconds of bare gradients.
const GRADIENT_SECONDS: f64 = 0.5;

/// Chunks of examples that stand for a larger subset.
const CHUNKS: usize = 4;

/// Fractions of the training set in the table: 1, 1/2, … 1/2⁷.
const HALVINGS: u32 = 7;

/// What a run would come to.
#[derive(Clone, Debug, Serialize)]
pub struct Forecast {
    /// Parts of the training set, with their Q and what a pass over them takes.
    pub fractions: Vec<Fraction>,
    /// Device memory of the run, at most, in bytes.
    pub memory_bytes: u64,
    /// Examples whose activations it holds at a time.
    pub chunk: usize,
    /// Examples of the first stage, or of a mini-batch.
    pub subset: usize,
    /// At most, in stages, which may end early; over mini-batches, but for rounding the budget up to whole ones.
    pub cost_units: f64,
    /// The same in epochs.
    pub cost_epochs: f64,
    /// Passes through the network alone, by their share of what was measured.
    pub network_epochs: f64,
    /// Wall time.
    pub seconds: f64,
    /// Seconds of measuring that the prediction is from.
    pub measured_seconds: f64,
    /// Seconds of a unit.
    pub seconds_per_unit: f64,
}

/// A part of the training set.
#[derive(Clone, Debug, Serialize)]
pub struct Fraction {
    /// Its denominator.
    pub one_of: usize,
    /// K
    pub examples: usize,
    /// Q = K·M/P
    pub overdetermination: f64,
    /// Of a gradient of all of it, K units.
    pub seconds: f64,
}

/// How fast a run is.
struct Speed {
    /// From the start to the end of the first step, and its units.
    first: [f64; 2],
    /// Of a unit in the run; where a step goes over all examples, without what an iteration costs besides.
    per_unit: f64,
    /// That, which does not grow with the examples, and an iteration's passes over them.
    per_iteration: f64,
    passes: f64,
    /// Units of a step on mini-batches.
    per_step: f64,
    /// Share of the units that are passes through the network.
    network: f64,
    /// Of a unit in a gradient of many examples.
    gradient: f64,
    /// Units and seconds of the run, where it was over before the measuring was.
    whole: Option<[f64; 2]>,
    measured: f64,
}

/// A stage as the prediction counts it.
struct StageSize {
    examples: f64,
    passes: f64,
    /// What it may cost, its validations included, where that is known.
    most: Option<Units>,
    /// Iterations between two validations; 0: one at the end.
    validate_every: u64,
    /// Examples of a validation.
    held_out: usize,
}

/// Watches a run, and ends it after [`SECONDS`].
#[derive(Default)]
struct Probe {
    records: Vec<StepRecord>,
}

impl Probe {
    /// Passes through the network alone for each unit.
    fn network(&self) -> f64 {
        let last = self.records.last().and_then(|last| Some(last.network_epochs? / last.cost_epochs));
        last.unwrap_or(1.0)
    }

    /// Seconds, units and iterations between the first step, which compiles, and the last.
    fn steady(&self) -> [f64; 3] {
        let (Some(first), Some(last)) = (self.records.first(), self.records.last()) else { return [0.0; 3] };
        let iterations = (self.records.len() - 1) as f64;
        [last.wall_seconds - first.wall_seconds, last.units - first.units, iterations]
    }
}

impl Observer for Probe {
    fn step(&mut self, record: &StepRecord) -> Result<()> {
        self.records.push(record.clone());
        Ok(())
    }

    fn is_interrupted(&self) -> bool {
        self.steady()[0] >= SECONDS
    }
}

impl Run<'_> {
    /// What the run would come to: trains for two seconds, and times a gradient. The run is used up by it.
    ///
    /// # Errors
    /// [`Error::Usage`] when no step can be taken, and what the device reports.
    pub fn forecast(mut self) -> Result<Forecast> {
        let stages = stages(self.trainer());
        let n = self.trainer().sets().train.len();
        let (classes, parameters) = (self.model().classes, self.model().parameters());
        let first = self.trainer().first().len();
        let rule = self.config().plan.rule();
        let subset = rule.map_or(first, |rule| rule.batches().batch.min(first));
        let speed = measure(&mut self)?;
        let (cost, seconds) = speed.predict(&stages);
        let fraction = |one_of: usize| Fraction {
            one_of,
            examples: n / one_of,
            overdetermination: overdetermination(n / one_of, classes, parameters),
            seconds: speed.gradient * (n / one_of) as f64,
        };
        Ok(Forecast {
            fractions: (0..=HALVINGS).map(|k| 1 << k).filter(|&k| k <= n).map(fraction).collect(),
            memory_bytes: self.gpu().taken_bytes(),
            chunk: self.trainer().workspace().chunk,
            subset,
            cost_units: cost.count(),
            cost_epochs: cost.passes(n),
            network_epochs: cost.passes(n) * speed.network,
            seconds,
            measured_seconds: speed.measured,
            seconds_per_unit: speed.per_unit,
        })
    }
}

/// Each stage with its examples and passes.
fn stages(trainer: &Trainer) -> Vec<StageSize> {
    let (plan, held_out) =
        (trainer.plan(), trainer.sets().held_out.as_ref().map_or(0, |held_out| held_out.whole().len()));
    let size = |(i, set): (usize, &Subset)| StageSize {
        examples: set.len() as f64,
        passes: plan.rules(trainer.prices(), i, set.len()).budget.passes(set.len()),
        most: plan.most(trainer.prices(), i, set.len(), held_out),
        validate_every: plan.validation(i).every,
        held_out,
    };
    trainer.sets().stages.iter().enumerate().map(size).collect()
}

/// Trains for some seconds, on some of the examples where a step goes over all of them.
fn measure(run: &mut Run<'_>) -> Result<Speed> {
    let gpu = run.gpu().clone();
    let started = Instant::now();
    let (is_stochastic, seed) = (matches!(run.config().plan, Plan::Stochastic { .. }), run.config().seed);
    let initial = run.model().initialise(seed);
    let trainer = run.trainer_mut();
    let first = trainer.first();
    let some = first.len().min(CHUNKS * trainer.workspace().chunk);
    let spread = |i: usize| first.indices[i * first.len() / some];
    let some = Subset::new((0..some).map(spread).collect(), seed);
    if !is_stochastic {
        trainer.measure_on(some.clone());
    }
    let mut probe = Probe::default();
    let whole = match trainer.run(&initial, None, &mut probe) {
        // the whole run takes no longer than the measuring
        Ok(finished) => {
            let scalars = &finished.progress.scalars;
            Some([scalars.cost().units().count(), scalars.wall_seconds]).filter(|_| is_stochastic)
        }
        Err(Error::Interrupted { .. }) => None,
        Err(error) => return Err(error),
    };
    let Some(first) = probe.records.first() else {
        return Err(UsageError::NoStep.into());
    };
    let first = [first.wall_seconds, first.units];
    let [seconds, units, iterations] = probe.steady();
    // after the run, whose first step is to compile what it takes
    let per_unit = if iterations > 0.0 { seconds / units } else { first[0] / first[1] };
    // as many chunks as take about as long as the training did
    let chunk = trainer.workspace().chunk;
    let chunks = (SECONDS / (per_unit * chunk as f64)) as usize;
    let timed = Subset::new(some.indices[..some.len().min(chunk * chunks.max(1))].to_vec(), seed);
    let gradient = gradient_seconds(&gpu, trainer, &timed, &initial)? / timed.len() as f64;
    let (per_step, network) = (units / iterations.max(1.0), probe.network());
    let mut speed =
        Speed { first, per_unit, per_step, per_iteration: 0.0, passes: 0.0, network, gradient, whole, measured: 0.0 };
    if iterations > 0.0 && !is_stochastic {
        speed.per_unit = gradient.min(per_unit);
        speed.per_iteration = (per_unit - speed.per_unit) * units / iterations;
        speed.passes = units / iterations / some.len() as f64;
    }
    speed.measured = started.elapsed().as_secs_f64();
    Ok(speed)
}

/// Seconds of a gradient over some examples: the median of several, unless one takes long.
fn gradient_seconds(gpu: &Gpu, trainer: &Trainer, examples: &Subset, theta: &[f32]) -> Result<f64> {
    let theta = trainer.space().upload(theta)?;
    let gradient: Buf = gpu.alloc("plan.gradient", theta.len())?;
    let mut objective = Objective::new(gpu, trainer.workspace(), &trainer.sets().train, &examples.indices, 0.0)?;
    objective.loss_and_gradient(&theta, &gradient)?; // compiles
    gpu.wait_for_kernels()?; // and no thread is to go on with others
    let (start, mut seconds) = (Instant::now(), Vec::new());
    let is_enough = |count: usize| match start.elapsed().as_secs_f64() {
        elapsed if elapsed < GRADIENT_SECONDS => false,
        elapsed => count >= 3 || elapsed > SECONDS,
    };
    while !is_enough(seconds.len()) {
        let start = Instant::now();
        objective.loss_and_gradient(&theta, &gradient)?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    Ok(median(&seconds))
}

impl Speed {
    /// Cost and seconds of a run through these stages.
    fn predict(&self, stages: &[StageSize]) -> (Units, f64) {
        if let Some([units, seconds]) = self.whole {
            return (Units::new(units), seconds);
        }
        let (mut cost, mut iterations) = (Units::default(), 0.0);
        for &StageSize { examples, passes, most, validate_every, held_out } in stages {
            let steps = match self.passes > 0.0 {
                true => (passes / self.passes).floor(),
                false => (passes * examples / self.per_step.max(1.0)).ceil(),
            };
            let validations = if validate_every > 0 { (steps / validate_every as f64).ceil().max(1.0) } else { 1.0 };
            let likely = || Units::new(passes * examples + validations * held_out as f64 / 3.0);
            cost = cost + most.unwrap_or_else(likely);
            iterations += steps;
        }
        let [seconds, units] = self.first;
        let rest = (cost.count() - units).max(0.0) * self.per_unit + (iterations - 1.0).max(0.0) * self.per_iteration;
        // a run that ends in its first step takes what that step took
        (cost, seconds.min(seconds * cost.count() / units) + rest)
    }
}
