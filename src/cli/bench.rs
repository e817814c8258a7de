//! `gpu-subset bench`

use super::bench_exchange;
use super::bench_sweep::{self, BenchSweepArgs, SweepTimes};
use super::device::DeviceArgs;
use super::output::show;
use super::values::Bytes;
use crate::bench::{self, Case, FactorChain, FactorStep, PassRow, Table};
use crate::error::{Error, shown};
use anyhow::Result;
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

#[derive(Args)]
pub(super) struct BenchArgs {
    /// What to measure; all of it by default
    #[arg(value_enum)]
    what: Option<What>,
    /// Only cases whose name contains this, such as `grad_weight` or `mnist`
    #[arg(long, value_name = "TEXT", default_value = "")]
    filter: String,
    /// Measurements of each case, of which the median is shown
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    repetitions: u64,
    /// Examples of an objective's passes
    #[arg(
        long,
        value_name = "N",
        default_value_t = 12_000,
        value_parser = clap::value_parser!(u64).range(1..=1_000_000)
    )]
    examples: u64,
    /// Rows of a large Kronecker factor: its entries, its inverse's and a product's against f64, in place of the rest
    #[arg(
        long,
        value_name = "N",
        conflicts_with = "filter",
        value_parser = clap::value_parser!(u32).range(2..=65_536)
    )]
    rows: Option<u32>,
    /// Device memory for activations
    #[arg(long, value_name = "SIZE", default_value = "2GiB")]
    memory: Bytes,
    /// Time the candidate tiles of every kernel's shape first, as long as that takes, and remember them
    #[arg(long, conflicts_with = "no_autotune")]
    tune: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    sweep: BenchSweepArgs,
    #[command(flatten)]
    device: DeviceArgs,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// Every product of layers, against its reference and the device's ceilings
    Kernels,
    /// Passes over a data set
    Objective,
    /// Kronecker factors, their inverses, and products with them; orthogonalised matrices
    Factors,
    /// The steps of a sweep, dispatch by dispatch
    Sweep,
    /// Messages between ranks, under mpirun or srun alone
    Exchange,
}

#[derive(Default, Serialize)]
struct BenchReport {
    kernels: Option<Table>,
    objective: Option<Vec<PassRow>>,
    factors: Option<Vec<FactorStep>>,
    sweep: Option<SweepTimes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chain: Option<FactorChain>,
}

pub(super) fn run(args: &BenchArgs) -> Result<()> {
    if let Some(rows) = args.rows {
        return chain(args, rows as usize);
    }
    if args.what == Some(What::Exchange) {
        return bench_exchange::run(args.repetitions as usize, args.json);
    }
    let gpu = args.device.open()?;
    let bar = ProgressBar::new_spinner().with_style(ProgressStyle::with_template("{spinner} {msg}")?);
    let progress = |what: &str| {
        bar.set_message(what.to_owned());
        bar.tick();
    };
    let repetitions = args.repetitions as usize;
    let wants = |what: What| args.what.is_none_or(|only| only == what);
    if args.tune && wants(What::Kernels) {
        gpu.enable_tuning(Some(f64::INFINITY));
        for case in Case::all(&args.filter) {
            progress(&format!("tuning {case}"));
            case.tune(&gpu)?;
        }
        gpu.remember_tuning();
    }
    let (mut record, cases) = (BenchReport::default(), Case::all(&args.filter));
    if wants(What::Kernels) && !cases.is_empty() {
        record.kernels = Some(bench::kernels(&gpu, &cases, repetitions, progress)?);
    }
    if wants(What::Objective) {
        let passes = bench::passes(&gpu, &args.filter, args.examples as usize, args.memory.0, repetitions, progress)?;
        record.objective = (!passes.is_empty()).then_some(passes);
    }
    if wants(What::Factors) {
        let mut steps = bench::factors(&gpu, &args.filter, args.memory.0, repetitions)?;
        steps.extend(bench::orthogonalisations(&gpu, &args.filter, repetitions)?);
        record.factors = (!steps.is_empty()).then_some(steps);
    }
    if wants(What::Sweep) && args.filter.is_empty() {
        progress("sweep");
        record.sweep = Some(bench_sweep::measure(&gpu, &args.sweep)?);
    }
    bar.finish_and_clear();
    if record.kernels.is_none() && record.objective.is_none() && record.factors.is_none() && record.sweep.is_none() {
        return Err(Error::usage(format!("--filter {}: nothing is called so", args.filter)).into());
    }
    if args.json {
        show!("{}", serde_json::to_string_pretty(&record)?)?;
        return Ok(());
    }
    if let Some(table) = &record.kernels {
        print_kernels(table)?;
    }
    if let Some(passes) = &record.objective {
        print_passes(passes)?;
    }
    if let Some(steps) = &record.factors {
        print_steps(steps)?;
    }
    if let Some(times) = &record.sweep {
        bench_sweep::print(times)?;
    }
    Ok(())
}

/// A large factor of so many rows.
fn chain(args: &BenchArgs, rows: usize) -> Result<()> {
    if args.what.is_some_and(|what| what != What::Factors) {
        return Err(Error::usage("--rows is of factors: leave one of them out".to_owned()).into());
    }
    let chain = bench::factor_chain(&args.device.open()?, rows)?;
    if args.json {
        show!("{}", serde_json::to_string_pretty(&BenchReport { chain: Some(chain), ..BenchReport::default() })?)?;
        return Ok(());
    }
    let FactorChain { factor, inverse, product, seconds: [accumulate, invert, apply], .. } = chain;
    show!("{:>6} {:>9} {:>9} {:>9} {:>10} {:>10} {:>10}", "rows", "factor", "inverse", "product", "s", "s", "s")?;
    show!("{rows:>6} {factor:>9.0e} {inverse:>9.0e} {product:>9.0e} {accumulate:>10.2} {invert:>10.2} {apply:>10.2}")?;
    Ok(())
}

fn print_steps(steps: &[FactorStep]) -> Result<()> {
    show!("{:<32} {:>9} {:>12} {:>9}", "", "ms", "of gradient", "residual")?;
    for step in steps {
        let share = step.of_gradient.map_or(String::new(), |share| format!("{share:.2}"));
        let residual = step.residual.map_or(String::new(), |residual| format!("{residual:.0e}"));
        show!("{:<32} {:>9.2} {share:>12} {residual:>9}", step.name, 1e3 * step.seconds)?;
    }
    Ok(())
}

fn print_kernels(table: &Table) -> Result<()> {
    show!("{} ({}), {} kernels", shown(&table.adapter), shown(&table.driver), table.variant)?;
    show!("ceilings: {:.1} GF/s of products and sums, {:.1} GB/s copied", table.ceiling.gflops, table.ceiling.gbytes)?;
    show!("{:<44} {:>9} {:>8} {:>5} {:>7} {:>5} {:>8}", "", "ms", "GF/s", "", "GB/s", "", "error")?;
    for row in &table.rows {
        show!(
            "{:<44} {:>9.3} {:>8.1} {:>4.0}% {:>7.2} {:>4.0}% {:>8.0e}",
            row.name,
            1e3 * row.seconds,
            row.gflops,
            100.0 * row.of_arithmetic,
            row.gbytes,
            100.0 * row.of_copy,
            row.error
        )?;
    }
    Ok(())
}

fn print_passes(passes: &[PassRow]) -> Result<()> {
    show!(
        "{:<10} {:<13} {:>8} {:>10} {:>9} {:>7} {:>12} {:>9}",
        "network",
        "pass",
        "examples",
        "first, ms",
        "ms",
        "GF/s",
        "of gradient",
        "of rate"
    )?;
    for pass in passes {
        show!(
            "{:<10} {:<13} {:>8} {:>10.1} {:>9.2} {:>7.1} {:>12.2} {:>8.0}%",
            pass.model,
            pass.pass,
            pass.examples,
            1e3 * pass.first,
            1e3 * pass.seconds,
            pass.gflops,
            pass.of_gradient,
            100.0 * pass.rate
        )?;
    }
    Ok(())
}
