//! `gpu-subset`: parse, run, print the error, exit with its code.

use std::process::ExitCode;

fn main() -> ExitCode {
    gpu_subset::cli::prepare_environment();
    match gpu_subset::cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => gpu_subset::cli::fail(&error),
    }
}
