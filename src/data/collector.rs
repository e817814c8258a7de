//! Gathering pictures to examples of one size.

use super::input::reserve;
use super::listing::Listed;
use super::notes::{Counted, Note};
use super::parts::{ReadOptions, Split};
use super::picture::Picture;
use crate::error::{DataError, Error, ImagesError, Result, SetError, one_line};
use crate::shape::Shape;
use std::error::Error as _;
use std::path::PathBuf;

/// Damaged files that are named.
const NAMED: usize = 8;

/// Pictures of 16 bits whose values are all below this look black.
const DARK: u16 = 1 << 12;

/// Gathers images, keeping them all to one size.
pub(super) struct Collector {
    resize: Option<(usize, usize)>,
    channels: Option<usize>,
    most: u64,
    size: Option<Size>,
    damaged: Vec<Error>,
    damaged_count: usize,
    of_16_bits: Counted<PathBuf>,
    brightest: u16,
}

/// The size that the first image has set.
struct Size {
    height: usize,
    width: usize,
    set_by: PathBuf,
}

/// One part of the set: planes of one channel each until the first colour image turns all into RGB.
#[derive(Default)]
pub(super) struct Pictures {
    images: Vec<u8>,
    labels: Vec<u32>,
    pub(super) colour: bool,
}

impl Collector {
    pub(super) fn new(options: &ReadOptions) -> Self {
        Self {
            resize: options.resize.map(|(height, width)| (height as usize, width as usize)),
            channels: options.channels,
            most: options.most_of_picture.unwrap_or(Picture::MOST),
            size: None,
            damaged: Vec::new(),
            damaged_count: 0,
            of_16_bits: Counted::default(),
            brightest: 0,
        }
    }

    /// Height and width of all of them, if there are any.
    pub(super) fn size(&self) -> Option<(usize, usize)> {
        self.size.as_ref().map(|size| (size.height, size.width))
    }

    /// The pictures of each class; those that are damaged are remembered.
    pub(super) fn read_split(&mut self, classes: &[Vec<Listed>]) -> Result<Pictures> {
        let mut split = Pictures { colour: self.channels == Some(3), ..Pictures::default() };
        for (label, files) in (0..).zip(classes) {
            for file in files {
                match self.read_image(file, &mut split) {
                    Ok(()) => split.labels.push(label),
                    Err(error) if is_damage(&error) => {
                        self.damaged_count += 1;
                        if self.damaged.len() < NAMED {
                            self.damaged.push(error);
                        }
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(split)
    }

    fn read_image(&mut self, file: &Listed, split: &mut Pictures) -> Result<()> {
        let path = match file {
            Listed::Picture(path) => path,
            Listed::Unread(path) => return Err(ImagesError::Format { path: path.clone() }.into()),
        };
        let picture = Picture::open_within(path, self.most)?;
        let (height, width) = self.resize.unwrap_or(picture.size());
        let size = self.size.get_or_insert_with(|| Size { height, width, set_by: path.clone() });
        if (height, width) != (size.height, size.width) {
            let (other, other_size) = (size.set_by.clone(), (size.height, size.width));
            let cause = ImagesError::Size { path: path.clone(), size: (height, width), other, other_size };
            return Err(cause.into());
        }
        if picture.is_colour() && !split.colour && self.channels != Some(1) {
            split.make_colour(height * width)?;
        }
        if let Some(brightest) = picture.brightest_of_16_bits() {
            self.of_16_bits.add(|| path.clone());
            self.brightest = self.brightest.max(brightest);
        }
        // Growing as images arrive: a number of files says nothing about what is in them.
        picture.append_to(Shape::new(if split.colour { 3 } else { 1 }, height, width), &mut split.images);
        Ok(())
    }

    /// What is worth a line of what was read.
    ///
    /// # Errors
    /// Those that are damaged, unless they are to be left out.
    pub(super) fn finish(self, skip_damaged: bool) -> Result<Vec<Note>> {
        let Self { mut damaged, damaged_count: count, of_16_bits, brightest, .. } = self;
        let mut notes = Vec::new();
        if skip_damaged && let Some(first) = damaged.first() {
            notes.push(Note::Damaged { count, first: said(first) });
        } else if count == 1 {
            return Err(damaged.remove(0));
        } else if count > 1 {
            let faults = damaged.iter().map(said).collect();
            return Err(ImagesError::Several { count, faults }.into());
        }
        let dark = of_16_bits.note(|count, first| Note::Dark { count, first, brightest });
        notes.extend(dark.filter(|_| brightest < DARK));
        Ok(notes)
    }
}

/// Whether it is the fault of one file, and the others can be read.
fn is_damage(error: &Error) -> bool {
    let is_of_all = matches!(error, Error::Data(DataError::Set(SetError::Images(ImagesError::Size { .. }))));
    matches!(error, Error::Data(_)) && !is_of_all
}

/// What is wrong with a file, and why.
fn said(error: &Error) -> String {
    let source = error.source().map(|source| format!(": {}", one_line(&source.to_string())));
    format!("{error}{}", source.unwrap_or_default())
}

impl Pictures {
    /// The split, in colour if the shape is.
    pub(super) fn finish(mut self, shape: &Shape) -> Result<Split> {
        if shape.channels == 3 {
            self.make_colour(shape.pixels())?;
        }
        self.images.shrink_to_fit();
        Ok(Split { images: self.images.into(), labels: self.labels })
    }

    /// Examples of each of so many classes.
    pub(super) fn counts(&self, classes: usize) -> Vec<usize> {
        let mut counts = vec![0; classes];
        self.labels.iter().for_each(|&label| counts[label as usize] += 1);
        counts
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grey_planes_become_three_equal_ones() {
        let mut pictures = Pictures { images: vec![1, 2, 3, 4], labels: vec![0, 0], colour: false };
        pictures.make_colour(2).unwrap();
        pictures.make_colour(2).unwrap();
        assert_eq!(pictures.images, [1, 2, 1, 2, 1, 2, 3, 4, 3, 4, 3, 4]);
    }
}
