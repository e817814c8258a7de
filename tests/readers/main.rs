//! The data set readers from outside: what they read, what they recognise, and what they say and
//! allocate when files are damaged.

use flate2::{Compression, write::GzEncoder};
use gpu_subset::data::{Dataset, Format, Picture, ReadOptions, Split};
use gpu_subset::error::{DataError, Error, ImagesError, Instead, Result, SetError};
use gpu_subset::shape::Shape;
use gpu_subset::values::ValueKind;
use image::{DynamicImage, GrayImage, ImageFormat, RgbImage};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

#[path = "../common/data.rs"]
mod data;
#[path = "../common/idx.rs"]
mod idx;

mod archives;
mod arrays;
mod damage;
mod formats;
mod pickles;
mod samples;
mod tables;

use data::data;
use idx::{idx_images, idx_labels};
use samples::*;

/// Counts the bytes that the current thread holds, and the most it has held. Tests run on threads of
/// their own and the readers start none, so tests do not disturb each other's counts.
struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(change: isize) {
    // A thread that is ending has no counters any more.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + change);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(held.get())));
    });
}

// SAFETY: every call is passed on to the system's allocator; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as isize - layout.size() as isize);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What `action` returns, and the most bytes it held beyond those held before.
fn with_peak<T>(action: impl FnOnce() -> T) -> (T, usize) {
    let before = HELD.get();
    PEAK.set(before);
    let result = action();
    (result, (PEAK.get() - before) as usize)
}

fn most_allowed(uncompressed: usize) -> usize {
    2 * uncompressed + (16 << 20)
}

fn open(path: &Path) -> Result<Dataset> {
    Dataset::open(path.to_str().unwrap(), &ReadOptions::default())
}

/// The message of a fault, after checking its form.
fn message(result: Result<Dataset>) -> String {
    let error = result.expect_err("the fault was not noticed");
    assert!(matches!(error, Error::Data(_)), "{error:?}");
    let message = error.to_string();
    assert_eq!(message.lines().count(), 1, "{message}");
    message
}

#[track_caller]
fn assert_says(result: Result<Dataset>, fragments: &[&str]) {
    let message = message(result);
    for fragment in fragments {
        assert!(message.contains(fragment), "{fragment:?} is not in: {message}");
    }
}
