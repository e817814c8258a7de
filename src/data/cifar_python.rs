//! The Python version of CIFAR-10 and CIFAR-100: pickled dicts of an array `data`, bytes `[N][3072]`, a list of labels,
//! and in a file of its own the names of the classes.

use super::cifar::{MAX_NAMES_LENGTH, SHAPE};
use super::input::{Input, reserve};
use super::parts::{Format, Parts, Split};
use super::pickle::{PROTOCOL, Pickle, Pickled};
use super::pickle_bytes::PickleFault;
use crate::error::{Error, Result, SetError};
use std::path::Path;

/// Folders in which the archives of the two sets unpack.
pub(super) const PYTHON_10_FOLDER: &str = "cifar-10-batches-py";
pub(super) const PYTHON_100_FOLDER: &str = "cifar-100-python";

/// One of the two sets.
pub(super) struct PythonLayout {
    format: Format,
    train: &'static [&'static str],
    test: &'static str,
    meta: &'static str,
    /// Keys of the labels, and of the names of the classes in the file of these.
    labels: &'static str,
    names: &'static str,
    classes: usize,
}

pub(super) const PYTHON_10: PythonLayout = PythonLayout {
    format: Format::Cifar10Python,
    train: &["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"],
    test: "test_batch",
    meta: "batches.meta",
    labels: "labels",
    names: "label_names",
    classes: 10,
};

pub(super) const PYTHON_100: PythonLayout = PythonLayout {
    format: Format::Cifar100Python,
    train: &["train"],
    test: "test",
    meta: "meta",
    labels: "fine_labels",
    names: "fine_label_names",
    classes: 100,
};

impl PythonLayout {
    /// Whether `dir` holds any of the set's files of images. Since others may be called `train` or `test` as well, one
    /// has to begin as a pickle does.
    pub(super) fn is_in(&self, dir: &Path) -> bool {
        let is_pickle =
            |name: &&str| Input::open(&dir.join(name)).is_ok_and(|mut input| input.begins_with(&[PROTOCOL]));
        self.train.iter().chain([&self.test]).any(is_pickle)
    }

    /// Reads the set in `dir`, or its test part, where that is enough and all there is. Without its file of names the
    /// classes are called by their labels.
    pub(super) fn read(&self, dir: &Path, is_test_enough: bool) -> Result<Parts> {
        let is_test_alone = is_test_enough && !self.train.iter().any(|name| dir.join(name).exists());
        let train = self.read_split(dir, if is_test_alone { &[] } else { self.train })?;
        let test = self.read_split(dir, &[self.test])?;
        let classes = self.read_names(&dir.join(self.meta))?;
        Ok(Parts { format: self.format, shape: SHAPE, classes, train, test, notes: Vec::new() })
    }

    fn read_split(&self, dir: &Path, names: &[&str]) -> Result<Split> {
        let (mut images, mut labels) = (Vec::new(), Vec::new());
        names.iter().try_for_each(|name| self.read_file(dir, name, &mut images, &mut labels))?;
        Ok(Split { images: images.into(), labels })
    }

    fn read_file(&self, dir: &Path, name: &str, images: &mut Vec<u8>, classes: &mut Vec<u32>) -> Result<()> {
        let path = dir.join(name);
        if !path.exists() {
            let files = [self.train, &[self.test]].concat();
            return Err(SetError::MissingCifar { path, format: self.format.to_string(), files }.into());
        }
        let mut input = Input::open(&path)?;
        let bytes = input.bytes(input.bound(), "a pickle")?;
        let pickle = Pickle::read(&bytes).map_err(|fault| unexpected(&input, fault))?;
        let other = |expected: String| input.unexpected(0, expected, "a dict of something else");
        let rows = pickle.entry("data").and_then(|data| pickle.rows(data, SHAPE.len()));
        let rows = rows.filter(|rows| !rows.is_empty());
        let rows = rows.ok_or_else(|| other(format!("an array data of bytes, [N, {}]", SHAPE.len())))?;
        let labels = pickle.entry(self.labels).and_then(|labels| pickle.list(labels));
        let labels = labels.ok_or_else(|| other(format!("a list {}", self.labels)))?;
        let count = rows.len() / SHAPE.len();
        if labels.len() != count {
            let expected = format!("{count} {}, one for each image", self.labels);
            let found = labels.len().to_string();
            return Err(SetError::Inconsistent { at: input.at(0), expected, found }.into());
        }
        reserve(images, rows.len(), "images")?;
        reserve(classes, count, "labels")?;
        for label in labels {
            let class = match label {
                Pickled::Integer(label) => u32::try_from(*label).ok().filter(|label| (*label as usize) < self.classes),
                _ => None,
            };
            let last = self.classes - 1;
            let expected = || other(format!("{} from 0 to {last}", self.labels));
            classes.push(class.ok_or_else(expected)?);
        }
        images.extend_from_slice(rows);
        Ok(())
    }

    fn read_names(&self, path: &Path) -> Result<Vec<String>> {
        if !path.exists() {
            return Ok((0..self.classes).map(|label| label.to_string()).collect());
        }
        let mut input = Input::open(path)?;
        let bytes = input.bytes(input.bound().min(MAX_NAMES_LENGTH), "class names")?;
        input.end()?;
        let pickle = Pickle::read(&bytes).map_err(|fault| unexpected(&input, fault))?;
        let names = pickle.entry(self.names).and_then(|names| pickle.list(names)).unwrap_or_default();
        let text = |name: &Pickled<'_>| std::str::from_utf8(pickle.bytes_of(name)?).ok().map(str::to_owned);
        match names.iter().map(text).collect::<Option<Vec<_>>>() {
            Some(names) if names.len() == self.classes => Ok(names),
            _ => {
                let found = format!("{} {}", names.len(), self.names);
                Err(SetError::ClassNames { at: input.at(0), classes: self.classes, found }.into())
            }
        }
    }
}

fn unexpected(input: &Input, fault: PickleFault) -> Error {
    input.unexpected(fault.offset as u64, fault.expected, fault.found)
}
