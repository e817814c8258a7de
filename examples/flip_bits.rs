//! Flips one bit after another of a run's `weights.safetensors` or `checkpoint.safetensors`, and reads the file as
//! `eval`, `report` and `train --resume` do: `cargo run --release --example flip_bits -- FILE [HOW_MANY]`, all bits, or
//! so many drawn at random. Every one has to be refused.

use gpu_subset::checkpoint;
use gpu_subset::error::{Error, Result};
use gpu_subset::run::Weights;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::path::Path;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let (file, most) = match &arguments[1..] {
        [file] => (Path::new(file), None),
        [file, most] => (Path::new(file), Some(most.parse().expect("a number of bits"))),
        _ => panic!("flip_bits FILE [HOW_MANY]"),
    };
    let bytes = std::fs::read(file).unwrap();
    read(file).expect("the file is whole");
    let bits: Vec<usize> = match most {
        None => (0..8 * bytes.len()).collect(),
        Some(most) => {
            let mut rng = ChaCha8Rng::seed_from_u64(0);
            (0..most).map(|_| rng.random_range(0..8 * bytes.len())).collect()
        }
    };
    let folder = std::env::temp_dir().join(format!("flip-bits-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let copy = folder.join(file.file_name().unwrap());
    let (mut flipped, mut accepted) = (bytes.clone(), 0);
    for &bit in &bits {
        flipped[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&copy, &flipped).unwrap();
        match read(&copy) {
            Err(Error::Data(_)) => {}
            other => {
                accepted += 1;
                println!("bit {} of byte {}: {other:?}", bit % 8, bit / 8);
            }
        }
        flipped[bit / 8] ^= 1 << (bit % 8);
    }
    std::fs::remove_dir_all(folder).unwrap();
    let (name, all) = (file.file_name().unwrap().display(), bits.len());
    println!("{name}, {} bytes: {} of {all} flipped bits refused", bytes.len(), all - accepted);
    assert_eq!(accepted, 0);
}

/// Reads weights or a checkpoint by name.
fn read(path: &Path) -> Result<()> {
    if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("checkpoint")) {
        // whatever the vectors' length is: a damaged file is refused before it is looked at
        match checkpoint::load(path, 0) {
            Err(error) if error.to_string().contains("expected 0") => Ok(()),
            other => other.map(|_| ()),
        }
    } else {
        Weights::load(path).map(|_| ())
    }
}
