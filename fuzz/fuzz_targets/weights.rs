//! Weights, and the network that they are for.
#![no_main]

use gpu_subset::run::Weights;
use gpu_subset_fuzz::{bounded, folder, sealed, write};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let path = write("weights.safetensors", &sealed(input));
    bounded(|| {
        let Ok(weights) = Weights::load(&path) else { return };
        assert!(weights.theta.iter().all(|value| value.is_finite()));
        let copy = folder().join("copy.safetensors");
        weights.save(&copy).expect("what was read is written");
        assert_eq!(Weights::load(&copy).expect("and read again").theta, weights.theta);
    });
});
