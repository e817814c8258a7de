//! `gpu-subset plan`: what a training would come to, from the numbers of data and model and two seconds of it.

use super::device::DeviceArgs;
use super::output::{say, show};
use super::request::RunRequest;
use super::trained::say_start;
use crate::data::Dataset;
use crate::error::shown;
use crate::run::{Forecast, Fraction, Run, ScheduleName};
use crate::subset::{Plan, WELL_ABOVE_ONE, overdetermination};
use clap::Args;
use serde::Serialize;

#[derive(Args)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    request: RunRequest,
    /// Print JSON on stdout
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

/// What `--json` prints.
#[derive(Serialize)]
struct PlanRecord<'a> {
    data: &'a str,
    data_sha256: &'a str,
    model: &'a str,
    adapter: &'a str,
    /// N
    examples: usize,
    /// M
    classes: usize,
    /// P
    parameters: usize,
    schedule: ScheduleName,
    plan: &'a Plan,
    why: String,
    #[serde(flatten)]
    forecast: &'a Forecast,
}

pub(super) fn run(args: &PlanArgs) -> anyhow::Result<()> {
    let data = args.request.open_data()?;
    let config = args.request.builder(&data, 0.0)?.config()?;
    let (schedule, _) = args.request.method.names()?;
    let gpu = args.device.open()?;
    let run = Run::new(&gpu, &config, &data)?;
    say_start(&run);
    if !args.json {
        say!("measuring for some seconds");
    }
    let parameters = run.model().parameters();
    let forecast = run.forecast()?;
    let q = overdetermination(forecast.subset, data.classes.len(), parameters);
    let record = PlanRecord {
        data: &data.name,
        data_sha256: &data.sha256,
        model: &config.model.name,
        adapter: &gpu.info.name,
        examples: data.train.len(),
        classes: data.classes.len(),
        parameters,
        schedule,
        plan: &config.plan,
        why: why(schedule, forecast.subset, q),
        forecast: &forecast,
    };
    if args.json {
        show!("{}", serde_json::to_string(&record).expect("a plan is plain data"))?;
    } else {
        print(&record, &data)?;
    }
    Ok(())
}

/// Why this schedule, and a first stage or mini-batches of so many examples with this Q.
fn why(schedule: ScheduleName, subset: usize, q: f64) -> String {
    match schedule {
        ScheduleName::Sweep => format!(
            "the cheapest way to a given accuracy wherever it was measured (docs/results.md): one step on each subset \
             of {subset} examples (Q = {q:.2}), since the next tells more than this one's minimum"
        ),
        ScheduleName::Paper => {
            let small = if q < WELL_ABOVE_ONE {
                format!("; Q is below {WELL_ABOVE_ONE}, so its minimum may not stand for the whole set's")
            } else {
                String::new()
            };
            format!("one subset of {subset} examples, Q = {q:.1}, to its minimum, then the full set{small}")
        }
        ScheduleName::Growing => format!(
            "from {subset} examples, Q = {q:.1}, each subset four times the one before, while its minimum still helps"
        ),
        ScheduleName::Full => format!("as asked for: all {subset} examples, Q = {q:.1}, in each step"),
        ScheduleName::Minibatch => format!("as asked for: mini-batches of {subset}"),
    }
}

fn print(plan: &PlanRecord<'_>, data: &Dataset) -> anyhow::Result<()> {
    let forecast = plan.forecast;
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    show!(
        "data      {}: N = {} examples {}, M = {} classes",
        shown(plan.data),
        plan.examples,
        data.shape,
        plan.classes
    )?;
    show!("model     {}: P = {} parameters", shown(plan.model), plan.parameters)?;
    show!("device    {}", shown(plan.adapter))?;
    show!(
        "memory    at most {:.0} MiB of the device, data included; activations of {} examples at a time",
        mib(forecast.memory_bytes),
        forecast.chunk
    )?;
    show!("")?;
    show!("fraction  examples K  Q = K·M/P  a pass: epochs  seconds")?;
    let well_above_one = |fraction: &&Fraction| fraction.overdetermination >= WELL_ABOVE_ONE;
    let least = forecast.fractions.iter().rev().find(well_above_one).map(|of| of.one_of);
    for Fraction { one_of, examples, overdetermination, seconds } in &forecast.fractions {
        let mark =
            if Some(*one_of) == least { format!("  the smallest with Q ≥ {WELL_ABOVE_ONE}") } else { String::new() };
        let epochs = *examples as f64 / plan.examples as f64;
        show!("1/{one_of:<8}{examples:>10}{overdetermination:>11.2}{epochs:>16.3}{seconds:>9.2}{mark}")?;
    }
    show!("")?;
    let at_most = if matches!(plan.plan, Plan::Stages { .. }) { "at most " } else { "" };
    show!("schedule  {}: {}", plan.schedule, plan.why)?;
    show!(
        "cost      {at_most}{:.0} units = {:.2} epochs, about {:.2} of them passes through the network",
        forecast.cost_units,
        forecast.cost_epochs,
        forecast.network_epochs
    )?;
    show!(
        "time      {at_most}{:.1} s, by {:.1} s of measuring ({:.1} µs a unit)",
        forecast.seconds,
        forecast.measured_seconds,
        1e6 * forecast.seconds_per_unit
    )?;
    Ok(())
}
