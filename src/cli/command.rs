//! The commands, and running the one that was asked for.

use super::output::{say, written};
use super::ranks::is_silent;
use super::values::with_negative_numbers;
use super::{
    bench, data, devices, doctor, eval, experiment, export, manual, plan, predict, report, signals, train, version,
};
use crate::error::printable;
use anyhow::Result;
use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// Exit codes, as `--help` shows them.
const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    a file could not be written, or another failure of the system
  2    usage: a bad option or model description
  3    data: a data set, weights file or run folder that cannot be read; of `predict`, also a picture, after all rows
  4    device: no adapter, a lost device, a driver that rejects a command, a result that is wrong
  5    out of memory, on the device or in the budget of --memory
  6    diverged: a value was not finite
  130  stopped by Ctrl-C or SIGTERM; `train --resume` goes on with a run

Environment:
  WGPU_BACKEND, WGPU_ADAPTER_NAME, WGPU_POWER_PREF   choose an adapter where no option does
  RUST_LOG                                           what is logged on stderr, such as gpu_subset=debug,wgpu=info";

/// Trains image classifiers by subset pretraining with second-order methods, on any GPU.
#[derive(Parser)]
#[command(name = "gpu-subset", version, after_help = EXIT_CODES)]
struct Cli {
    /// With --version: also commit, features, target, wgpu and adapters, for a bug report
    #[arg(long, requires = "version")]
    verbose: bool,
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
    /// Say what pictures show, by the weights of a run
    #[command(after_help = EXIT_CODES)]
    Predict(predict::PredictArgs),
    /// Write trained weights as an ONNX model or as safetensors
    #[command(after_help = EXIT_CODES)]
    Export(export::ExportArgs),
    /// Say what a data set holds, or fetch a published one
    #[command(after_help = EXIT_CODES)]
    Data(data::DataArgs),
    /// Make a page about runs: curves, metrics of each class, confusion matrix, worst mistakes, network
    #[command(after_help = EXIT_CODES)]
    Report(report::ReportArgs),
    /// List the adapters with the limits and features that matter here
    #[command(after_help = EXIT_CODES)]
    Devices(devices::DevicesArgs),
    /// Check a network on a device, kernel by kernel and as a whole: the first thing to send with a bug report
    #[command(after_help = EXIT_CODES)]
    Doctor(doctor::DoctorArgs),
    /// Measure the kernels on a device, checked and against its ceilings
    #[command(after_help = EXIT_CODES)]
    Bench(bench::BenchArgs),
    /// Print completions of commands and options for a shell
    Completions(manual::CompletionsArgs),
    /// Write manual pages, one a command
    Man(manual::ManArgs),
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
/// Whatever stopped it; [`exit_code`](super::exit_code) says how the process should end.
pub fn run() -> Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("error"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).without_time();
    // where stderr is gone, it would panic saying so
    log.log_internal_errors(false).init();
    signals::watch();
    let cli = match parse() {
        Ok(cli) => cli,
        Err(refused) if refused.use_stderr() => refuse(&refused),
        Err(asked) if asked.kind() == ErrorKind::DisplayVersion && is_verbose() => return version::run(),
        Err(help) => return Ok(written(help.print())?),
    };
    match cli.command {
        Command::Train(args) => train::run(&args),
        Command::Plan(args) => plan::run(&args),
        Command::Experiment(args) => experiment::run(&args),
        Command::Eval(args) => eval::run(&args),
        Command::Predict(args) => predict::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Data(args) => data::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Devices(args) => devices::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Completions(args) => manual::completions(&args, Cli::command()),
        Command::Man(args) => manual::pages(&args, Cli::command()),
    }
}

/// Whether more than the version is asked for: the parser ends where it meets that.
fn is_verbose() -> bool {
    std::env::args_os().any(|argument| argument == "--verbose")
}

/// The arguments of the process.
fn parse() -> clap::error::Result<Cli> {
    let mut command = with_negative_numbers(Cli::command());
    let matches = command.try_get_matches_from_mut(std::env::args_os())?;
    Cli::from_arg_matches(&matches).map_err(|e| e.format(&mut command))
}

/// Says why the arguments are refused, as far as that can be printed, and ends the process.
fn refuse(why: &clap::Error) -> ! {
    if is_silent() && std::env::args_os().nth(1).is_some_and(|command| command == "train") {
        std::process::exit(why.exit_code()); // rank 0 was started in the same way
    }
    let text = why.render().to_string();
    if printable(&text) != text {
        say!("{}", printable(&text).trim_end());
        std::process::exit(why.exit_code());
    }
    why.exit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        with_negative_numbers(Cli::command()).debug_assert();
    }
}
