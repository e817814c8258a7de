//! An IDX set: training images and labels, test images and labels, each plain or gzipped.
#![no_main]

use gpu_subset_fuzz::{files, open_set, write};

const NAMES: [&str; 4] =
    ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let files = files(input);
    for (i, name) in NAMES.iter().enumerate() {
        write(&format!("set/{name}"), files.get(i).copied().unwrap_or_default());
    }
    if let Some(set) = open_set("set") {
        assert_eq!(set.train.images.len(), set.train.len() * set.shape.len());
        assert_eq!(set.test.images.len(), set.test.len() * set.shape.len());
        assert!(set.train.labels.iter().chain(&set.test.labels).all(|&label| (label as usize) < set.classes.len()));
    }
});
