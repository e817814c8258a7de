//! A set of NumPy arrays: a `.npz` file, or where the input stands for several the four `.npy` files of a folder.
#![no_main]

use gpu_subset_fuzz::{files, folder, open_set, write};

const NAMES: [&str; 4] = ["x_train", "y_train", "x_test", "y_test"];

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let _ = std::fs::remove_dir_all(folder().join("arrays"));
    match &files(input)[..] {
        [npz] => drop(write("arrays/set.npz", npz)),
        several => NAMES.iter().zip(several).for_each(|(name, file)| drop(write(&format!("arrays/{name}.npy"), file))),
    }
    if let Some(set) = open_set("arrays") {
        assert_eq!(set.train.images.len(), set.train.len() * set.shape.len());
        assert_eq!(set.test.images.len(), set.test.len() * set.shape.len());
        assert!(set.train.labels.iter().chain(&set.test.labels).all(|&label| (label as usize) < set.classes.len()));
    }
});
