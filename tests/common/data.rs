//! Unpacked data sets for the tests that need them, and saying so where they are not there.

use std::io::Write;
use std::path::PathBuf;

/// A folder of `GPU_SUBSET_DATA`, or nothing where there is none and `GPU_SUBSET_REQUIRE_DATA` does not require it.
pub fn data(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("GPU_SUBSET_DATA").map(|folder| PathBuf::from(folder).join(name));
    let found = path.filter(|path| path.is_dir());
    if found.is_none() {
        let required = std::env::var_os("GPU_SUBSET_REQUIRE_DATA").is_some_and(|value| value == "1");
        assert!(!required, "GPU_SUBSET_REQUIRE_DATA=1, but GPU_SUBSET_DATA names no folder with {name}/");
        skipped(&format!("GPU_SUBSET_DATA names no folder with {name}/"));
    }
    found
}

/// Says that a test was skipped.
#[expect(clippy::explicit_write, reason = "what eprintln says is hidden when the test passes")]
pub fn skipped(why: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    writeln!(std::io::stderr(), "SKIPPED {test}: {why}").unwrap();
}
