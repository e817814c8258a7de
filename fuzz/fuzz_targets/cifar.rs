//! CIFAR-100's files (train, test, class names), and CIFAR-10's with one file in place of five.
#![no_main]

use gpu_subset_fuzz::{files, open_set, write};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let files = files(input);
    let file = |i: usize| files.get(i).copied().unwrap_or_default();
    for (name, i) in [("train.bin", 0), ("test.bin", 1), ("fine_label_names.txt", 2)] {
        write(&format!("cifar-100/{name}"), file(i));
    }
    for (name, i) in [("data_batch_1.bin", 0), ("test_batch.bin", 1), ("batches.meta.txt", 2)] {
        write(&format!("cifar-10/{name}"), file(i));
    }
    for batch in 2..=5 {
        write(&format!("cifar-10/data_batch_{batch}.bin"), b"");
    }
    for set in ["cifar-100", "cifar-10"].into_iter().filter_map(open_set) {
        assert_eq!(set.train.images.len(), set.train.len() * set.shape.len());
        assert!(set.train.labels.iter().chain(&set.test.labels).all(|&label| (label as usize) < set.classes.len()));
    }
});
