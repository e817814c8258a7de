//! A run in the middle of a network of two parameters.
#![no_main]

use gpu_subset::checkpoint;
use gpu_subset_fuzz::{bounded, folder, sealed, write};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let path = write("checkpoint.safetensors", &sealed(input));
    bounded(|| {
        let Ok((progress, provenance)) = checkpoint::load(&path, 2) else { return };
        checkpoint::load_stages(&path).expect("the same file");
        let copy = folder().join("copy.safetensors");
        let previous = folder().join("previous.safetensors");
        checkpoint::save(&copy, Some(&previous), &progress, &provenance).expect("what was read is written");
        checkpoint::load(&copy, 2).expect("and read again");
    });
});
