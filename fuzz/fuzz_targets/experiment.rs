//! The file of an experiment: every run of its grids, as `train` would take it.
#![no_main]

use gpu_subset_fuzz::bounded;
use std::path::Path;

libfuzzer_sys::fuzz_target!(|text: &str| {
    // what does not end in time is a fault as well, and 10,000 runs are the most
    bounded(|| gpu_subset::cli::count_runs(text, Path::new("experiment.toml")).is_ok());
});
