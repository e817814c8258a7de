//! Archives, zip or tar by the first byte of the input, and what is in them.
#![no_main]

use gpu_subset_fuzz::{folder, open_set, write};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((kind, archive)) = input.split_first() else { return };
    let name = format!("archives/set.{}", ["zip", "tar", "tgz"][*kind as usize % 3]);
    write(&name, archive);
    if let Some(set) = open_set(&name) {
        assert_eq!(set.train.images.len(), set.train.len() * set.shape.len());
    }
    let _ = std::fs::remove_dir_all(folder().join("archives"));
    assert!(!folder().join("escaped").exists());
});
