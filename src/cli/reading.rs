//! How pictures are read, and what is worth a line of them.

use super::output::say;
use super::values::{parse_resize, whole};
use crate::data::{Dataset, ReadOptions, TestShare};
use crate::error::{Result, shown};
use crate::run::{Config, Pixels};
use clap::Args;
use std::path::Path;

/// How the pictures of an image folder become a data set.
#[derive(Args, Clone, Debug)]
pub(super) struct ReadArgs {
    /// Bring images to this size
    #[arg(long, value_name = "HxW", value_parser = parse_resize)]
    resize: Option<(u32, u32)>,
    /// Take this part of each class for testing, of an image folder that has no test part: DIR/CLASS/*.png, or train/
    /// alone
    #[arg(long, value_name = "1/5")]
    test: Option<TestShare>,
    /// Which pictures --test takes; another --seed of the training has the same ones
    #[arg(long, value_name = "SEED", requires = "test", default_value_t = 0, value_parser = whole())]
    test_seed: u64,
    /// Leave out pictures that cannot be read, and say how many
    #[arg(long)]
    skip_damaged: bool,
}

impl ReadArgs {
    pub(super) fn options(&self) -> ReadOptions {
        ReadOptions {
            resize: self.resize,
            test: self.test.map(|share| TestShare { seed: self.test_seed, ..share }),
            skip_damaged: self.skip_damaged,
            ..ReadOptions::default()
        }
    }
}

/// What pixels a network reads, of an ONNX model that does not say.
#[derive(Args, Clone, Debug)]
pub(super) struct PixelArgs {
    /// What an ONNX model of another program reads: pixels of 0 to 1 less this mean, one for all channels or one for
    /// each [default: 0]
    #[arg(long, value_name = "M,M,M", value_delimiter = ',')]
    mean: Vec<f64>,
    /// … and divided by this deviation [default: 1]; ImageNet's are 0.485,0.456,0.406 and 0.229,0.224,0.225
    #[arg(long, value_name = "S,S,S", value_delimiter = ',')]
    std: Vec<f64>,
}

impl PixelArgs {
    pub(super) fn pixels(&self) -> Pixels {
        Pixels { mean: self.mean.clone(), deviation: self.std.clone() }
    }
}

/// What was not read as whoever made the files may think, on stderr.
pub(super) fn say_notes(data: &Dataset) {
    for note in &data.notes {
        say!("note: {}: {note}", shown(&data.name));
    }
}

/// Opens the data of a run, brought to another size where one was asked for.
///
/// # Errors
/// As [`Config::open_data_of`].
pub(super) fn open_own(run: &Path, config: &Config, resize: Option<(u32, u32)>) -> Result<Dataset> {
    match resize {
        Some(_) => config.open_resized(run, resize),
        None => config.open_data_of(run, None),
    }
}

/// Opens data that were named for a run. Where they are its own, and it took a part of them for testing, that is the
/// test part.
///
/// # Errors
/// As [`Dataset::open`].
pub(super) fn open_given(data: &str, options: ReadOptions, config: Option<&Config>) -> Result<Dataset> {
    let Some(config) = config else { return Dataset::open(data, &options) };
    let is_own = |found: &Dataset| found.sha256 == config.data_sha256;
    let own = config.test.and_then(|_| Dataset::open(data, &config.read_options()).ok()).filter(is_own);
    match own {
        Some(own) if options.resize == config.resize => Ok(own),
        own => {
            let test = config.test.filter(|_| own.is_some());
            let skip_damaged = options.skip_damaged || config.skip_damaged;
            Dataset::open(data, &ReadOptions { test, skip_damaged, ..options })
        }
    }
}
