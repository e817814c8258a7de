//! Data sets of labelled images: what they are in memory, and reading them from disk.
//!
//! [`Dataset::open`] recognises by itself what a folder holds: IDX files, CIFAR-10 or CIFAR-100, arrays of NumPy, or an
//! image folder; also a table of pictures, and an archive of any of these. A damaged file is an
//! [`Error::Data`](crate::error::Error::Data) of one line that names the file, the offset in bytes where there is one,
//! what was expected, and what was found. Memory never follows a number in a file before that number has been checked
//! against the file's size: reading takes no more than twice the size of the uncompressed files plus 16 MiB (32 MiB of
//! a pickle), whatever their headers say. Archives are unpacked on disk. Image files are decoded by the `image` crate,
//! one at a time, where a file is long enough for what its header announces, which is a GiB at most; a large
//! progressive JPEG, a WebP or a TIFF file may take three times its pixels.

mod announced;
mod archive;
mod arrays;
mod channel_sums;
mod cifar;
mod cifar_python;
mod classes;
mod collector;
mod dataset;
mod digits;
mod divide;
mod idx;
mod image_folder;
mod input;
mod labelled_arrays;
mod labels;
mod listing;
mod notes;
mod npy;
mod numpy;
mod parts;
mod pickle;
mod pickle_bytes;
mod picture;
mod pictures;
mod recognise;
mod resize;
mod table;
mod zipped;

pub use archive::unpack;
pub(crate) use channel_sums::ChannelSums;
pub use dataset::Dataset;
pub use divide::TestShare;
pub use listing::pictures_in;
pub use notes::Note;
pub use parts::{Format, ReadOptions, Split};
pub use picture::Picture;
