//! A table of pictures, beside two that it may name.
#![no_main]

use gpu_subset_fuzz::{open_set, write};

libfuzzer_sys::fuzz_target!(|table: &[u8]| {
    for name in ["a.pgm", "b.pgm"] {
        write(&format!("table/{name}"), b"P5 2 1 255\n\x07\x09");
    }
    write("table/table.csv", table);
    if let Some(set) = open_set("table/table.csv") {
        assert_eq!(set.train.images.len(), set.train.len() * set.shape.len());
        assert!(set.train.labels.iter().chain(&set.test.labels).all(|&label| (label as usize) < set.classes.len()));
    }
});
