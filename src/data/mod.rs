//! Data sets of labelled images: what they are in memory, and reading them from disk.
//!
//! [`Dataset::open`] recognises by itself what a folder holds: IDX files, the binary version of CIFAR-10 or CIFAR-100,
//! or an image folder. A damaged file is an [`Error::Data`](crate::error::Error::Data) of one line that names the file,
//! the offset in bytes where there is one, what was expected, and what was found.
//! Memory never follows a number in a file before that number has been checked against the file's size: reading takes
//! no more than twice the size of the uncompressed files plus 16 MiB, whatever their headers say. Image files are
//! decoded by the `image` crate, within the limits that `image_folder` sets; a large progressive JPEG may take three
//! times its pixels. WebP is left out: its decoder believes sizes in a damaged file.

mod cifar;
mod dataset;
mod digits;
mod idx;
mod image_folder;
mod input;
mod parts;
mod recognise;
mod resize;

pub use dataset::Dataset;
pub use parts::{Format, ReadOptions, Split};
