//! `gpu-subset doctor`

use super::device::DeviceArgs;
use super::output::show;
use crate::batch::Looks;
use crate::bench::{self, Check, MOST_ROWS, factor_rows};
use crate::data::{Dataset, ReadOptions};
use crate::device::{AdapterSummary, Gpu, SubmissionTimes};
use crate::model::{Description, Model};
use crate::shape::Shape;
use anyhow::Result;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::sync::Arc;
use std::time::Instant;

#[derive(Args)]
pub(super) struct DoctorArgs {
    /// Network to check: a built-in one, or a TOML file
    #[arg(long, value_name = "NAME|FILE")]
    model: Option<String>,
    /// Data set that says the size of images and the number of classes; else that of a built-in network, or 3×32×32 and
    /// 10 classes
    #[arg(long, value_name = "digits|PATH")]
    data: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

/// The network that is checked unless one is named: a convolution of several channels, with strides and padding.
const MODEL: &str = "cifar-43k";

const CLASSES: usize = 10;

/// What there is to know about a device, first of all in a bug report.
#[derive(Serialize)]
struct Diagnosis {
    version: &'static str,
    os: &'static str,
    arch: &'static str,
    adapter: AdapterSummary,
    profile: String,
    model: String,
    parameters: usize,
    /// Rows of the largest Kronecker factor.
    factor_rows: usize,
    input: String,
    checks: Vec<Check>,
    is_ok: bool,
    submissions: Option<SubmissionTimes>,
    seconds: f64,
}

pub(super) fn run(args: &DoctorArgs) -> Result<()> {
    let start = Instant::now();
    let model = Arc::new(model(args)?);
    let gpu = args.device.open()?;
    gpu.time_submissions();
    let bar = ProgressBar::new_spinner().with_style(ProgressStyle::with_template("{spinner} {msg}")?);
    let mut checks = Vec::new();
    let ended = bench::doctor(&gpu, &model, &mut checks, |what| {
        bar.set_message(what.to_owned());
        bar.tick();
    });
    bar.finish_and_clear();
    // Of a device that fails, the report has what was found before.
    let found = diagnose(&gpu, &model, checks, start);
    if args.json {
        show!("{}", serde_json::to_string_pretty(&found)?)?;
    } else {
        print(&found)?;
    }
    ended?;
    found.checks.iter().try_for_each(|check| check.result(&gpu.info.name))?;
    Ok(())
}

fn model(args: &DoctorArgs) -> Result<Model> {
    let name = args.model.as_deref();
    let (input, classes) = match &args.data {
        Some(data) => {
            let data = Dataset::open(data, &ReadOptions::default())?;
            (data.shape, data.classes.len())
        }
        None => (Description::input_of(name.unwrap_or(MODEL)).unwrap_or(Shape::new(3, 32, 32)), CLASSES),
    };
    let description = name.map_or_else(|| Description::suiting(input), Description::open)?;
    Ok(Model::new(&description, input, classes)?)
}

fn diagnose(gpu: &Gpu, model: &Model, checks: Vec<Check>, start: Instant) -> Diagnosis {
    Diagnosis {
        version: env!("CARGO_PKG_VERSION"),
        os: std::env::consts::OS,
        arch: std::env::consts::ARCH,
        adapter: gpu.summary(),
        profile: format!("{:?}", gpu.profile),
        model: model.name.clone(),
        parameters: model.parameters(),
        factor_rows: factor_rows(model, &Looks::USUAL),
        input: model.input.to_string(),
        is_ok: !checks.is_empty() && checks.iter().all(Check::is_ok),
        checks,
        submissions: gpu.submission_times(),
        seconds: start.elapsed().as_secs_f64(),
    }
}

fn print(found: &Diagnosis) -> crate::error::Result<()> {
    let Diagnosis {
        version, os, arch, adapter, profile, model, parameters, input, factor_rows, checks, seconds, ..
    } = found;
    show!("gpu-subset {version}, {os} {arch}")?;
    show!("{adapter}")?;
    show!("   kernels             {profile}")?;
    show!("{model} on {input}, {parameters} parameters\n")?;
    show!("{:<44} {:<44} {:>8} {:>9}  ", "", "shapes", "error", "same bits")?;
    for check in checks {
        let Check { what, shapes, error, same_bits, .. } = check;
        let same_bits = if *same_bits { "yes" } else { "no" };
        let verdict = if check.is_ok() { "ok" } else { "FAILED" };
        show!("{what:<44} {shapes:<44} {error:>8.0e} {same_bits:>9}  {verdict}")?;
    }
    if let Some(SubmissionTimes { count, median, p99, longest, kernels }) = &found.submissions {
        let [median, p99, longest] = [median, p99, longest].map(|seconds| 1e3 * seconds);
        show!(
            "\n{count} submissions: median {median:.1} ms, p99 {p99:.1} ms, longest {longest:.1} ms ({kernels}); \
             a kernel's first run may compile it"
        )?;
    }
    if *factor_rows > MOST_ROWS {
        show!("not checked: Kronecker factors of more than {MOST_ROWS} rows; bench factors --rows {factor_rows} does")?;
    }
    let right = checks.iter().filter(|check| check.is_ok()).count();
    show!("{right} of {} checks passed in {seconds:.1} s", checks.len())
}
