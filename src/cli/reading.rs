//! How pictures are read, and what is worth a line of them.

use super::output::say;
use super::values::{parse_resize, whole};
use crate::data::{Dataset, ReadOptions, TestShare};
use crate::error::shown;
use clap::Args;

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

/// What was not read as whoever made the files may think, on stderr.
pub(super) fn say_notes(data: &Dataset) {
    for note in &data.notes {
        say!("note: {}: {note}", shown(&data.name));
    }
}
