//! The binary versions of CIFAR-10 and CIFAR-100: files of records without a header.
//!
//! A record is one label byte (CIFAR-10), or a coarse and a fine one (CIFAR-100, where the fine label
//! is the class), followed by 3,072 bytes of pixels: 32×32 each of red, green and blue.

use super::input::{Input, reserve};
use super::parts::{Format, Parts, Split};
use crate::error::{Result, SetError};
use crate::shape::Shape;
use std::path::Path;

/// Folders in which the archives of the two sets unpack.
pub(super) const CIFAR_10_FOLDER: &str = "cifar-10-batches-bin";
pub(super) const CIFAR_100_FOLDER: &str = "cifar-100-binary";

pub(super) const SHAPE: Shape = Shape::new(3, 32, 32);

/// A file of class names is a few hundred bytes; anything beyond this is something else.
pub(super) const MAX_NAMES_LENGTH: u64 = 1 << 16;

/// One of the two sets.
pub(super) struct Layout {
    format: Format,
    train: &'static [&'static str],
    test: &'static str,
    names: &'static str,
    /// The label bytes of a record: what each is and how many values it has. The last is the class.
    labels: &'static [(&'static str, u8)],
}

pub(super) const CIFAR_10: Layout = Layout {
    format: Format::Cifar10,
    train: &["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"],
    test: "test_batch.bin",
    names: "batches.meta.txt",
    labels: &[("label", 10)],
};

pub(super) const CIFAR_100: Layout = Layout {
    format: Format::Cifar100,
    train: &["train.bin"],
    test: "test.bin",
    names: "fine_label_names.txt",
    labels: &[("coarse label", 20), ("fine label", 100)],
};

impl Layout {
    /// Whether `dir` holds any of the set's files of records.
    pub(super) fn is_in(&self, dir: &Path) -> bool {
        self.train.iter().chain([&self.test]).any(|name| dir.join(name).is_file())
    }

    /// Reads the set in `dir`, or its test part, where that is enough and all there is. Without its file of names the
    /// classes are called by their labels.
    pub(super) fn read(&self, dir: &Path, is_test_enough: bool) -> Result<Parts> {
        let is_test_alone = is_test_enough && !self.train.iter().any(|name| dir.join(name).exists());
        let train = if is_test_alone { Split::default() } else { self.read_split(dir, self.train)? };
        let test = self.read_split(dir, &[self.test])?;
        let classes = self.read_names(&dir.join(self.names))?;
        Ok(Parts { format: self.format, shape: SHAPE, classes, train, test, notes: Vec::new() })
    }

    fn read_split(&self, dir: &Path, names: &[&str]) -> Result<Split> {
        let mut inputs = Vec::new();
        for name in names {
            let path = dir.join(name);
            if !path.exists() {
                let files = [self.train, &[self.test]].concat();
                return Err(SetError::MissingCifar { path, format: self.format.to_string(), files }.into());
            }
            let input = Input::open(&path)?;
            let count = self.count_records(&input)?;
            inputs.push((input, count));
        }
        let total = inputs.iter().fold(0_usize, |total, (_, count)| total.saturating_add(*count));
        let (mut images, mut labels) = (Vec::new(), Vec::new());
        reserve(&mut images, total.saturating_mul(SHAPE.len()), "images")?;
        reserve(&mut labels, total, "labels")?;
        for (mut input, count) in inputs {
            for _ in 0..count {
                self.read_record(&mut input, &mut images, &mut labels)?;
            }
            input.end()?;
        }
        Ok(Split { images: images.into(), labels })
    }

    fn record_length(&self) -> usize {
        self.labels.len() + SHAPE.len()
    }

    fn count_records(&self, input: &Input) -> Result<usize> {
        let record = self.record_length() as u64;
        let (whole, rest) = (input.bound() / record, input.bound() % record);
        if rest != 0 || whole == 0 {
            let expected = format!("a whole record of {record} bytes");
            return Err(input.unexpected(whole * record, expected, format!("{rest} bytes")));
        }
        Ok(usize::try_from(whole).unwrap_or(usize::MAX))
    }

    fn read_record(&self, input: &mut Input, images: &mut Vec<u8>, labels: &mut Vec<u32>) -> Result<()> {
        let mut class = 0;
        for (what, values) in self.labels {
            let [label] = input.array(what)?;
            if label >= *values {
                let expected = format!("a {what} from 0 to {}", values - 1);
                return Err(input.unexpected(input.offset() - 1, expected, label));
            }
            class = u32::from(label);
        }
        labels.push(class);
        let start = images.len();
        images.resize(start + SHAPE.len(), 0);
        input.fill(&mut images[start..], "pixels")
    }

    fn read_names(&self, path: &Path) -> Result<Vec<String>> {
        let count = self.labels.last().map_or(0, |(_, values)| usize::from(*values));
        if !path.exists() {
            return Ok((0..count).map(|label| label.to_string()).collect());
        }
        let mut input = Input::open(path)?;
        let fault = |input: &Input, offset: u64, found: String| -> Result<Vec<String>> {
            Err(SetError::ClassNames { at: input.at(offset), classes: count, found }.into())
        };
        if input.bound() > MAX_NAMES_LENGTH {
            let found = format!("a file of {} bytes", input.bound());
            return fault(&input, 0, found);
        }
        let bytes = input.bytes(input.bound(), "class names")?;
        let text = match std::str::from_utf8(&bytes) {
            Ok(text) => text,
            Err(error) => {
                let offset = error.valid_up_to() as u64;
                return fault(&input, offset, "bytes that are not UTF-8".to_owned());
            }
        };
        // The published file ends in an empty line.
        let names: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        if names.len() != count {
            return fault(&input, 0, format!("{} lines", names.len()));
        }
        Ok(names.into_iter().map(str::to_owned).collect())
    }
}
