//! `gpu-subset bench sweep`: where the time of a sweep's step goes, dispatch by dispatch.

use super::output::show;
use crate::bench::median;
use crate::data::{Dataset, ReadOptions};
use crate::device::{DispatchTime, Gpu};
use crate::error::{Error, Result};
use crate::optimise::{BatchPlan, Rule, Sweep};
use crate::run::{Config, Run, Schedule};
use crate::subset::StepRecord;
use clap::Args;
use serde::Serialize;
use std::collections::BTreeMap;

/// Options of `bench sweep` alone.
#[derive(Args)]
pub(super) struct BenchSweepArgs {
    /// sweep: the data set to train on
    #[arg(long, value_name = "digits|PATH", default_value = "digits")]
    data: String,
    /// sweep: built-in model or TOML file; by default one that suits the images
    #[arg(long, value_name = "NAME|FILE")]
    model: Option<String>,
    /// sweep: examples of a subset; by default as suits the length of the run
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    batch: Option<u32>,
    /// sweep: epochs to train for, twice
    #[arg(long, value_name = "EPOCHS", default_value_t = 0.2)]
    budget: f64,
}

/// The kernel that ends a step.
const LAST: &str = "natural_update";

/// Where the time of a step goes. What is done every few steps, such as a look, counts by its share of one.
#[derive(Serialize)]
pub(super) struct SweepTimes {
    data: String,
    model: String,
    /// Examples of a subset.
    subset: usize,
    /// Steps that were timed.
    steps: usize,
    /// Median of the seconds of a step in an undisturbed run.
    seconds: f64,
    /// Seconds of its dispatches, each by itself.
    of_dispatches: f64,
    /// Dispatches of a step.
    dispatches: f64,
    /// The dispatches, those that take the most first.
    rows: Vec<DispatchRow>,
}

/// Dispatches of one kernel and one size.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct DispatchRow {
    kernel: &'static str,
    /// Workgroups, at most.
    groups: [usize; 3],
    /// How many there are in a step.
    calls: f64,
    /// Median of the seconds of one.
    seconds: f64,
    /// Seconds of all in a step.
    of_step: f64,
    /// Workgroups, as a share of what keeps the device busy.
    filled: f64,
}

/// Trains twice over: once undisturbed, once each dispatch by itself.
pub(super) fn measure(gpu: &Gpu, args: &BenchSweepArgs) -> Result<SweepTimes> {
    let data = Dataset::open(&args.data, &ReadOptions::default())?;
    let batches = BatchPlan { batch: args.batch.unwrap_or(0) as usize, ..Sweep::default().batches };
    let sweep = Sweep { batches, ..Sweep::default() };
    let mut builder = Run::by(&data, Schedule::Stochastic(Rule::Sweep(sweep))).budget(args.budget);
    if let Some(model) = &args.model {
        builder = builder.model(model);
    }
    let config = builder.config()?;
    let seconds = undisturbed(gpu, &config, &data)?;

    gpu.time_dispatches();
    let mut run = Run::new(gpu, &config, &data)?;
    let mut is_warm = false;
    run.train(&mut |_: &StepRecord| {
        if !std::mem::replace(&mut is_warm, true) {
            gpu.take_dispatch_times(); // of whatever came before, and of the first steps
        }
    })?;
    let times = gpu.take_dispatch_times();
    let (steps, rows) = rows(&times, gpu.profile.workgroups);
    if steps == 0 {
        return Err(Error::usage(format!("--budget {}: too few steps to time; raise it", args.budget)));
    }
    let rule = config.plan.rule().expect("a sweep goes by a rule");
    Ok(SweepTimes {
        data: data.name.clone(),
        model: config.model.name.clone(),
        subset: rule.batches().batch,
        steps,
        seconds,
        of_dispatches: rows.iter().map(|row| row.of_step).sum(),
        dispatches: rows.iter().map(|row| row.calls).sum(),
        rows,
    })
}

/// Seconds of a step, by the records of stretches of steps.
fn undisturbed(gpu: &Gpu, config: &Config, data: &Dataset) -> Result<f64> {
    let mut records: Vec<(f64, usize)> = Vec::new();
    let mut run = Run::new(gpu, config, data)?;
    run.train(&mut |record: &StepRecord| records.push((record.wall_seconds, record.outcome.evaluations)))?;
    let mut seconds: Vec<f64> = records.windows(2).map(|pair| (pair[1].0 - pair[0].0) / pair[1].1 as f64).collect();
    seconds.sort_by(f64::total_cmp);
    if seconds.is_empty() {
        return Err(Error::usage("--budget: too few steps to time; raise it"));
    }
    Ok(median(&seconds))
}

/// The steps that were timed to their end, and their dispatches by kernel and size.
fn rows(times: &[DispatchTime], workgroups: usize) -> (usize, Vec<DispatchRow>) {
    let steps = times.iter().filter(|time| time.kernel == LAST).count();
    let end = times.iter().rposition(|time| time.kernel == LAST).map_or(0, |at| at + 1);
    let mut all: BTreeMap<(&'static str, [usize; 3]), Vec<f64>> = BTreeMap::new();
    for time in &times[..end] {
        all.entry((time.kernel, time.groups)).or_default().push(time.seconds);
    }
    let row = |((kernel, groups), mut seconds): ((&'static str, [usize; 3]), Vec<f64>)| {
        seconds.sort_by(f64::total_cmp);
        DispatchRow {
            kernel,
            groups,
            calls: seconds.len() as f64 / steps as f64,
            seconds: median(&seconds),
            of_step: seconds.iter().sum::<f64>() / steps as f64,
            filled: groups.iter().product::<usize>() as f64 / workgroups as f64,
        }
    };
    let mut rows: Vec<DispatchRow> = all.into_iter().map(row).collect();
    rows.sort_by(|a, b| b.of_step.total_cmp(&a.of_step));
    (steps, rows)
}

pub(super) fn print(times: &SweepTimes) -> Result<()> {
    let SweepTimes { data, model, subset, steps, seconds, of_dispatches, dispatches, rows } = times;
    show!(
        "{model} on {data}, subsets of {subset}: {:.2} ms a step, {:.2} in its {dispatches:.1} dispatches \
         ({steps} steps)",
        1e3 * seconds,
        1e3 * of_dispatches
    )?;
    show!(
        "{:<26} {:>14} {:>7} {:>8} {:>10} {:>10} {:>6}",
        "",
        "workgroups",
        "filled",
        "calls",
        "us a call",
        "us a step",
        ""
    )?;
    for DispatchRow { kernel, groups: [x, y, z], calls, seconds, of_step, filled } in rows {
        show!(
            "{kernel:<26} {:>14} {:>6.0}% {calls:>8.2} {:>10.1} {:>10.1} {:>5.1}%",
            format!("{x}x{y}x{z}"),
            100.0 * filled.min(1.0),
            1e6 * seconds,
            1e6 * of_step,
            100.0 * of_step / of_dispatches
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dispatches_are_counted_to_the_end_of_the_last_step() {
        let time = |kernel, seconds| DispatchTime { kernel, groups: [4, 2, 1], seconds };
        let times = [("a", 1.0), (LAST, 2.0), ("a", 3.0), ("a", 8.0), (LAST, 4.0), ("a", 100.0)];
        let (steps, rows) = rows(&times.map(|(kernel, seconds)| time(kernel, seconds)), 16);
        let row = |kernel, calls, seconds, of_step| DispatchRow {
            kernel,
            groups: [4, 2, 1],
            calls,
            seconds,
            of_step,
            filled: 0.5,
        };
        assert_eq!((steps, rows), (2, vec![row("a", 1.5, 3.0, 6.0), row(LAST, 1.0, 4.0, 3.0)]));
    }
}
