//! A data set in memory.

use super::channel_sums::ChannelSums;
use super::notes::Note;
use super::parts::{Format, Parts, ReadOptions, Split};
use super::{digits, recognise};
use crate::error::{Result, SetError, UsageError};
use crate::shape::Shape;
use crate::values::{ValueKind, ValuesRef};
use std::path::Path;

/// Images that are looked at to know what they are like, about.
const LOOKED_AT: usize = 1000;

/// Larger images than this are beyond any network trained here.
const MAX_RESIZE: u32 = 4096;

/// A data set in memory, with at least one example in each part, unless [a test part was
/// enough](ReadOptions::is_test_enough).
#[derive(Clone, Debug)]
pub struct Dataset {
    /// `digits`, the name of the folder, or the prefix of an IDX set such as `emnist-balanced`.
    pub name: String,
    /// What it was opened from, and the size that its images were brought to: what opens it again.
    pub source: String,
    /// How it was read: height and width, where images were resampled, and what else was asked for.
    pub options: ReadOptions,
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
    /// What each training example counts in the training loss, if not 1 ([`Dataset::weighted`]).
    pub(super) weights: Option<Vec<f64>>,
    /// SHA-256 of the content in lower-case hexadecimal. Hashed are channels, height, width and number
    /// of classes, then for the training and the test part the number of examples, the images and the
    /// labels; each number as 8 bytes, each label as 4, little-endian. File names and compression have
    /// no part in it; resampling has, and so have weights.
    pub sha256: String,
    /// What was not read as whoever made the files may think.
    pub notes: Vec<Note>,
}

impl Dataset {
    /// The name under which [`Dataset::open`] finds the built-in set.
    pub const DIGITS: &str = "digits";

    /// Opens the built-in set (`digits`) or the folder at a path; a folder that is called `digits` is
    /// `./digits`. If a folder holds several IDX sets, as EMNIST's does, the path goes on with the
    /// prefix of one, e.g. `DIR/emnist-balanced`.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`](crate::error::Error::Usage) for an option that makes no sense,
    /// [`Error::OutOfMemory`](crate::error::Error::OutOfMemory) for a set that does not fit into memory, and
    /// [`Error::Data`](crate::error::Error::Data) for everything that is wrong with the path or the files.
    pub fn open(source: &str, options: &ReadOptions) -> Result<Self> {
        if let Some((height, width)) = options.resize
            && !((1..=MAX_RESIZE).contains(&height) && (1..=MAX_RESIZE).contains(&width))
        {
            return Err(UsageError::Resize { height, width, most: MAX_RESIZE }.into());
        }
        let (name, mut parts) = if source == Self::DIGITS {
            (source.to_owned(), digits::read()?)
        } else {
            recognise::read(Path::new(source), options)?
        };
        if source == Self::DIGITS && Path::new(source).is_dir() {
            parts.notes.push(Note::BuiltIn { folder: Path::new(".").join(source) });
        }
        if options.test.is_some() && !parts.format.is_of_pictures() {
            return Err(SetError::TestPart { path: source.into() }.into());
        }
        Ok(Self::assemble(name, (source, *options), parts.resized(options)?))
    }

    /// The built-in set of handwritten digits: 1,437 training and 360 test images of 1×8×8 with values
    /// 0 to 16, in 10 classes.
    ///
    /// # Errors
    ///
    /// None in practice; the signature is that of [`Dataset::open`].
    pub fn digits() -> Result<Self> {
        Self::open(Self::DIGITS, &ReadOptions::default())
    }

    /// The training examples, or those to test on where there are no others.
    pub fn foremost(&self) -> &Split {
        if self.train.is_empty() { &self.test } else { &self.train }
    }

    /// Mean and standard deviation of each channel over all pixels of the [foremost](Dataset::foremost)
    /// images, in their units (of bytes 0 to 255). A channel that is the same everywhere gets the standard deviation 1,
    /// so that one can divide by it.
    pub fn channel_statistics(&self) -> Vec<(f64, f64)> {
        match self.foremost().images.view() {
            ValuesRef::Bytes(images) => self.statistics_of_bytes(images),
            ValuesRef::Floats(images) => self.statistics_of_floats(images),
        }
    }

    fn statistics_of_bytes(&self, images: &[u8]) -> Vec<(f64, f64)> {
        let mut sums = ChannelSums::default();
        sums.add(images, self.shape);
        sums.moments().map(|(mean, deviation)| (mean, if deviation == 0.0 { 1.0 } else { deviation })).collect()
    }

    /// In two passes, since a mean may be large beside the deviation.
    fn statistics_of_floats(&self, images: &[f32]) -> Vec<(f64, f64)> {
        let count = (images.len() / self.shape.channels).max(1) as f64;
        let sums = |of: &dyn Fn(usize, f64) -> f64| {
            let mut sums = vec![0.0; self.shape.channels];
            for (plane, values) in images.chunks_exact(self.shape.pixels()).enumerate() {
                let channel = plane % self.shape.channels;
                sums[channel] += values.iter().map(|&value| of(channel, f64::from(value))).sum::<f64>();
            }
            sums.into_iter().map(|sum| sum / count).collect::<Vec<f64>>()
        };
        let means = sums(&|_, value| value);
        let variances = sums(&|channel, value| (value - means[channel]).powi(2));
        // where all are the same, what is left is rounding
        let is_spread = |mean: f64, variance: f64| variance.sqrt() > 1e-12 * mean.abs();
        let deviation = |mean, variance: f64| if is_spread(mean, variance) { variance.sqrt() } else { 1.0 };
        means.iter().zip(variances).map(|(&mean, variance)| (mean, deviation(mean, variance))).collect()
    }

    /// What its images are made of.
    pub fn value_kind(&self) -> ValueKind {
        self.foremost().images.kind()
    }

    /// Whether the training images are drawn on black and leave the border free: of the outermost pixels nine in ten
    /// are black, all channels 0. Such images mean the same when they are shifted by a pixel. A thousand are looked at.
    pub fn has_black_border(&self) -> bool {
        let Shape { height, width, .. } = self.shape;
        let is_outermost = |i: &usize| {
            let (row, column) = (i % (height * width) / width, i % width);
            row == 0 || column == 0 || row + 1 == height || column + 1 == width
        };
        let border: Vec<usize> = (0..self.shape.len()).filter(is_outermost).collect();
        let step = (self.train.len() / LOOKED_AT).max(1);
        let images = (0..self.train.len()).step_by(step).map(|i| i * self.shape.len());
        let all = images.len() * border.len();
        let values = self.train.images.view();
        let black: usize = images.map(|first| border.iter().filter(|&&i| values.get(first + i) == 0.0).count()).sum();
        // a border is no use where there is nothing within it
        black * 10 >= all * 9 && height > 2 && width > 2
    }

    /// The entropy of the classes among the training examples, as a share of that of as many even ones; 1 where there
    /// is but one class.
    pub fn class_entropy(&self) -> f64 {
        self.weighted_class_entropy(&vec![1.0; self.classes.len()])
    }

    /// The same where the examples of each class count so much.
    pub(crate) fn weighted_class_entropy(&self, weights: &[f64]) -> f64 {
        let mut counted = vec![0.0; self.classes.len()];
        for (i, &label) in self.train.labels.iter().enumerate() {
            let of_example = self.weights.as_ref().map_or(1.0, |of| of[i]);
            counted[label as usize] += weights[label as usize] * of_example;
        }
        counted.retain(|&counted| counted > 0.0);
        let sum: f64 = counted.iter().sum();
        let shares = counted.iter().map(|counted| counted / sum);
        let entropy: f64 = shares.map(|share| -share * share.ln()).sum();
        // even classes are told without a rounding
        let are_even = counted.iter().all(|&other| other == counted[0]);
        if are_even { 1.0 } else { (entropy / (counted.len() as f64).ln()).min(1.0) }
    }

    pub(super) fn assemble(name: String, (source, options): (&str, ReadOptions), parts: Parts) -> Self {
        let sha256 = parts.sha256();
        let Parts { format, shape, classes, train, test, notes } = parts;
        Self {
            name,
            source: source.to_owned(),
            options,
            format,
            shape,
            classes,
            train,
            test,
            weights: None,
            sha256,
            notes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dataset(shape: Shape, images: Vec<u8>) -> Dataset {
        let labels = vec![0; images.len() / shape.len()];
        let train = Split { images: images.into(), labels };
        let test = train.clone();
        let parts = Parts { format: Format::Idx, shape, classes: vec!["0".to_owned()], train, test, notes: Vec::new() };
        Dataset::assemble("test".to_owned(), ("test", ReadOptions::default()), parts)
    }

    #[test]
    fn statistics_of_each_channel() {
        let set = dataset(Shape::new(2, 1, 2), vec![1, 3, 7, 7, 5, 7, 7, 7]);
        let [first, second] = set.channel_statistics()[..] else { panic!("two channels") };
        assert_eq!(first, (4.0, 5_f64.sqrt()));
        assert_eq!(second, (7.0, 1.0), "a constant channel");
    }

    #[test]
    fn images_on_black_are_told_by_their_border() {
        let shape = Shape::new(1, 4, 4);
        let mut image = [0; 16];
        image[5] = 200;
        let mut crossing = image;
        crossing[4] = 200;
        let of = |images: &[[u8; 16]]| dataset(shape, images.concat()).has_black_border();
        assert!(of(&[image]) && of(&[image, crossing]) && !of(&[image.map(|x| 255 - x)]));
        crossing[7] = 1;
        assert!(!of(&[crossing]) && !dataset(Shape::vector(3), vec![0; 3]).has_black_border());
    }

    #[test]
    fn entropy_is_that_of_the_classes_that_are_there() {
        let of = |counts: &[usize]| {
            let mut set = dataset(Shape::vector(1), vec![0; counts.iter().sum()]);
            set.train.labels = (0..).zip(counts).flat_map(|(class, &n)| vec![class; n]).collect();
            set.classes = counts.iter().map(ToString::to_string).collect();
            set.class_entropy()
        };
        assert_eq!([of(&[3]), of(&[0, 4]), of(&[5, 0, 5]), of(&[2; 10])], [1.0; 4]);
        assert!((of(&[99, 1]) - 0.080_793).abs() < 1e-6, "{}", of(&[99, 1]));
    }

    #[test]
    fn statistics_of_the_digits() {
        let [(mean, deviation)] = Dataset::digits().unwrap().channel_statistics()[..] else { panic!("one channel") };
        assert!((4.8..5.0).contains(&mean), "{mean}");
        assert!((5.9..6.1).contains(&deviation), "{deviation}");
    }

    #[test]
    fn resampling_changes_shape_and_hash() {
        let set = Dataset::open("digits", &ReadOptions { resize: Some((4, 6)), ..ReadOptions::default() }).unwrap();
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
