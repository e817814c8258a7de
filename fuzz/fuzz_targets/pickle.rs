//! The Python version of CIFAR: train and test of CIFAR-100, and its names.
#![no_main]

use gpu_subset_fuzz::{files, open_set, write};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let files = files(input);
    for (i, name) in ["train", "test", "meta"].iter().enumerate() {
        write(&format!("python/{name}"), files.get(i).copied().unwrap_or_default());
    }
    if let Some(set) = open_set("python") {
        assert_eq!(set.train.images.len(), set.train.len() * set.shape.len());
        assert!(set.train.labels.iter().chain(&set.test.labels).all(|&label| (label as usize) < set.classes.len()));
    }
});
