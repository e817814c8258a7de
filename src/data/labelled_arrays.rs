//! The images of a part of a set, and their labels, as arrays of NumPy: what elements they may have, and bringing them
//! into order.

use super::input::reserve;
use super::labels::MOST_LABEL;
use super::npy::Array;
use crate::error::{Error, Result, SetError};
use crate::shape::Shape;
use crate::values::{ValueKind, Values};

/// Elements that are read at a time where they are no bytes.
const AT_ONCE: u64 = 1 << 16;

pub(super) fn inconsistent(array: &Array, expected: String, found: String) -> Error {
    SetError::Inconsistent { at: array.input.at(array.input.offset()), expected, found }.into()
}

/// The images of a part and their labels, whose headers go together.
pub(super) struct LabelledArrays {
    pub(super) images: Array,
    pub(super) labels: Array,
    /// Of the images.
    pub(super) elements: Elements,
    /// Of one image.
    pub(super) shape: Shape,
    are_channels_last: bool,
}

/// Elements that images may have.
#[derive(Clone, Copy)]
pub(super) enum Elements {
    Bytes,
    /// f32, and f64, of either order.
    Single(bool),
    Double(bool),
}

impl Elements {
    fn of(images: &Array) -> Result<Self> {
        match images.dtype.parts() {
            Some(('u', 1, _)) => Ok(Self::Bytes),
            Some(('f', 4, is_big)) => Ok(Self::Single(is_big)),
            Some(('f', 8, is_big)) => Ok(Self::Double(is_big)),
            _ => Err(images.of_dtype("images", "uint8, float32 or float64")),
        }
    }

    fn size(self) -> usize {
        match self {
            Self::Bytes => 1,
            Self::Single(_) => 4,
            Self::Double(_) => 8,
        }
    }

    /// What becomes of them.
    pub(super) fn kind(self) -> ValueKind {
        if matches!(self, Self::Bytes) { ValueKind::Bytes } else { ValueKind::Floats }
    }

    /// One of them, as long as it says.
    fn value(self, bytes: &[u8]) -> f32 {
        let mut word = [0; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        if matches!(self, Self::Single(true) | Self::Double(true)) {
            word[..bytes.len()].reverse();
        }
        let [a, b, c, d, ..] = word;
        match self {
            Self::Bytes => f32::from(a),
            Self::Single(_) => f32::from_le_bytes([a, b, c, d]),
            Self::Double(_) => f64::from_le_bytes(word) as f32,
        }
    }
}

/// Shape of an image, and whether its channels are last.
fn layout(images: &Array, elements: Elements) -> Result<(Shape, bool)> {
    images.input.holds(images.elements("images")?.saturating_mul(elements.size() as u64), "images")?;
    let (sides, are_channels_last) = match images.shape[..] {
        [_, height, width] => ([1, height, width], false),
        [_, channels @ (1 | 3), height, width] if height > channels && width > channels => {
            ([channels, height, width], false)
        }
        [_, height, width, channels @ (1 | 3)] => ([channels, height, width], true),
        [_, features] => ([features, 1, 1], false),
        _ => {
            let wanted = "[N, F], [N, H, W], or [N, H, W, C] or [N, C, H, W] of 1 or 3 channels";
            return Err(images.of_shape("images", wanted));
        }
    };
    // sides of what a file holds
    let [channels, height, width] = sides.map(|side| side as usize);
    Ok((Shape::new(channels, height, width), are_channels_last))
}

impl LabelledArrays {
    pub(super) fn new(images: Array, labels: Array) -> Result<Self> {
        let elements = Elements::of(&images)?;
        let (shape, are_channels_last) = layout(&images, elements)?;
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
        Ok(Self { images, labels, elements, shape, are_channels_last })
    }

    pub(super) fn read_labels(&mut self) -> Result<Vec<u32>> {
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
    pub(super) fn read_images(&mut self) -> Result<Values> {
        let count = self.images.elements("images")?;
        let values = match self.elements {
            Elements::Bytes => {
                let pixels = self.images.input.bytes(count, "images")?;
                self.images.input.end()?;
                self.ordered(pixels).into()
            }
            _ => {
                let values = self.read_floats(count)?;
                self.images.input.end()?;
                self.ordered(values).into()
            }
        };
        Ok(values)
    }

    /// A part of the file at a time.
    fn read_floats(&mut self, count: u64) -> Result<Vec<f32>> {
        let (input, size) = (&mut self.images.input, self.elements.size() as u64);
        let mut values = Vec::new();
        reserve(&mut values, usize::try_from(count).unwrap_or(usize::MAX), "images")?;
        let mut left = count;
        while left > 0 {
            let start = input.offset();
            let some = left.min(AT_ONCE);
            let bytes = input.bytes(some * size, "images")?;
            for (i, element) in (0..).zip(bytes.chunks_exact(size as usize)) {
                let value = self.elements.value(element);
                if !value.is_finite() {
                    return Err(input.unexpected(start + i * size, "a finite number that f32 holds", value));
                }
                values.push(value);
            }
            left -= some;
        }
        Ok(values)
    }

    fn ordered<T: Copy + Default>(&self, mut pixels: Vec<T>) -> Vec<T> {
        if self.images.is_fortran {
            return self.in_order(&pixels);
        }
        if self.are_channels_last && self.shape.channels > 1 {
            let mut interleaved = vec![T::default(); self.shape.len()];
            for image in pixels.chunks_exact_mut(self.shape.len()) {
                interleaved.copy_from_slice(image);
                for (channel, plane) in image.chunks_exact_mut(self.shape.pixels()).enumerate() {
                    let values = interleaved.iter().skip(channel).step_by(self.shape.channels);
                    plane.iter_mut().zip(values).for_each(|(to, from)| *to = *from);
                }
            }
        }
        pixels
    }

    /// Of an array whose first index is the fastest.
    fn in_order<T: Copy>(&self, pixels: &[T]) -> Vec<T> {
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
}
