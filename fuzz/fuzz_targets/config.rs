//! The configuration of a run: read, checked against the digits, written and read again.
#![no_main]

use gpu_subset::data::Dataset;
use gpu_subset::run::Config;
use gpu_subset_fuzz::{bounded, folder, write};
use std::sync::OnceLock;

static DIGITS: OnceLock<Dataset> = OnceLock::new();

libfuzzer_sys::fuzz_target!(|text: &str| {
    let digits = DIGITS.get_or_init(|| Dataset::digits().expect("embedded"));
    let path = write("config.toml", text.as_bytes());
    bounded(|| {
        let Ok(config) = Config::load(&path) else { return };
        let is_sound = config.check(digits).is_ok();
        let copy = folder().join("copy.toml");
        config.save(&copy).expect("a configuration is plain data");
        let again = Config::load(&copy).expect("what was written is read");
        assert_eq!(again.check(digits).is_ok(), is_sound);
    });
});
