//! Sets of NumPy arrays: a `.npz` file that holds training and test images and labels, under MedMNIST's names
//! (`train_images`, …) or Keras' (`x_train`, …); the same as a folder of `.npy` files; or four files as
//! Kuzushiji-MNIST has them (`kmnist-train-imgs.npz`, …), each with the array `arr_0`.
//!
//! Images are bytes, f32 or f64 `[N][H][W]`, or with one or three channels `[N][H][W][C]` or `[N][C][H][W]`; features
//! that are no images `[N][F]`. What is not bytes becomes f32. Labels are integers `[N]` or `[N][1]`. The classes are
//! those of [numbered labels](super::labels).

use super::input::Input;
use super::labelled_arrays::{LabelledArrays, inconsistent};
use super::labels::NumberedClasses;
use super::notes::Note;
use super::npy::Array;
use super::parts::{Format, Parts, Split};
use super::picture::has_extension;
use super::zipped::{Member, members};
use crate::error::{ArrayError, Error, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Training images, training labels, test images, test labels.
const NAMINGS: [[&str; 4]; 2] =
    [["train_images", "train_labels", "test_images", "test_labels"], ["x_train", "y_train", "x_test", "y_test"]];

/// The same in Kuzushiji-MNIST's files.
const KUZUSHIJI: [&str; 4] = ["train-imgs", "train-labels", "test-imgs", "test-labels"];

/// Images of a part that is neither trained on nor tested on.
const UNUSED: [&str; 3] = ["val_images", "x_val", "x_valid"];

/// The array of a file that has one.
const ALONE: &str = "arr_0.npy";

/// Where an array is.
enum StoredArray {
    File(PathBuf),
    Member(Member),
    /// In a `.npz` file of its own.
    Alone(PathBuf),
}

impl StoredArray {
    fn open(&self) -> Result<Array> {
        Array::open(match self {
            Self::File(path) => Input::open(path)?,
            Self::Member(member) => member.open()?,
            Self::Alone(path) => {
                let found = members(path)?.into_iter().find(|member| member.name == ALONE);
                let names = || vec![ALONE.to_owned()];
                found.ok_or_else(|| ArrayError::Missing { path: path.join(ALONE), names: names() })?.open()?
            }
        })
    }

    fn path(&self) -> PathBuf {
        match self {
            Self::File(path) | Self::Alone(path) => path.clone(),
            Self::Member(member) => member.path(),
        }
    }
}

/// The arrays of a set that were found.
pub(super) struct NumpyArrays {
    /// The `.npz` file, the folder of `.npy` files, or the first of Kuzushiji's files.
    pub(super) place: PathBuf,
    /// The set's own name, where the folder's is none.
    pub(super) name: Option<String>,
    /// Where each should be.
    paths: [PathBuf; 4],
    stored: [Option<StoredArray>; 4],
    unused: Vec<StoredArray>,
}

/// The sets among the files of a folder. What cannot be read is none.
pub(super) fn find(folder: &Path, paths: &[PathBuf]) -> Vec<NumpyArrays> {
    let files: Vec<&PathBuf> = paths.iter().filter(|path| path.is_file()).collect();
    let mut found: Vec<NumpyArrays> = files
        .iter()
        .filter(|path| has_extension(path, &["npz"]))
        .filter_map(|path| of_npz(path).ok().flatten())
        .collect();
    let npy = |name: &str| {
        let path = folder.join(format!("{name}.npy"));
        files.contains(&&path).then_some(StoredArray::File(path))
    };
    let in_folder = NAMINGS.iter().filter_map(|naming| NumpyArrays::new(folder, None, naming, npy));
    found.extend(in_folder);
    let mut kuzushiji: BTreeMap<&str, [Option<&PathBuf>; 4]> = BTreeMap::new();
    for path in files {
        if let Some((prefix, role)) = kuzushiji_role(path) {
            kuzushiji.entry(prefix).or_default()[role] = Some(path);
        }
    }
    found.extend(kuzushiji.into_iter().map(|(prefix, files)| of_kuzushiji(folder, prefix, files)));
    found
}

/// What is wrong with the first `.npz` file that cannot be read, of a folder that holds no set.
pub(super) fn fault(paths: &[PathBuf]) -> Option<Error> {
    let mut files = paths.iter().filter(|path| has_extension(path, &["npz"]) && path.is_file());
    files.find_map(|path| members(path).err())
}

/// The set of a `.npz` file.
///
/// # Errors
/// [`Error::Data`] of a file that is damaged or holds no set.
pub(super) fn of_file(path: &Path) -> Result<NumpyArrays> {
    if let (Some((prefix, _)), Some(folder)) = (kuzushiji_role(path), path.parent()) {
        let of_role = |role: usize| path.with_file_name(format!("{prefix}-{}.npz", KUZUSHIJI[role]));
        let files: [PathBuf; 4] = std::array::from_fn(of_role);
        return Ok(of_kuzushiji(folder, prefix, files.each_ref().map(|path| path.is_file().then_some(path))));
    }
    of_npz(path)?.ok_or_else(|| missing(path.join(NAMINGS[0][0]), &NAMINGS[0].map(|name| path.join(name))))
}

/// The set that a `.npz` file holds, if it does.
fn of_npz(path: &Path) -> Result<Option<NumpyArrays>> {
    let members = members(path)?;
    for naming in &NAMINGS {
        let is_there = |name: &str| members.iter().any(|member| member.name == format!("{name}.npy"));
        if naming.iter().any(|name| is_there(name)) {
            let mut members: Vec<Option<Member>> = members.into_iter().map(Some).collect();
            let name = path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned);
            let take = |name: &str| {
                let is_it = |member: &&mut Option<Member>| {
                    member.as_ref().is_some_and(|member| member.name == format!("{name}.npy"))
                };
                members.iter_mut().find(is_it).and_then(Option::take).map(StoredArray::Member)
            };
            return Ok(NumpyArrays::new(path, name, naming, take));
        }
    }
    Ok(None)
}

/// Prefix and role of one of Kuzushiji's files.
fn kuzushiji_role(path: &Path) -> Option<(&str, usize)> {
    let stem = path.file_name()?.to_str()?.strip_suffix(".npz")?;
    (0..).zip(KUZUSHIJI).find_map(|(role, name)| Some((stem.strip_suffix(name)?.strip_suffix('-')?, role)))
}

fn of_kuzushiji(folder: &Path, prefix: &str, files: [Option<&PathBuf>; 4]) -> NumpyArrays {
    NumpyArrays {
        place: files.into_iter().flatten().next().cloned().unwrap_or_else(|| folder.to_owned()),
        name: Some(prefix.to_owned()),
        paths: KUZUSHIJI.map(|name| folder.join(format!("{prefix}-{name}.npz"))),
        stored: files.map(|file| file.cloned().map(StoredArray::Alone)),
        unused: Vec::new(),
    }
}

fn missing(path: PathBuf, all: &[PathBuf; 4]) -> Error {
    let name = |path: &PathBuf| path.file_name().map(|name| name.to_string_lossy().into_owned());
    ArrayError::Missing { path, names: all.iter().filter_map(name).collect() }.into()
}

impl NumpyArrays {
    /// Those of some names, if there is any.
    fn new(
        place: &Path,
        name: Option<String>,
        naming: &[&str; 4],
        mut take: impl FnMut(&str) -> Option<StoredArray>,
    ) -> Option<Self> {
        let stored = naming.map(&mut take);
        let unused = UNUSED.iter().filter_map(|name| take(name)).collect();
        let paths = naming.map(|name| place.join(name));
        stored.iter().any(Option::is_some).then(|| Self { place: place.to_owned(), name, paths, stored, unused })
    }

    /// Reads the set, or its test part, where that is enough and all there is.
    ///
    /// All headers are read before any label, and all labels before any image.
    pub(super) fn read(&self, is_test_enough: bool) -> Result<Parts> {
        if is_test_enough && self.stored[..2].iter().all(Option::is_none) {
            return self.read_test();
        }
        let (mut train, mut test) = (self.open(0)?, self.open(2)?);
        if test.shape != train.shape {
            let expected = format!("images of {} as in {}", train.shape, train.images.input.name());
            return Err(inconsistent(&test.images, expected, test.shape.to_string()));
        }
        if test.elements.kind() != train.elements.kind() {
            let expected = format!("images of {} as in {}", train.elements.kind(), train.images.input.name());
            return Err(inconsistent(&test.images, expected, test.elements.kind().to_string()));
        }
        let (mut trained, mut tested) = (train.read_labels()?, test.read_labels()?);
        let classes = NumberedClasses::of_training(&trained);
        if let Some(stray) = classes.stray(&tested) {
            let NumberedClasses { first, last } = classes;
            let expected = format!("labels from {first} to {last} as in {}", train.labels.input.name());
            return Err(inconsistent(&test.labels, expected, format!("{} at {stray}", tested[stray])));
        }
        [&mut trained, &mut tested].into_iter().for_each(|labels| classes.count_from_first(labels));
        Ok(Parts {
            format: Format::Numpy,
            shape: train.shape,
            classes: classes.names(),
            train: Split { images: train.read_images()?, labels: trained },
            test: Split { images: test.read_images()?, labels: tested },
            notes: self.notes(),
        })
    }

    fn read_test(&self) -> Result<Parts> {
        let mut test = self.open(2)?;
        let mut labels = test.read_labels()?;
        let classes = NumberedClasses::of_test(&labels);
        classes.count_from_first(&mut labels);
        let test_part = Split { images: test.read_images()?, labels };
        let (format, shape) = (Format::Numpy, test.shape);
        Ok(Parts {
            format,
            shape,
            classes: classes.names(),
            train: Split::default(),
            test: test_part,
            notes: self.notes(),
        })
    }

    fn notes(&self) -> Vec<Note> {
        let note = |unused: &StoredArray| Note::UnusedPart { path: unused.path(), test: self.paths[2].clone() };
        self.unused.iter().map(note).collect()
    }

    /// Opens the images and labels of a part, from its first role on.
    fn open(&self, first: usize) -> Result<LabelledArrays> {
        let [images, labels] = [first, first + 1].map(|role| match &self.stored[role] {
            Some(stored) => stored.open(),
            None => Err(missing(self.paths[role].clone(), &self.paths)),
        });
        LabelledArrays::new(images?, labels?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_kuzushijis_files() {
        let role = |name| kuzushiji_role(Path::new(name));
        assert_eq!(role("a/kmnist-train-imgs.npz"), Some(("kmnist", 0)));
        assert_eq!(role("k49-test-labels.npz"), Some(("k49", 3)));
        assert_eq!([role("kmnist-train-imgs.npy"), role("train-imgs.npz"), role("x.npz")], [None; 3]);
    }
}
