//! IDX files: MNIST and its relatives (Fashion-MNIST, KMNIST, EMNIST, QMNIST), plain or gzipped.
//!
//! A set is four files, images and labels for training and for testing. A file starts with `00 00`,
//! the element type (08, unsigned bytes) and the number of dimensions, then each dimension as a
//! big-endian 32-bit number, then the elements, last dimension fastest. Images are `[N][H][W]`
//! (idx3) or `[N][C][H][W]` (idx4); labels are `[N]` (idx1), or of QMNIST `[N][8]` of 32 bits (0c, idx2), the first of
//! which is the class.

use super::input::Input;
use super::labels::{MOST_LABEL, NumberedClasses};
use super::parts::{Format, Parts, Split};
use crate::error::{Error, Result, SetError};
use crate::shape::Shape;
use crate::values::Values;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};

const LABELS_MAGIC: [u8; 4] = [0, 0, 8, 1];
/// Several numbers an image, of 32 bits.
const WIDE_LABELS_MAGIC: [u8; 4] = [0, 0, 12, 2];
const IMAGES_MAGIC: [u8; 4] = [0, 0, 8, 3];
const CHANNEL_IMAGES_MAGIC: [u8; 4] = [0, 0, 8, 4];

/// The four files of a set, in the order of [`Files`].
const ROLES: [&str; 4] =
    ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];

/// The same as QMNIST calls them.
const QMNIST: &str = "qmnist";
const QMNIST_ROLES: [&str; 4] =
    ["train-images-idx3-ubyte", "train-labels-idx2-int", "test-images-idx3-ubyte", "test-labels-idx2-int"];

/// Training images, training labels, test images, test labels; the flag is whether gzipped.
#[derive(Default)]
pub(super) struct Files([Option<(bool, PathBuf)>; 4]);

/// The IDX sets in a folder by their prefix, e.g. `emnist-balanced`; MNIST itself has the prefix "".
pub(super) fn find<'a>(paths: impl IntoIterator<Item = &'a PathBuf>) -> BTreeMap<String, Files> {
    let mut sets = BTreeMap::<String, Files>::new();
    for path in paths {
        let name = path.file_name().and_then(|name| name.to_str()).and_then(parse_name);
        if let Some((prefix, role, gzip)) = name {
            let place = &mut sets.entry(prefix.to_owned()).or_default().0[role];
            // A plain file is taken before its gzipped copy.
            if place.as_ref().is_none_or(|(taken_gzip, _)| *taken_gzip && !gzip) {
                *place = Some((gzip, path.clone()));
            }
        }
    }
    sets
}

/// Splits e.g. `emnist-balanced-test-labels-idx1-ubyte.gz` into its prefix, role and whether gzipped.
/// Some mirrors write `.idx1-ubyte`.
fn parse_name(name: &str) -> Option<(&str, usize, bool)> {
    let plain = name.strip_suffix(".gz");
    let name = plain.unwrap_or(name);
    let kinds = ["idx1-ubyte", "idx3-ubyte", "idx4-ubyte", "idx2-int"];
    let stem = kinds.iter().find_map(|kind| name.strip_suffix(kind))?;
    let stem = stem.strip_suffix(['-', '.'])?;
    let (stem, kind) = match stem.strip_suffix("-images") {
        Some(stem) => (stem, 0),
        None => (stem.strip_suffix("-labels")?, 1),
    };
    let (stem, part) = match stem.strip_suffix("train") {
        Some(stem) => (stem, 0),
        None => (stem.strip_suffix("t10k").or_else(|| stem.strip_suffix("test"))?, 2),
    };
    let prefix = if stem.is_empty() { stem } else { stem.strip_suffix('-')? };
    Some((prefix, part + kind, plain.is_some()))
}

/// Reads the set `prefix` of the folder `dir`, or its test part, where that is enough and all there is. EMNIST stores
/// its images transposed; they are turned upright.
pub(super) fn read(dir: &Path, prefix: &str, files: &Files, is_test_enough: bool) -> Result<Parts> {
    let open = |role: usize| match &files.0[role] {
        Some((_, path)) => Input::open(path)?.gunzip(),
        None => {
            let separator = if prefix.is_empty() { "" } else { "-" };
            let roles = if prefix == QMNIST { QMNIST_ROLES } else { ROLES };
            let path = dir.join(format!("{prefix}{separator}{}", roles[role]));
            Err(SetError::MissingIdx { path }.into())
        }
    };
    let mut parts = if is_test_enough && files.0[..2].iter().all(Option::is_none) {
        read_test([open(2)?, open(3)?])?
    } else {
        read_inputs([open(0)?, open(1)?, open(2)?, open(3)?])?
    };
    if prefix.starts_with("emnist-") {
        let upright = Shape::new(parts.shape.channels, parts.shape.width, parts.shape.height);
        for split in [&mut parts.train, &mut parts.test] {
            if let Values::Bytes(images) = &mut split.images {
                transpose(images, parts.shape);
            }
        }
        parts.shape = upright;
    }
    Ok(parts)
}

/// Reads training images, training labels, test images and test labels.
///
/// All headers and labels are read before any image: what does not go together is told at the cost of its labels,
/// whatever a gzipped file would unpack to. The classes are those of [numbered labels](NumberedClasses).
pub(super) fn read_inputs(inputs: [Input; 4]) -> Result<Parts> {
    let [mut train_images, mut train_labels, mut test_images, mut test_labels] = inputs;
    let train_header = read_headers(&mut train_images, &mut train_labels)?;
    let test_header = read_headers(&mut test_images, &mut test_labels)?;
    let shape = train_header.shape;
    if test_header.shape != shape {
        let expected = format!("images of {shape} as in {}", train_images.name());
        return Err(inconsistent(&test_images, 4, expected, test_header.shape));
    }
    let mut train = read_labels(&mut train_labels, train_header)?;
    let mut test = read_labels(&mut test_labels, test_header)?;
    let numbered = NumberedClasses::of_training(&train);
    if let Some(stray) = numbered.stray(&test) {
        let NumberedClasses { first, last } = numbered;
        let expected = format!("a label from {first} to {last} as in {}", train_labels.name());
        return Err(inconsistent(&test_labels, test_header.offset_of_label(stray), expected, test[stray]));
    }
    [&mut train, &mut test].into_iter().for_each(|labels| numbered.count_from_first(labels));
    let classes = numbered.names();
    let train = Split { images: read_images(&mut train_images, train_header)?, labels: train };
    let test = Split { images: read_images(&mut test_images, test_header)?, labels: test };
    Ok(Parts { format: Format::Idx, shape, classes, train, test, notes: Vec::new() })
}

/// Reads test images and labels alone. The classes are the labels from the smallest to the largest that is there.
fn read_test([mut images, mut labels]: [Input; 2]) -> Result<Parts> {
    let header = read_headers(&mut images, &mut labels)?;
    let mut test = read_labels(&mut labels, header)?;
    let numbered = NumberedClasses::of_test(&test);
    numbered.count_from_first(&mut test);
    let classes = numbered.names();
    let test = Split { images: read_images(&mut images, header)?, labels: test };
    Ok(Parts { format: Format::Idx, shape: header.shape, classes, train: Split::default(), test, notes: Vec::new() })
}

/// A file that does not go with another of its set.
fn inconsistent(input: &Input, offset: u64, expected: String, found: impl Display) -> Error {
    SetError::Inconsistent { at: input.at(offset), expected, found: found.to_string() }.into()
}

/// What the headers of images and of their labels say.
#[derive(Clone, Copy)]
struct Header {
    count: u32,
    shape: Shape,
    /// Bytes of all images.
    length: u64,
    /// Numbers of a label, where there are several.
    columns: Option<u32>,
}

impl Header {
    fn offset_of_label(&self, i: usize) -> u64 {
        let i = i as u64;
        self.columns.map_or(8 + i, |columns| 12 + 4 * i * u64::from(columns))
    }
}

fn read_headers(images: &mut Input, labels: &mut Input) -> Result<Header> {
    let magic = images.array("the IDX header")?;
    let channels_stored = match magic {
        IMAGES_MAGIC => false,
        CHANNEL_IMAGES_MAGIC => true,
        other => return Err(images.unexpected(0, describe(IMAGES_MAGIC), describe(other))),
    };
    let count = read_dimension(images, "image count")?;
    let channels = if channels_stored { read_dimension(images, "number of channels")? } else { 1 };
    let height = read_dimension(images, "image height")?;
    let width = read_dimension(images, "image width")?;
    let length = [channels, height, width]
        .iter()
        .try_fold(u64::from(count), |product, &dimension| product.checked_mul(u64::from(dimension)));
    let Some(length) = length else {
        let found = format!("{count}×{channels}×{height}×{width}");
        return Err(images.unexpected(4, "dimensions of a data set", found));
    };
    images.holds(length, "images")?;

    let magic = labels.array("the IDX header")?;
    if ![LABELS_MAGIC, WIDE_LABELS_MAGIC].contains(&magic) {
        return Err(labels.unexpected(0, describe(LABELS_MAGIC), describe(magic)));
    }
    let label_count = read_dimension(labels, "label count")?;
    if label_count != count {
        let expected = format!("{count} labels, one for each image of {}", images.name());
        return Err(inconsistent(labels, 4, expected, label_count));
    }
    let is_wide = magic == WIDE_LABELS_MAGIC;
    let columns = is_wide.then(|| read_dimension(labels, "number of columns")).transpose()?;
    let shape = Shape::new(channels as usize, height as usize, width as usize);
    Ok(Header { count, shape, length, columns })
}

fn read_labels(labels: &mut Input, header: Header) -> Result<Vec<u32>> {
    let Some(columns) = header.columns else {
        let bytes = labels.bytes(u64::from(header.count), "labels")?;
        labels.end()?;
        return Ok(bytes.into_iter().map(u32::from).collect());
    };
    let length = 4 * u64::from(columns);
    labels.holds(length.saturating_mul(u64::from(header.count)), "labels")?;
    let mut classes = Vec::new();
    for _ in 0..header.count {
        let label = u32::from_be_bytes(labels.array("labels")?);
        if label > MOST_LABEL {
            let expected = format!("a label from 0 to {MOST_LABEL}");
            return Err(labels.unexpected(labels.offset() - 4, expected, label as i32));
        }
        classes.push(label);
        labels.bytes(length - 4, "labels")?;
    }
    labels.end()?;
    Ok(classes)
}

fn read_images(images: &mut Input, header: Header) -> Result<Values> {
    let pixels = images.bytes(header.length, "images")?;
    images.end()?;
    Ok(pixels.into())
}

fn read_dimension(input: &mut Input, what: &str) -> Result<u32> {
    match u32::from_be_bytes(input.array(what)?) {
        0 => Err(input.unexpected(input.offset() - 4, format!("a positive {what}"), 0)),
        dimension => Ok(dimension),
    }
}

fn describe(magic: [u8; 4]) -> String {
    let kind = match magic {
        LABELS_MAGIC | WIDE_LABELS_MAGIC => "IDX labels",
        IMAGES_MAGIC | CHANNEL_IMAGES_MAGIC => "IDX images",
        [0, 0, 8, _] => "IDX of another rank",
        [0, 0, ..] => "IDX of another element type",
        [0x1f, 0x8b, ..] => "gzip in gzip",
        _ => "not IDX",
    };
    let [a, b, c, d] = magic;
    format!("{a:02x} {b:02x} {c:02x} {d:02x} ({kind})")
}

/// Exchanges rows and columns of every H×W plane in place.
fn transpose(images: &mut [u8], shape: Shape) {
    let mut original = vec![0; shape.pixels()];
    for plane in images.chunks_exact_mut(shape.pixels()) {
        original.copy_from_slice(plane);
        for (y, row) in original.chunks_exact(shape.width).enumerate() {
            for (x, &pixel) in row.iter().enumerate() {
                plane[x * shape.height + y] = pixel;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transposing_exchanges_rows_and_columns_of_each_plane() {
        let mut images = vec![1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16];
        transpose(&mut images, Shape::new(2, 2, 3));
        assert_eq!(images, [1, 4, 2, 5, 3, 6, 11, 14, 12, 15, 13, 16]);
    }

    #[test]
    fn file_names() {
        assert_eq!(parse_name("train-images-idx3-ubyte"), Some(("", 0, false)));
        assert_eq!(parse_name("t10k-labels.idx1-ubyte.gz"), Some(("", 3, true)));
        assert_eq!(parse_name("emnist-letters-test-images-idx3-ubyte"), Some(("emnist-letters", 2, false)));
        assert_eq!(parse_name("qmnist-test-labels-idx2-int.gz"), Some(("qmnist", 3, true)));
        assert_eq!(parse_name("constrain-images-idx3-ubyte"), None);
        assert_eq!(parse_name("train-images-idx2-ubyte"), None);
        assert_eq!(parse_name("train-images.png"), None);
    }
}
