//! The command line.

mod augment;
mod bench;
mod choices;
mod config;
mod devices;
mod eval;
mod evaluation;
mod experiment;
mod method;
mod plan;
mod progress;
mod report;
mod run;
mod train;

use crate::device::{AdapterChoice, Gpu};
use crate::error::Error;
use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

/// Exit codes, as `--help` shows them.
const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    a file could not be written, or another failure of the system
  2    usage: a bad option or model description
  3    data: a data set, weights file or run folder that cannot be read
  4    device: no adapter, a lost device, a driver that rejects a command
  5    out of memory, on the device or in the budget of --memory
  6    diverged: a value was not finite
  130  stopped by Ctrl-C or SIGTERM; the last checkpoint is in the run folder

Environment:
  WGPU_BACKEND, WGPU_ADAPTER_NAME, WGPU_POWER_PREF   choose an adapter where no option does
  RUST_LOG                                           what is logged on stderr, such as RUST_LOG=gpu_subset=debug,wgpu=info";

/// Trains image classifiers by subset pretraining with second-order methods, on any GPU.
#[derive(Parser)]
#[command(name = "gpu-subset", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train a network; without options: the embedded digits, in seconds
    #[command(after_help = EXIT_CODES)]
    Train(Box<train::TrainArgs>),
    /// Say what a training would come to, in memory, cost and time, without training
    #[command(after_help = EXIT_CODES)]
    Plan(Box<plan::PlanArgs>),
    /// Run a grid of trainings and make a table of what comes out
    #[command(after_help = EXIT_CODES)]
    Experiment(experiment::ExperimentArgs),
    /// Evaluate the weights of a run on a data set
    #[command(after_help = EXIT_CODES)]
    Eval(eval::EvalArgs),
    /// Make a page about runs: curves, confusion matrix, worst mistakes, configuration
    #[command(after_help = EXIT_CODES)]
    Report(report::ReportArgs),
    /// List the adapters with the limits and features that matter here
    #[command(after_help = EXIT_CODES)]
    Devices(devices::DevicesArgs),
    /// Measure the kernels on a device, checked and against its ceilings
    #[command(after_help = EXIT_CODES)]
    Bench(bench::BenchArgs),
}

/// Which adapter to use.
#[derive(Args, Clone)]
struct DeviceArgs {
    /// Interface: vulkan, metal, dx12 or gl
    #[arg(long, value_name = "NAME")]
    backend: Option<String>,
    /// Adapter: part of its name, or its index in `gpu-subset devices`
    #[arg(long, value_name = "NAME|INDEX")]
    adapter: Option<String>,
    /// Take the default tiles; otherwise a few are timed for a new network, for some seconds once, and remembered in the cache folder
    #[arg(long)]
    no_autotune: bool,
}

impl DeviceArgs {
    fn choice(&self) -> AdapterChoice {
        AdapterChoice { backend: self.backend.clone(), adapter: self.adapter.clone() }
    }

    /// Opens the adapter; a software one is used with one notice line.
    fn open(&self) -> crate::error::Result<Gpu> {
        let gpu = Gpu::open(&self.choice())?;
        if gpu.is_software() {
            let other = if gpu.backend().eq_ignore_ascii_case("gl") {
                "; a software Vulkan driver (Debian's mesa-vulkan-drivers) would be some ten times as fast"
            } else {
                ""
            };
            eprintln!("note: {} is a software adapter: right, but slower than a GPU{other}", gpu.info.name);
        }
        if !self.no_autotune {
            gpu.enable_tuning(None);
        }
        Ok(gpu)
    }
}

/// Settings of the process that must be made before any thread starts.
pub fn prepare_environment() {
    if std::env::var_os("WAYLAND_DISPLAY").is_none() && std::env::var_os("DISPLAY").is_none() {
        // SAFETY: the first statement of main, no other thread runs. Without it, Mesa's layer that reorders devices by
        // display looks for one and complains on stderr, on every headless machine.
        unsafe { std::env::set_var("NODEVICE_SELECT", "1") };
    }
}

/// Parses the arguments and runs the command.
///
/// # Errors
/// Whatever stopped it; [`exit_code`] says how the process should end.
pub fn run() -> Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("error"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).without_time().init();
    match Cli::parse().command {
        Command::Train(args) => train::run(&args),
        Command::Plan(args) => plan::run(&args),
        Command::Experiment(args) => experiment::run(&args),
        Command::Eval(args) => eval::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Devices(args) => devices::run(&args),
        Command::Bench(args) => bench::run(&args),
    }
}

/// The documented exit code of an error.
pub fn exit_code(error: &anyhow::Error) -> ExitCode {
    ExitCode::from(match error.downcast_ref::<Error>() {
        Some(Error::Usage(_)) => 2,
        Some(Error::Data(_)) => 3,
        Some(Error::Device(_)) => 4,
        Some(Error::OutOfMemory(_)) => 5,
        Some(Error::Diverged(_)) => 6,
        Some(Error::Interrupted(_)) => 130,
        Some(Error::Io(_)) | None => 1,
    })
}

/// The error of a process of ours that ended with this code: the inverse of [`exit_code`].
fn error_of(code: Option<i32>, message: String) -> Error {
    match code {
        Some(2) => Error::Usage(message),
        Some(3) => Error::Data(message),
        Some(4) => Error::Device(message),
        Some(5) => Error::OutOfMemory(message),
        Some(6) => Error::Diverged(message),
        Some(130) => Error::Interrupted(message),
        _ => Error::Io(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn an_exit_code_and_its_error_are_inverse() {
        for code in [1, 2, 3, 4, 5, 6, 130] {
            let error = error_of(Some(code), "why".to_owned());
            assert_eq!(format!("{:?}", exit_code(&error.into())), format!("{:?}", ExitCode::from(code as u8)));
        }
    }

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }
}
