//! Image folders that cannot be read.

use super::text::{shown, size};
use std::path::PathBuf;

/// Why an image folder cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ImagesError {
    /// Training images alone.
    #[error("{}: has train/ but no test/, val/ or valid/", shown(path))]
    NoTest {
        /// The image folder.
        path: PathBuf,
    },
    /// A test part to be taken from training images, where there is one.
    #[error("{}: there is a test part already", shown(path))]
    TwoTests {
        /// It.
        path: PathBuf,
    },
    /// Several files that cannot be read.
    #[error(
        "{count} images cannot be read: {}{}",
        faults.join("; "),
        if *count > faults.len() { format!("; and {} more", count - faults.len()) } else { String::new() }
    )]
    Several {
        /// How many.
        count: usize,
        /// What is wrong with the first of them.
        faults: Vec<String>,
    },
    /// Pictures of which some could not be read, as was said of each.
    #[error("{count} of {of} pictures could not be read, as their rows say")]
    Unread {
        /// How many.
        count: usize,
        /// Of how many.
        of: usize,
    },
    /// A class in one part of the set alone.
    #[error("{}: missing, while there is {}", shown(path), shown(counterpart))]
    MissingClass {
        /// The folder that is missing.
        path: PathBuf,
        /// The same class in the other part.
        counterpart: PathBuf,
    },
    /// No class.
    #[error("{}: holds no class folders", shown(path))]
    NoClasses {
        /// The folder of the training images.
        path: PathBuf,
    },
    /// The name of a class is no text.
    #[error("{}: the name of a class is not UTF-8", shown(path))]
    ClassName {
        /// Its folder.
        path: PathBuf,
    },
    /// A folder without an image.
    #[error("{}: holds no images ({})", shown(path), extensions.join(", "))]
    NoImages {
        /// The folder.
        path: PathBuf,
        /// What images are called.
        extensions: &'static [&'static str],
    },
    /// An image in a format that is not read.
    #[error("{}: this format is not read", shown(path))]
    Format {
        /// The file.
        path: PathBuf,
    },
    /// Images of different sizes.
    #[error(
        "{}: {}x{} pixels (HxW), but {} has {}x{}",
        shown(path), size.0, size.1, shown(other), other_size.0, other_size.1
    )]
    Size {
        /// The file.
        path: PathBuf,
        /// Height and width in pixels.
        size: (usize, usize),
        /// The first image of the set.
        other: PathBuf,
        /// Height and width of that.
        other_size: (usize, usize),
    },
    /// A file that does not decode.
    #[error("{}: expected a whole image", shown(path))]
    Undecoded {
        /// The file.
        path: PathBuf,
        /// What the decoder says.
        source: image::ImageError,
    },
    /// A file of a kind that is not read.
    #[error("{}: this kind of picture is not read", shown(path))]
    Kind {
        /// The file.
        path: PathBuf,
        /// Which kind it is.
        source: image::ImageError,
    },
    /// A part of a file that is not as the rest of it says.
    #[error("{}: expected a whole image: offset {offset}: expected {expected}, found {found}", shown(path))]
    Unexpected {
        /// The file.
        path: PathBuf,
        /// Where, in bytes.
        offset: usize,
        /// What the rest of it says.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A header that is not believed.
    #[error(
        "{}: expected a whole image, found a header that announces {height}x{width} pixels (HxW) in a file of {bytes} \
         bytes",
        shown(path)
    )]
    Header {
        /// The file.
        path: PathBuf,
        /// Height that it announces, in pixels.
        height: u32,
        /// Width that it announces, in pixels.
        width: u32,
        /// Length of the file.
        bytes: usize,
    },
    /// A picture that would take too much memory.
    #[error(
        "{}: {height}x{width} pixels (HxW) would take {}, more than the {} that a picture may",
        shown(path), size(*bytes), size(*most)
    )]
    Large {
        /// The file.
        path: PathBuf,
        /// Height in pixels.
        height: u32,
        /// Width in pixels.
        width: u32,
        /// What it would take once decoded.
        bytes: u64,
        /// What it may take.
        most: u64,
    },
    /// A file too long for a picture.
    #[error("{}: a file of {}, longer than the {} that a picture may have", shown(path), size(*bytes), size(*most))]
    LongFile {
        /// The file.
        path: PathBuf,
        /// Its length.
        bytes: u64,
        /// The length that is read.
        most: u64,
    },
    /// A JPEG file that is cut off.
    #[error(
        "{}: expected a whole image, found the end of the file after {bytes} bytes, before its end marker",
        shown(path)
    )]
    CutOff {
        /// The file.
        path: PathBuf,
        /// Length of the file.
        bytes: usize,
    },
}
