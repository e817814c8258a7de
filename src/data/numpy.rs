//! Sets of NumPy arrays: a `.npz` file that holds training and test images and labels, under MedMNIST's names
//! (`train_images`, …) or Keras' (`x_train`, …); the same as a folder of `.npy` files; or four files as
//! Kuzushiji-MNIST has them (`kmnist-train-imgs.npz`, …), each with the array `arr_0`.
//!
//! Images are bytes `[N][H][W]`, or with one or three channels `[N][H][W][C]` or `[N][C][H][W]`. Labels are integers
//! `[N]` or `[N][1]`. The classes are those of [numbered labels](super::labels).

use super::input::Input;
use super::labels::{MOST_LABEL, NumberedClasses};
use super::notes::Note;
use super::npy::Array;
use super::parts::{Format, Parts, Split};
use super::picture::has_extension;
use super::zipped::{Member, members};
use crate::error::{ArrayError, Error, Result, SetError};
use crate::shape::Shape;
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

fn inconsistent(array: &Array, expected: String, found: String) -> Error {
    SetError::Inconsistent { at: array.input.at(array.input.offset()), expected, found }.into()
}

/// The images of a part and their labels, whose headers go together.
struct LabelledArrays {
    images: Array,
    labels: Array,
    /// Of one image.
    shape: Shape,
    are_channels_last: bool,
}

/// Which elements images may have: where another type is to be read, this and [`LabelledArrays::read_images`] say so.
fn check_pixels(images: &Array) -> Result<()> {
    match images.dtype.parts() {
        Some(('u', 1, _)) => Ok(()),
        _ => Err(images.of_dtype("images", "uint8, a byte from 0 to 255 a value,")),
    }
}

/// Shape of an image, and whether its channels are last.
fn layout(images: &Array) -> Result<(Shape, bool)> {
    let (sides, are_channels_last) = match images.shape[..] {
        [_, height, width] => ([1, height, width], false),
        [_, channels @ (1 | 3), height, width] if height > channels && width > channels => {
            ([channels, height, width], false)
        }
        [_, height, width, channels @ (1 | 3)] => ([channels, height, width], true),
        _ => {
            let wanted = "[N, H, W], or [N, H, W, C] or [N, C, H, W] of 1 or 3 channels";
            return Err(images.of_shape("images", wanted));
        }
    };
    images.input.holds(images.elements("images")?, "images")?;
    // sides of what a file holds
    let [channels, height, width] = sides.map(|side| side as usize);
    Ok((Shape::new(channels, height, width), are_channels_last))
}

impl LabelledArrays {
    fn new(images: Array, labels: Array) -> Result<Self> {
        check_pixels(&images)?;
        let (shape, are_channels_last) = layout(&images)?;
        let Some(('u' | 'i', bytes @ (1 | 2 | 4 | 8), _)) = labels.dtype.parts() else {
            return Err(labels.of_dtype("labels", "an integer"));
        };
        let count = match labels.shape[..] {
            [count] | [count, 1] => count,
            _ => return Err(labels.of_shape("labels", "one number an example, [N] or [N, 1]")),
        };
        if count != images.shape[0] {
            let expected = format!("{} labels, one for each image of {}", images.shape[0], images.input.name());
            return Err(inconsistent(&labels, expected, count.to_string()));
        }
        labels.input.holds(count.saturating_mul(bytes as u64), "labels")?;
        Ok(Self { images, labels, shape, are_channels_last })
    }

    fn read_labels(&mut self) -> Result<Vec<u32>> {
        let Array { input, dtype, shape, .. } = &mut self.labels;
        let Some((kind, size, is_big)) = dtype.parts() else { return Ok(Vec::new()) };
        let start = input.offset();
        let bytes = input.bytes(shape[0] * size as u64, "labels")?;
        input.end()?;
        let mut labels = Vec::with_capacity(bytes.len() / size);
        for (i, element) in (0..).zip(bytes.chunks_exact(size)) {
            let value = integer(element, kind == 'i', is_big);
            match u32::try_from(value).ok().filter(|label| *label <= MOST_LABEL) {
                Some(label) => labels.push(label),
                None => {
                    let expected = format!("a label from 0 to {MOST_LABEL}");
                    return Err(input.unexpected(start + i * size as u64, expected, value));
                }
            }
        }
        Ok(labels)
    }

    /// Pixels `[N][C][H][W]`.
    fn read_images(&mut self) -> Result<Vec<u8>> {
        let elements = self.images.elements("images")?;
        let mut pixels = self.images.input.bytes(elements, "images")?;
        self.images.input.end()?;
        if self.images.is_fortran {
            return Ok(self.in_order(&pixels));
        }
        if self.are_channels_last && self.shape.channels > 1 {
            let mut interleaved = vec![0; self.shape.len()];
            for image in pixels.chunks_exact_mut(self.shape.len()) {
                interleaved.copy_from_slice(image);
                for (channel, plane) in image.chunks_exact_mut(self.shape.pixels()).enumerate() {
                    let values = interleaved.iter().skip(channel).step_by(self.shape.channels);
                    plane.iter_mut().zip(values).for_each(|(to, from)| *to = *from);
                }
            }
        }
        Ok(pixels)
    }

    /// Of an array whose first index is the fastest.
    fn in_order(&self, pixels: &[u8]) -> Vec<u8> {
        let Shape { channels, height, width } = self.shape;
        let count = pixels.len() / self.shape.len();
        // how far apart neighbours are along channels, rows and columns
        let [of_channel, of_row, of_column] = match self.are_channels_last {
            true => [count * height * width, count, count * height],
            false => [count, count * channels, count * channels * height],
        };
        let mut ordered = Vec::with_capacity(pixels.len());
        for n in 0..count {
            for channel in 0..channels {
                for row in 0..height {
                    let start = n + channel * of_channel + row * of_row;
                    ordered.extend((0..width).map(|column| pixels[start + column * of_column]));
                }
            }
        }
        ordered
    }
}

/// The number that some bytes stand for.
fn integer(bytes: &[u8], is_signed: bool, is_big: bool) -> i128 {
    let join = |number: i128, byte: &u8| number << 8 | i128::from(*byte);
    let number = if is_big { bytes.iter().fold(0, join) } else { bytes.iter().rev().fold(0, join) };
    let range = 1_i128 << (8 * bytes.len());
    if is_signed && number >= range / 2 { number - range } else { number }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_any_size_and_order() {
        assert_eq!(integer(&[255], false, false), 255);
        assert_eq!(integer(&[255], true, false), -1);
        assert_eq!(integer(&[1, 2], true, false), 0x201);
        assert_eq!(integer(&[1, 2], true, true), 0x102);
        assert_eq!(integer(&[255, 255, 255, 255, 255, 255, 255, 254], true, true), -2);
    }

    #[test]
    fn names_of_kuzushijis_files() {
        let role = |name| kuzushiji_role(Path::new(name));
        assert_eq!(role("a/kmnist-train-imgs.npz"), Some(("kmnist", 0)));
        assert_eq!(role("k49-test-labels.npz"), Some(("k49", 3)));
        assert_eq!([role("kmnist-train-imgs.npy"), role("train-imgs.npz"), role("x.npz")], [None; 3]);
    }
}
