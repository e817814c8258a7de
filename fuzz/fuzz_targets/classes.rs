//! The file of weights of classes.
#![no_main]

use gpu_subset::run::ClassWeights;
use gpu_subset_fuzz::bounded;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let classes = ["0", "1", "a cat"].map(str::to_owned);
    bounded(|| {
        if let Ok(ClassWeights::Given(weights)) = ClassWeights::parse(text, "weights.toml", &classes) {
            assert!(weights.len() == 3 && weights.iter().all(|weight| weight.is_finite() && *weight > 0.0));
        }
    });
});
