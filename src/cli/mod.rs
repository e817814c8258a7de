//! The command line: options, progress, exit codes. What a run is lives in [`run`](crate::run).

mod advice;
mod augment;
mod bench;
mod bench_sweep;
mod combinations;
mod command;
mod device;
mod devices;
mod doctor;
mod eval;
mod exit;
mod experiment;
mod export;
mod given;
mod grid;
mod manual;
mod method;
mod method_options;
mod new_run;
mod output;
mod plan;
mod predict;
mod predictions;
mod progress;
mod reading;
mod report;
mod request;
mod resume;
mod signals;
mod train;
mod trained;
mod values;

pub use command::{prepare_environment, run};
pub use exit::{describe, exit_code, fail};
pub use experiment::count_runs;
