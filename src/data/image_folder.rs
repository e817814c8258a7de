//! Folders of image files: `train/CLASS/*.png` and `test/CLASS/*.png` (or `val/`, `valid/`), also
//! jpg, jpeg, bmp, gif (first frame), pgm and ppm.
//!
//! The classes are the folders of `train/`, sorted by name. Images stay grey, with one channel, if the
//! files of all of them store grey; otherwise all become RGB. Alpha and Exif rotation are ignored.
//! Files of other kinds, hidden files and folders inside a class are passed over.

use super::input::{Input, list, reserve};
use super::parts::{Format, Parts, ReadOptions, Split};
use super::resize::Resizer;
use crate::error::{ImagesError, Result, SetError};
use crate::shape::Shape;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Cursor;
use std::path::{Path, PathBuf};

pub(super) const TRAIN: &str = "train";
const TEST: [&str; 3] = ["test", "val", "valid"];

const EXTENSIONS: [&str; 7] = ["png", "jpg", "jpeg", "bmp", "gif", "pgm", "ppm"];

/// Images in formats that are not read are an error: passing over them would quietly lose examples.
const UNREAD_EXTENSIONS: [&str; 7] = ["webp", "tif", "tiff", "avif", "heic", "jp2", "jxl"];

/// A header is believed if the image it announces takes at most this much memory...
const SMALL_IMAGE: u64 = 4 << 20;
/// ... or at most this many times the length of its file. Photographs reach about 100.
const MAX_EXPANSION: u64 = 128;
const MAX_SIDE: u32 = 65_535;

/// Whether `dir` is laid out as an image folder.
pub(super) fn is_in(dir: &Path) -> bool {
    dir.join(TRAIN).is_dir()
}

/// Whether a path is named like an image that can be read.
pub(super) fn is_image(path: &Path) -> bool {
    has_extension(path, &EXTENSIONS)
}

fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    let extension = path.extension().and_then(OsStr::to_str).map(str::to_ascii_lowercase);
    extension.is_some_and(|extension| extensions.contains(&extension.as_str()))
}

/// Reads the image folder `dir`, resampling each image if the options say so.
pub(super) fn read(dir: &Path, options: &ReadOptions) -> Result<Parts> {
    let train_dir = dir.join(TRAIN);
    let Some(test_dir) = TEST.iter().map(|name| dir.join(name)).find(|path| path.is_dir()) else {
        return fault(ImagesError::NoTest { path: dir.to_owned() });
    };
    let train_classes = classes(&train_dir)?;
    let test_classes = classes(&test_dir)?;
    for (here, there, other) in
        [(&train_classes, &test_classes, &test_dir), (&test_classes, &train_classes, &train_dir)]
    {
        if let Some((name, path)) = here.iter().find(|(name, _)| !there.contains_key(*name)) {
            return fault(ImagesError::MissingClass { path: other.join(name), counterpart: path.clone() });
        }
    }
    if train_classes.is_empty() {
        return fault(ImagesError::NoClasses { path: train_dir });
    }

    let mut collector = Collector::new(options);
    let train = collector.read_split(train_classes.values())?;
    let test = collector.read_split(test_classes.values())?;
    let Some(size) = collector.size else {
        return fault(ImagesError::NoImages { path: dir.to_owned(), extensions: &EXTENSIONS });
    };
    let channels = if train.colour || test.colour { 3 } else { 1 };
    let shape = Shape::new(channels, size.height, size.width);
    let (train, test) = (train.finish(&shape)?, test.finish(&shape)?);
    let classes = train_classes.into_keys().collect();
    Ok(Parts { format: Format::ImageFolder, shape, classes, train, test })
}

fn fault<T>(cause: ImagesError) -> Result<T> {
    Err(SetError::from(cause).into())
}

/// The class folders in `dir` by name.
fn classes(dir: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let folders = list(dir)?.into_iter().filter(|path| path.is_dir());
    folders
        .map(|path| match path.file_name().and_then(OsStr::to_str) {
            Some(name) => Ok((name.to_owned(), path.clone())),
            None => fault(ImagesError::ClassName { path }),
        })
        .collect()
}

/// Gathers images, keeping them all to one size.
struct Collector {
    resize: Option<(usize, usize)>,
    size: Option<Size>,
}

/// The size that the first image has set.
struct Size {
    height: usize,
    width: usize,
    set_by: PathBuf,
}

/// One part of the set: planes of one channel each until the first colour image turns all into RGB.
#[derive(Default)]
struct Pictures {
    images: Vec<u8>,
    labels: Vec<u32>,
    colour: bool,
}

impl Collector {
    fn new(options: &ReadOptions) -> Self {
        let resize = options.resize.map(|(height, width)| (height as usize, width as usize));
        Self { resize, size: None }
    }

    fn read_split<'a>(&mut self, classes: impl Iterator<Item = &'a PathBuf>) -> Result<Pictures> {
        let mut split = Pictures::default();
        for (label, class) in (0..).zip(classes) {
            let before = split.labels.len();
            for path in list(class)?.iter().filter(|path| path.is_file()) {
                if is_image(path) {
                    self.read_image(path, &mut split)?;
                    split.labels.push(label);
                } else if has_extension(path, &UNREAD_EXTENSIONS) {
                    return fault(ImagesError::Format { path: path.clone() });
                }
            }
            if split.labels.len() == before {
                return fault(ImagesError::NoImages { path: class.clone(), extensions: &EXTENSIONS });
            }
        }
        Ok(split)
    }

    fn read_image(&mut self, path: &Path, split: &mut Pictures) -> Result<()> {
        let picture = decode(path)?;
        let from = Shape::new(1, picture.height() as usize, picture.width() as usize);
        let (height, width) = self.resize.unwrap_or((from.height, from.width));
        let size = self.size.get_or_insert_with(|| Size { height, width, set_by: path.to_owned() });
        if (height, width) != (size.height, size.width) {
            let (other, other_size) = (size.set_by.clone(), (size.height, size.width));
            return fault(ImagesError::Size { path: path.to_owned(), size: (height, width), other, other_size });
        }

        if picture.color().has_color() && !split.colour {
            split.make_colour(height * width)?;
        }
        let planes = if split.colour { planes_of(picture.into_rgb8()) } else { picture.into_luma8().into_raw() };
        // Growing as images arrive: a number of files says nothing about what is in them.
        if (height, width) == (from.height, from.width) {
            split.images.extend(planes);
        } else {
            Resizer::new(from, height, width).append(&planes, &mut split.images);
        }
        Ok(())
    }
}

/// The red, the green and the blue plane.
fn planes_of(image: RgbImage) -> Vec<u8> {
    let mut planes = Vec::with_capacity(image.len());
    for channel in 0..3 {
        planes.extend(image.iter().skip(channel).step_by(3));
    }
    planes
}

impl Pictures {
    /// The split, in colour if the shape is.
    fn finish(mut self, shape: &Shape) -> Result<Split> {
        if shape.channels == 3 {
            self.make_colour(shape.pixels())?;
        }
        self.images.shrink_to_fit();
        Ok(Split { images: self.images, labels: self.labels })
    }

    /// Turns grey images, of `pixels` each, into RGB images that look the same.
    fn make_colour(&mut self, pixels: usize) -> Result<()> {
        if !self.colour {
            let mut images = Vec::new();
            reserve(&mut images, self.images.len().saturating_mul(3), "images in RGB")?;
            for plane in self.images.chunks_exact(pixels) {
                images.extend_from_slice(&plane.repeat(3));
            }
            self.images = images;
            self.colour = true;
        }
        Ok(())
    }
}

/// Decodes one file, going by its content and not its extension.
fn decode(path: &Path) -> Result<DynamicImage> {
    let mut input = Input::open(path)?;
    let bytes = input.bytes(input.bound(), "an image")?;
    let undecoded = |source| SetError::from(ImagesError::Undecoded { path: path.to_owned(), source });
    let most = SMALL_IMAGE.max(MAX_EXPANSION.saturating_mul(bytes.len() as u64));
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(most);
    let reader = ImageReader::new(Cursor::new(&bytes)).with_guessed_format();
    let mut reader = reader.map_err(|error| undecoded(error.into()))?;
    reader.limits(limits);
    let format = reader.format();
    let decoder = reader.into_decoder().map_err(undecoded)?;
    let (width, height) = decoder.dimensions();
    let size = decoder.total_bytes();
    if size == 0 || size > most {
        return fault(ImagesError::Header { path: path.to_owned(), height, width, bytes: bytes.len() });
    }
    if format == Some(ImageFormat::Jpeg) && !jpeg_is_complete(&bytes) {
        return fault(ImagesError::CutOff { path: path.to_owned(), bytes: bytes.len() });
    }
    Ok(DynamicImage::from_decoder(decoder).map_err(undecoded)?)
}

/// Whether a JPEG file reaches its end marker. The decoder fills what is cut off with grey, without a
/// word; an image that is half missing would do harm in training and is not let through.
fn jpeg_is_complete(bytes: &[u8]) -> bool {
    let mut rest = bytes.get(2..).unwrap_or_default();
    loop {
        // The next marker: FF and a code, past the data of a scan, where FF 00 is a byte and D0 to D7
        // only restart the decoder.
        let marker = rest.windows(2).position(|pair| pair[0] == 0xff && !matches!(pair[1], 0 | 0xd0..=0xd7 | 0xff));
        let Some(start) = marker else { return false };
        if rest[start + 1] == 0xd9 {
            return true;
        }
        let segment = &rest[start + 2..];
        let Some(&[high, low]) = segment.first_chunk() else { return false };
        let Some(after) = segment.get(usize::from(u16::from_be_bytes([high, low]))..) else { return false };
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    #[test]
    fn grey_planes_become_three_equal_ones() {
        let mut pictures = Pictures { images: vec![1, 2, 3, 4], labels: vec![0, 0], colour: false };
        pictures.make_colour(2).unwrap();
        pictures.make_colour(2).unwrap();
        assert_eq!(pictures.images, [1, 2, 1, 2, 1, 2, 3, 4, 3, 4, 3, 4]);
    }

    #[test]
    fn every_truncation_of_a_jpeg_is_noticed() {
        let mut bytes = Cursor::new(Vec::new());
        let picture = DynamicImage::from(RgbImage::from_fn(40, 24, |x, y| Rgb([(x * y) as u8; 3])));
        picture.write_to(&mut bytes, ImageFormat::Jpeg).unwrap();
        let bytes = bytes.into_inner();
        assert!(jpeg_is_complete(&bytes));
        assert!((0..bytes.len()).all(|length| !jpeg_is_complete(&bytes[..length])));
    }
}
