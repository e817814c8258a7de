//! Data sets of labelled images: what they are in memory, and reading them from disk.
//!
//! [`Dataset::open`] recognises by itself what a folder holds: IDX files, the binary version of CIFAR-10
//! or CIFAR-100, or an image folder. A damaged file is an [`Error::Data`] of one line that names the
//! file, the offset in bytes where there is one, what was expected, and what was found.
//! Memory never follows a number in a file before that number has been checked against the file's size:
//! reading takes no more than twice the size of the uncompressed files plus 16 MiB, whatever their
//! headers say. Image files are decoded by the `image` crate, within the limits that `image_folder` sets; a large
//! progressive JPEG may take three times its pixels. WebP is left out: its decoder believes sizes in a damaged file.

mod cifar;
mod digits;
mod idx;
mod image_folder;
mod input;
mod recognise;
mod resize;

use crate::error::{Error, Result, UsageError};
use crate::files::hex;
use crate::shape::Shape;
use input::reserve;
use sha2::{Digest, Sha256};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// The name under which [`Dataset::open`] finds the built-in set.
const DIGITS: &str = "digits";

/// Larger images than this are beyond any network trained here.
const MAX_RESIZE: u32 = 4096;

/// Images with their labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// Pixels `[N][C][H][W]`, one byte each as stored in the files (usually 0 to 255).
    pub images: Vec<u8>,
    /// Class indices `[N]`, each less than the number of classes.
    pub labels: Vec<u32>,
}

impl Split {
    /// N, the number of examples.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no example.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
}

/// How a data set is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// MNIST's format.
    Idx,
    /// The binary version of CIFAR-10.
    Cifar10,
    /// The binary version of CIFAR-100; its fine labels are the classes.
    Cifar100,
    /// Image files in a folder for each class.
    ImageFolder,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idx => "IDX",
            Self::Cifar10 => "CIFAR-10 binary",
            Self::Cifar100 => "CIFAR-100 binary",
            Self::ImageFolder => "image folder",
        })
    }
}

/// How to read a data set.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReadOptions {
    /// Resample every image to this height and width in pixels, 1 to 4096 each. Needed if the images
    /// of an image folder differ in size.
    pub resize: Option<(u32, u32)>,
}

/// A data set in memory, with at least one example in each part.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// `digits`, the name of the folder, or the prefix of an IDX set such as `emnist-balanced`.
    pub name: String,
    /// How it was stored.
    pub format: Format,
    /// Shape of one image.
    pub shape: Shape,
    /// Names of the classes; a label is an index into this.
    pub classes: Vec<String>,
    /// Examples to train on.
    pub train: Split,
    /// Examples to test on.
    pub test: Split,
    /// SHA-256 of the content in lower-case hexadecimal. Hashed are channels, height, width and number
    /// of classes, then for the training and the test part the number of examples, the images and the
    /// labels; each number as 8 bytes, each label as 4, little-endian. File names and compression have
    /// no part in it; resampling has.
    pub sha256: String,
}

/// What a reader returns.
struct Parts {
    format: Format,
    shape: Shape,
    classes: Vec<String>,
    train: Split,
    test: Split,
}

impl Dataset {
    /// Opens the built-in set (`digits`) or the folder at a path; a folder that is called `digits` is
    /// `./digits`. If a folder holds several IDX sets, as EMNIST's does, the path goes on with the
    /// prefix of one, e.g. `DIR/emnist-balanced`.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] for an option that makes no sense, [`Error::OutOfMemory`] for a set that does not
    /// fit into memory, and [`Error::Data`] for everything that is wrong with the path or the files.
    pub fn open(source: &str, options: &ReadOptions) -> Result<Self> {
        if let Some((height, width)) = options.resize
            && !((1..=MAX_RESIZE).contains(&height) && (1..=MAX_RESIZE).contains(&width))
        {
            return Err(UsageError::Resize { height, width, most: MAX_RESIZE }.into());
        }
        let (name, parts) = if source == DIGITS {
            (DIGITS.to_owned(), digits::read()?)
        } else {
            recognise::read(Path::new(source), options)?
        };
        Ok(Self::assemble(name, parts.resized(options)?))
    }

    /// The built-in set of handwritten digits: 1,437 training and 360 test images of 1×8×8 with values
    /// 0 to 16, in 10 classes.
    ///
    /// # Errors
    ///
    /// None in practice; the signature is that of [`Dataset::open`].
    pub fn digits() -> Result<Self> {
        Self::open(DIGITS, &ReadOptions::default())
    }

    /// Mean and standard deviation of each channel over all pixels of the training images, in units of
    /// a byte (0 to 255). A channel that is the same everywhere gets the standard deviation 1, so that
    /// one can divide by it.
    pub fn channel_statistics(&self) -> Vec<(f64, f64)> {
        // Sums of integers are exact, in any order: 2^64 / 255^2 pixels would be needed to overflow.
        let mut sums = vec![(0_u64, 0_u64); self.shape.channels];
        for image in self.train.images.chunks_exact(self.shape.len()) {
            for ((sum, squares), plane) in sums.iter_mut().zip(image.chunks_exact(self.shape.pixels())) {
                *sum += plane.iter().map(|&pixel| u64::from(pixel)).sum::<u64>();
                *squares += plane.iter().map(|&pixel| u64::from(pixel).pow(2)).sum::<u64>();
            }
        }
        let count = (self.train.len() * self.shape.pixels()).max(1) as u64;
        let statistics = |(sum, squares): (u64, u64)| {
            // n²·variance = n·Σx² − (Σx)², still exact.
            let spread = u128::from(count) * u128::from(squares) - u128::from(sum).pow(2);
            let deviation = if spread == 0 { 1.0 } else { (spread as f64).sqrt() / count as f64 };
            (sum as f64 / count as f64, deviation)
        };
        sums.into_iter().map(statistics).collect()
    }

    fn assemble(name: String, parts: Parts) -> Self {
        let sha256 = parts.sha256();
        let Parts { format, shape, classes, train, test } = parts;
        Self { name, format, shape, classes, train, test, sha256 }
    }
}

impl Parts {
    /// Resamples the images unless they have the wanted size already.
    fn resized(mut self, options: &ReadOptions) -> Result<Self> {
        let Shape { channels, height, width } = self.shape;
        let wanted = options.resize.map(|(height, width)| (height as usize, width as usize));
        if let Some((to_height, to_width)) = wanted.filter(|&size| size != (height, width)) {
            let resizer = resize::Resizer::new(self.shape, to_height, to_width);
            self.shape = Shape::new(channels, to_height, to_width);
            for split in [&mut self.train, &mut self.test] {
                let mut images = Vec::new();
                reserve(&mut images, split.len().saturating_mul(self.shape.len()), "resampled images")?;
                resizer.append(&split.images, &mut images);
                split.images = images;
            }
        }
        Ok(self)
    }

    fn sha256(&self) -> String {
        let mut hasher = Sha256::new();
        let Shape { channels, height, width } = self.shape;
        for number in [channels, height, width, self.classes.len()] {
            hasher.update((number as u64).to_le_bytes());
        }
        for split in [&self.train, &self.test] {
            hasher.update((split.len() as u64).to_le_bytes());
            hasher.update(&split.images);
            for label in &split.labels {
                hasher.update(label.to_le_bytes());
            }
        }
        hex(&hasher.finalize())
    }
}

/// The visible entries of a folder, sorted by name.
fn list(dir: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = |source| Error::unreadable(dir, source);
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dataset(shape: Shape, images: Vec<u8>) -> Dataset {
        let labels = vec![0; images.len() / shape.len()];
        let train = Split { images, labels };
        let test = train.clone();
        let parts = Parts { format: Format::Idx, shape, classes: vec!["0".to_owned()], train, test };
        Dataset::assemble("test".to_owned(), parts)
    }

    #[test]
    fn statistics_of_each_channel() {
        let set = dataset(Shape::new(2, 1, 2), vec![1, 3, 7, 7, 5, 7, 7, 7]);
        let [first, second] = set.channel_statistics()[..] else { panic!("two channels") };
        assert_eq!(first, (4.0, 5_f64.sqrt()));
        assert_eq!(second, (7.0, 1.0), "a constant channel");
    }

    #[test]
    fn statistics_of_the_digits() {
        let [(mean, deviation)] = Dataset::digits().unwrap().channel_statistics()[..] else { panic!("one channel") };
        assert!((4.8..5.0).contains(&mean), "{mean}");
        assert!((5.9..6.1).contains(&deviation), "{deviation}");
    }

    #[test]
    fn resampling_changes_shape_and_hash() {
        let set = Dataset::open("digits", &ReadOptions { resize: Some((4, 6)) }).unwrap();
        assert_eq!(set.shape, Shape::new(1, 4, 6));
        assert_eq!(set.train.images.len(), set.train.len() * 24);
        assert_ne!(set.sha256, Dataset::digits().unwrap().sha256);
    }

    #[test]
    fn the_hash_depends_on_the_shape_and_the_split() {
        let wide = dataset(Shape::new(1, 1, 4), vec![1; 8]);
        let tall = dataset(Shape::new(1, 4, 1), vec![1; 8]);
        assert_ne!(wide.sha256, tall.sha256);
        assert_eq!(wide.sha256, dataset(wide.shape, vec![1; 8]).sha256);
    }
}
