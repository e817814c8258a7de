//! ONNX models, of this program and of others.
#![no_main]

use gpu_subset::run::Weights;
use gpu_subset_fuzz::{bounded, folder, write};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let path = write("model.onnx", input);
    bounded(|| {
        let Ok(weights) = Weights::load(&path) else { return };
        assert!(weights.theta.iter().chain(&weights.moments).all(|value| value.is_finite()));
        let copy = folder().join("copy.onnx");
        weights.save_onnx(&copy).expect("what was read is written");
        let again = Weights::load(&copy).expect("and read again");
        assert_eq!(again.theta, weights.theta);
        assert_eq!(again.signature, weights.signature);
    });
});
