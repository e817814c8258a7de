//! `gpu-subset plan`: what a training would come to, from the numbers of data and model and two seconds of it.

use super::DeviceArgs;
use super::choices::Choices;
use super::config::Config;
use super::run::Run;
use crate::bench::median;
use crate::data::Dataset;
use crate::device::{Buf, Gpu};
use crate::error::{Error, Result};
use crate::objective::Objective;
use crate::optimise::Method;
use crate::subset::{
    Name, Observer, Progress, ScreeningReport, StageKind, StageReport, StepRecord, Subset, Trainer, WELL_ABOVE_ONE,
    overdetermination,
};
use clap::Args;
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

#[derive(Args)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    choices: Choices,
    /// Print JSON on stdout
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Plan {
    data: String,
    data_sha256: String,
    model: String,
    adapter: String,
    /// N
    examples: usize,
    /// M
    classes: usize,
    /// P
    parameters: usize,
    fractions: Vec<Fraction>,
    /// Device memory of the run, at most, and the examples whose activations it holds at a time.
    memory_bytes: u64,
    chunk: usize,
    schedule: Name,
    method: Method,
    /// Examples of the first stage, or of a mini-batch.
    subset: usize,
    why: String,
    /// At most, where a schedule may end a stage early.
    cost_units: f64,
    cost_epochs: f64,
    seconds: f64,
    /// What the prediction is from.
    measured_seconds: f64,
    seconds_per_unit: f64,
}

/// A part of the training set.
#[derive(Serialize)]
struct Fraction {
    one_of: usize,
    /// K
    examples: usize,
    /// Q = K·M/P
    overdetermination: f64,
    /// A gradient of all of it, K units.
    seconds: f64,
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
    /// Of a unit in a gradient of many examples.
    gradient: f64,
    /// Units and seconds of the run, where it was over before the measuring was.
    whole: Option<[f64; 2]>,
    measured: f64,
}

/// Watches a run, and ends it after [`SECONDS`].
#[derive(Default)]
struct Probe {
    records: Vec<StepRecord>,
}

impl Probe {
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

    fn stage(&mut self, _report: &StageReport) -> Result<()> {
        Ok(())
    }

    fn screening(&mut self, _report: &ScreeningReport) -> Result<()> {
        Ok(())
    }

    fn wants_checkpoint(&mut self) -> bool {
        false
    }

    fn checkpoint(&mut self, _progress: &Progress<Vec<f32>>) -> Result<()> {
        Ok(())
    }

    fn is_interrupted(&self) -> bool {
        self.steady()[0] >= SECONDS
    }
}

pub(super) fn run(args: &PlanArgs) -> anyhow::Result<()> {
    let (config, data) = args.choices.prepare(0.0)?;
    let gpu = args.device.open()?;
    let mut run = Run::new(&gpu, &config, &data)?;
    if !args.json {
        eprintln!("measuring for some seconds");
    }
    let stages = stages(&run.trainer);
    let held_out = run.trainer.held_out.as_ref().map_or(0, Objective::len);
    let speed = measure(&mut run, &config, &gpu)?;
    let (cost_units, seconds) = speed.predict(&stages, &config, held_out);
    let (n, parameters) = (data.train.len(), run.model.parameters());
    let fraction = |one_of: usize| Fraction {
        one_of,
        examples: n / one_of,
        overdetermination: overdetermination(n / one_of, run.model.classes, parameters),
        seconds: speed.gradient * (n / one_of) as f64,
    };
    let subset = config.method.training().map_or(stages[0].1, |training| training.batch.min(stages[0].1));
    let plan = Plan {
        data: data.name.clone(),
        data_sha256: data.sha256.clone(),
        model: config.model.name.clone(),
        adapter: gpu.info.name.clone(),
        examples: n,
        classes: run.model.classes,
        parameters,
        fractions: (0..=HALVINGS).map(|k| 1 << k).filter(|&k| k <= n).map(fraction).collect(),
        memory_bytes: gpu.taken_bytes(),
        chunk: run.trainer.workspace.chunk,
        schedule: config.schedule.name,
        method: config.method,
        subset,
        why: why(&config, &run, subset),
        cost_units,
        cost_epochs: cost_units / n as f64,
        seconds,
        measured_seconds: speed.measured,
        seconds_per_unit: speed.per_unit,
    };
    if args.json {
        println!("{}", serde_json::to_string(&plan).expect("a plan is plain data"));
    } else {
        print(&plan, &data, stages.len());
    }
    Ok(())
}

/// Each stage with its examples and passes.
fn stages(trainer: &Trainer) -> Vec<(StageKind, usize, f64)> {
    let subsets =
        trainer.subsets.iter().map(|subset| (StageKind::Subset, subset.len(), trainer.schedule.subset_passes));
    let full = (StageKind::Full, trainer.full.len(), trainer.schedule.full_passes);
    subsets.chain([full]).take(trainer.stages()).collect()
}

/// Trains for some seconds, on some of the examples where a step goes over all of them.
fn measure(run: &mut Run, config: &Config, gpu: &Gpu) -> Result<Speed> {
    let started = Instant::now();
    let is_stochastic = config.method.training().is_some();
    let trainer = &mut run.trainer;
    let first = trainer.first();
    let some = first.len().min(CHUNKS * trainer.workspace.chunk);
    let spread = |i: usize| first.indices[i * first.len() / some];
    let some = Subset::new((0..some).map(spread).collect(), config.seed);
    let initial = run.model.initialise(config.seed);
    if !is_stochastic {
        trainer.full = some.clone();
        trainer.subsets.clear();
        trainer.held_out = None;
        trainer.schedule.full_passes = f64::INFINITY;
    }
    let mut probe = Probe::default();
    let whole = match trainer.run(&initial, None, &mut probe) {
        // the whole run takes no longer than the measuring
        Ok(progress) => Some([progress.cost().units(), progress.wall_seconds]).filter(|_| is_stochastic),
        Err(Error::Interrupted { .. }) => None,
        Err(error) => return Err(error),
    };
    let Some(first) = probe.records.first() else {
        return Err(Error::usage("no step can be taken, so there is nothing to plan"));
    };
    let first = [first.wall_seconds, first.units];
    let [seconds, units, iterations] = probe.steady();
    // after the run, whose first step is to compile what it takes
    let gradient = gradient_seconds(gpu, trainer, &some, &initial)? / some.len() as f64;
    let per_unit = if iterations > 0.0 { seconds / units } else { first[0] / first[1] };
    let per_step = units / iterations.max(1.0);
    let mut speed =
        Speed { first, per_unit, per_step, per_iteration: 0.0, passes: 0.0, gradient, whole, measured: 0.0 };
    if iterations > 0.0 && !is_stochastic {
        speed.per_unit = gradient.min(per_unit);
        speed.per_iteration = (per_unit - speed.per_unit) * units / iterations;
        speed.passes = units / iterations / trainer.full.len() as f64;
    }
    speed.measured = started.elapsed().as_secs_f64();
    Ok(speed)
}

/// Seconds of a gradient over some examples: the median of several.
fn gradient_seconds(gpu: &Gpu, trainer: &Trainer, examples: &Subset, theta: &[f32]) -> Result<f64> {
    let theta = trainer.space.upload(theta)?;
    let gradient: Buf = gpu.alloc("plan.gradient", theta.len())?;
    let mut objective = Objective::new(gpu, &trainer.workspace, &trainer.train, &examples.indices, 0.0)?;
    objective.loss_and_gradient(&theta, &gradient)?; // compiles
    gpu.wait_for_kernels()?; // and no thread is to go on with others
    let (start, mut seconds) = (Instant::now(), Vec::new());
    while seconds.len() < 3 || start.elapsed().as_secs_f64() < GRADIENT_SECONDS {
        let start = Instant::now();
        objective.loss_and_gradient(&theta, &gradient)?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    Ok(median(&seconds))
}

impl Speed {
    /// Units and seconds of a run through stages of so many examples and passes.
    fn predict(&self, stages: &[(StageKind, usize, f64)], config: &Config, held_out: usize) -> (f64, f64) {
        if let Some([units, seconds]) = self.whole {
            return (units, seconds);
        }
        let (mut cost, mut iterations) = (0.0, 0.0);
        for &(stage, examples, passes) in stages {
            let examples = examples as f64;
            let (steps, passes) = if self.passes > 0.0 {
                // the last iteration may go beyond the budget
                let iterations = (passes / self.passes).ceil();
                (iterations, iterations * self.passes)
            } else {
                ((passes * examples / self.per_step.max(1.0)).ceil(), passes)
            };
            let every = config.schedule.look_every(stage);
            let looks = if every > 0 { (steps / every as f64).ceil().max(1.0) } else { 1.0 };
            cost += passes * examples + looks * held_out as f64 / 3.0;
            iterations += steps;
        }
        let [seconds, units] = self.first;
        let steady = (cost - units).max(0.0) * self.per_unit + (iterations - 1.0).max(0.0) * self.per_iteration;
        // a run that ends in its first step takes what that step took
        (cost, seconds.min(seconds * cost / units) + steady)
    }
}

/// Why this schedule, and a first stage or mini-batches of so many examples.
fn why(config: &Config, run: &Run, subset: usize) -> String {
    let q = run.q(subset);
    match config.schedule.name {
        Name::Sweep => format!(
            "the cheapest way to a given accuracy wherever it was measured (docs/results.md): one step on each subset of {subset} examples \
             (Q = {q:.2}), since the next tells more than this one's minimum"
        ),
        Name::Paper => {
            let small = if q < WELL_ABOVE_ONE {
                format!("; Q is below {WELL_ABOVE_ONE}, so its minimum may not stand for the whole set's")
            } else {
                String::new()
            };
            format!("one subset of {subset} examples, Q = {q:.1}, to its minimum, then the full set{small}")
        }
        Name::Growing => {
            format!(
                "from {subset} examples, Q = {q:.1}, each subset four times the one before, while its minimum still helps"
            )
        }
        Name::Full => format!("as asked for: all {subset} examples, Q = {q:.1}, in each step"),
        Name::Minibatch => format!("as asked for: mini-batches of {subset}"),
    }
}

fn print(plan: &Plan, data: &Dataset, stages: usize) {
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!("data      {}: N = {} examples {}, M = {} classes", plan.data, plan.examples, data.shape, plan.classes);
    println!("model     {}: P = {} parameters", plan.model, plan.parameters);
    println!("device    {}", plan.adapter);
    println!(
        "memory    at most {:.0} MiB of the device, data included; activations of {} examples at a time",
        mib(plan.memory_bytes),
        plan.chunk
    );
    println!();
    println!("fraction  examples K  Q = K·M/P  a pass: epochs  seconds");
    let least = plan.fractions.iter().rev().find(|of| of.overdetermination >= WELL_ABOVE_ONE).map(|of| of.one_of);
    for Fraction { one_of, examples, overdetermination, seconds } in &plan.fractions {
        let mark =
            if Some(*one_of) == least { format!("  the smallest with Q ≥ {WELL_ABOVE_ONE}") } else { String::new() };
        let epochs = *examples as f64 / plan.examples as f64;
        println!("1/{one_of:<8}{examples:>10}{overdetermination:>11.2}{epochs:>16.3}{seconds:>9.2}{mark}");
    }
    println!();
    let at_most = if stages > 1 { "at most " } else { "" };
    println!("schedule  {}: {}", plan.schedule, plan.why);
    println!("cost      {at_most}{:.0} units = {:.2} epochs", plan.cost_units, plan.cost_epochs);
    println!(
        "time      {at_most}{:.1} s, by {:.1} s of measuring ({:.1} µs a unit)",
        plan.seconds,
        plan.measured_seconds,
        1e6 * plan.seconds_per_unit
    );
}
