//! What the fuzz targets share: files of one input, their seals, and a bound on the memory that reading it may take.

use cap::Cap;
use sha2::{Digest, Sha256};
use std::alloc::System;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Bytes that reading one input may hold at once.
const MOST: usize = 64 << 20;

/// Bytes of these for a picture: it may be in memory as it is, turned, in colour, and as an example.
const MOST_OF_PICTURE: u64 = 4 << 20;

/// Between the files of an input that stands for several.
const SEPARATOR: &[u8] = b"\n--file--\n";

/// What every target allocates with: an allocation beyond the bound fails, which ends the process.
#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// Reads an input within the bound.
pub fn bounded<T>(read: impl FnOnce() -> T) -> T {
    let _ = ALLOCATOR.set_limit(ALLOCATOR.allocated() + MOST);
    let found = read();
    let _ = ALLOCATOR.set_limit(usize::MAX);
    found
}

/// The files that an input stands for.
pub fn files(input: &[u8]) -> Vec<&[u8]> {
    let mut files = Vec::new();
    let mut rest = input;
    while let Some(at) = rest.windows(SEPARATOR.len()).position(|window| window == SEPARATOR) {
        files.push(&rest[..at]);
        rest = &rest[at + SEPARATOR.len()..];
    }
    files.push(rest);
    files
}

/// A folder of this process alone.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    FOLDER.get_or_init(|| tempfile::tempdir().expect("a folder for temporary files")).path()
}

/// Writes a file of the folder, and the folders on the way to it.
pub fn write(name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder().join(name);
    std::fs::create_dir_all(path.parent().expect("a file in the folder")).expect("a folder");
    std::fs::write(&path, bytes).expect("a file in the folder");
    path
}

/// Opens a folder below this process's as a set of images.
pub fn open_set(name: &str) -> Option<gpu_subset::data::Dataset> {
    let path = folder().join(name);
    let options = gpu_subset::data::ReadOptions { most_of_picture: Some(MOST_OF_PICTURE), ..Default::default() };
    bounded(|| gpu_subset::data::Dataset::open(path.to_str().expect("a plain name"), &options).ok())
}

/// A file of weights or a checkpoint with the SHA-256 that its content asks for, as docs/how-a-run-works.md describes it:
/// otherwise nothing behind that check would ever be reached.
pub fn sealed(input: &[u8]) -> Vec<u8> {
    const BEFORE: &[u8] = br#"\"sha256\":\""#;
    let mut bytes = input.to_vec();
    let at = bytes.windows(BEFORE.len()).position(|window| window == BEFORE).map(|at| at + BEFORE.len());
    if let Some(at) = at.filter(|at| at + 64 <= bytes.len()) {
        bytes[at..at + 64].fill(b'0');
        let digits: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        bytes[at..at + 64].copy_from_slice(digits.as_bytes());
    }
    bytes
}
