//! What a reader returns, and what it is asked for.

use super::divide::TestShare;
use super::input::reserve;
use super::notes::Note;
use super::resize::{Resizer, Sample};
use crate::error::Result;
use crate::files::hex;
use crate::shape::Shape;
use crate::values::{Values, ValuesRef};
use sha2::{Digest, Sha256};
use std::fmt;

/// Images with their labels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Split {
    /// Pixels `[N][C][H][W]` as stored in the files: bytes (usually 0 to 255), or f32 of any range.
    pub images: Values,
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
    /// The Python version of CIFAR-10.
    Cifar10Python,
    /// The Python version of CIFAR-100; its fine labels are the classes.
    Cifar100Python,
    /// Arrays of NumPy.
    Numpy,
    /// Image files in a folder for each class.
    ImageFolder,
    /// Arrays of a program, of no file.
    Arrays,
    /// Image files whose classes a table names.
    Table,
}

impl Format {
    /// Whether it is of image files, whose classes have names.
    pub(super) fn is_of_pictures(self) -> bool {
        matches!(self, Self::ImageFolder | Self::Table)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idx => "IDX",
            Self::Cifar10 => "CIFAR-10 binary",
            Self::Cifar100 => "CIFAR-100 binary",
            Self::Cifar10Python => "CIFAR-10 for Python",
            Self::Cifar100Python => "CIFAR-100 for Python",
            Self::Numpy => "NumPy arrays",
            Self::ImageFolder => "image folder",
            Self::Arrays => "arrays",
            Self::Table => "table of pictures",
        })
    }
}

/// How to read a data set.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReadOptions {
    /// Resample every image to this height and width in pixels, 1 to 4096 each. Needed if the images
    /// of an image folder differ in size.
    pub resize: Option<(u32, u32)>,
    /// Takes a part of each class of an image folder, or of a table, for testing, which has no test part of its own.
    pub test: Option<TestShare>,
    /// Leaves damaged files of an image folder out, with a [`Note`], instead of refusing it.
    pub skip_damaged: bool,
    /// Brings the images of an image folder to one channel, or to three; by default as the files are.
    pub channels: Option<usize>,
    /// Bytes that a picture of an image folder may take once decoded, in place of [a GiB](super::Picture::MOST).
    pub most_of_picture: Option<u64>,
    /// Whether a test part is enough: the training part may then be empty, and a folder of class folders is one.
    pub is_test_enough: bool,
}

/// What a reader returns.
pub(super) struct Parts {
    pub(super) format: Format,
    pub(super) shape: Shape,
    pub(super) classes: Vec<String>,
    pub(super) train: Split,
    pub(super) test: Split,
    pub(super) notes: Vec<Note>,
}

impl Parts {
    /// Resamples the images unless they have the wanted size already.
    pub(super) fn resized(mut self, options: &ReadOptions) -> Result<Self> {
        let Shape { channels, height, width } = self.shape;
        let wanted = options.resize.map(|(height, width)| (height as usize, width as usize));
        if let Some((to_height, to_width)) = wanted.filter(|&size| size != (height, width)) {
            let resizer = Resizer::new(self.shape, to_height, to_width);
            self.shape = Shape::new(channels, to_height, to_width);
            for split in [&mut self.train, &mut self.test] {
                let count = split.len().saturating_mul(self.shape.len());
                split.images = match split.images.view() {
                    ValuesRef::Bytes(images) => resampled(&resizer, images, count)?.into(),
                    ValuesRef::Floats(images) => resampled(&resizer, images, count)?.into(),
                };
            }
        }
        Ok(self)
    }

    /// SHA-256 of the content, as [`Dataset::sha256`](crate::data::Dataset::sha256) has it.
    pub(super) fn sha256(&self) -> String {
        let mut hasher = Sha256::new();
        let Shape { channels, height, width } = self.shape;
        for number in [channels, height, width, self.classes.len()] {
            hasher.update((number as u64).to_le_bytes());
        }
        for split in [&self.train, &self.test] {
            hasher.update((split.len() as u64).to_le_bytes());
            match split.images.view() {
                ValuesRef::Bytes(images) => hasher.update(images),
                ValuesRef::Floats(images) => images.iter().for_each(|value| hasher.update(value.to_le_bytes())),
            }
            for label in &split.labels {
                hasher.update(label.to_le_bytes());
            }
        }
        hex(&hasher.finalize())
    }
}

fn resampled<T: Sample>(resizer: &Resizer, images: &[T], count: usize) -> Result<Vec<T>> {
    let mut resampled = Vec::new();
    reserve(&mut resampled, count, "resampled images")?;
    resizer.append(images, &mut resampled);
    Ok(resampled)
}
