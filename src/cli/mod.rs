//! The command line.

mod advice;
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
mod values;

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

/// An error in one line: what, where, why, and what to do about it.
pub fn describe(error: &anyhow::Error) -> String {
    advice::line(error.as_ref())
}

/// The documented exit code of an error.
pub fn exit_code(error: &anyhow::Error) -> ExitCode {
    if let Some(ChildFailure { code: Some(code @ (2..=6 | 130)), .. }) = error.downcast_ref() {
        return ExitCode::from(*code as u8);
    }
    ExitCode::from(match error.downcast_ref::<Error>() {
        Some(Error::Usage(_)) => 2,
        Some(Error::Data(_)) => 3,
        Some(Error::Device(_)) => 4,
        Some(Error::OutOfMemory(_)) => 5,
        Some(Error::Diverged { .. }) => 6,
        Some(Error::Interrupted { .. }) => 130,
        Some(Error::Io(_)) | None => 1,
    })
}

/// A process of ours that failed, and what it said. This one ends with the same code.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct ChildFailure {
    /// None where a signal ended it.
    code: Option<i32>,
    /// With what to do about it, as it said it.
    message: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{DeviceError, MemoryError};
    use clap::CommandFactory;
    use std::path::Path;

    #[test]
    fn each_kind_of_error_has_its_exit_code() {
        let (tensor, stage, path) = ("the loss".to_owned(), "subset".to_owned(), Path::new("x"));
        let denied = || std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        let kinds: [(anyhow::Error, u8); 8] = [
            (Error::usage("why").into(), 2),
            (Error::unreadable(path, denied()).into(), 3),
            (Error::from(DeviceError::NoAdapter).into(), 4),
            (Error::from(MemoryError::Device { adapter: "a".to_owned() }).into(), 5),
            (Error::Diverged { tensor, iteration: 1, stage: stage.clone() }.into(), 6),
            (Error::Interrupted { iteration: 1, stage }.into(), 130),
            (Error::io("writing", path, denied()).into(), 1),
            (anyhow::anyhow!("anything else"), 1),
        ];
        for (error, code) in kinds {
            assert_eq!(exit_code(&error), ExitCode::from(code), "{error:?}");
        }
    }

    #[test]
    fn a_child_passes_its_exit_code_on() {
        for code in [1, 2, 3, 4, 5, 6, 130] {
            let error = ChildFailure { code: Some(code), message: "why".to_owned() }.into();
            assert_eq!(exit_code(&error), ExitCode::from(code as u8));
            assert_eq!(describe(&error), "why");
        }
        for code in [None, Some(101), Some(0), Some(-1)] {
            assert_eq!(exit_code(&ChildFailure { code, message: String::new() }.into()), ExitCode::from(1), "{code:?}");
        }
    }

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }
}
