//! A sheet with some examples of each class, a row a class.

use crate::data::Dataset;
use crate::error::{IoError, Result};
use crate::report::example_image;
use image::imageops::{FilterType, overlay, resize};
use image::{ImageFormat, Rgb, RgbImage};
use std::io::Cursor;

/// Rows of a sheet.
pub(super) const MOST_ROWS: usize = 100;

/// Examples of a class.
const COLUMNS: usize = 10;

/// Pixels between examples.
const GAP: u32 = 2;

/// Pixels of a side of an example: smaller ones are enlarged by a whole number, larger ones shrunk.
const SMALL: usize = 32;
const LARGE: usize = 96;

/// The sheet of a data set as a PNG: the first training examples of each class, or test examples where there are no
/// others, with the largest value of them all as white.
///
/// # Errors
/// [`Error::Io`](crate::error::Error::Io) where it cannot be encoded.
pub(super) fn png(data: &Dataset) -> Result<Vec<u8>> {
    let split = data.foremost();
    let range = split.images.view().shades();
    let rows = data.classes.len().min(MOST_ROWS);
    let mut taken = vec![0; rows];
    let [height, width] = sides(data.shape.height, data.shape.width);
    let place = |index: usize, side: u32| i64::from(GAP) + index as i64 * i64::from(side + GAP);
    let total = |count: usize, side: u32| GAP + count as u32 * (side + GAP);
    let mut sheet = RgbImage::from_pixel(total(COLUMNS, width), total(rows, height), Rgb([255; 3]));
    for (image, &class) in split.images.view().chunks(data.shape.len()).zip(&split.labels) {
        let row = class as usize;
        if row >= rows || taken[row] >= COLUMNS {
            continue;
        }
        let filter = if height as usize >= data.shape.height { FilterType::Nearest } else { FilterType::Triangle };
        let example = resize(&example_image(image, data.shape, range).into_rgb8(), width, height, filter);
        overlay(&mut sheet, &example, place(taken[row], width), place(row, height));
        taken[row] += 1;
    }
    let mut bytes = Cursor::new(Vec::new());
    sheet.write_to(&mut bytes, ImageFormat::Png).map_err(|source| IoError::Image { source })?;
    Ok(bytes.into_inner())
}

/// Height and width on the sheet.
fn sides(height: usize, width: usize) -> [u32; 2] {
    let longer = height.max(width);
    let side = |side: usize| match longer {
        longer if longer <= SMALL => side * (SMALL / longer),
        longer if longer <= LARGE => side,
        longer => (side * LARGE / longer).max(1),
    };
    [side(height), side(width)].map(|side| side as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sheet_has_ten_examples_of_each_digit() {
        let data = Dataset::digits().unwrap();
        let sheet = image::load_from_memory(&png(&data).unwrap()).unwrap().into_rgb8();
        assert_eq!(sheet.dimensions(), (10 * 34 + 2, 10 * 34 + 2));
        let first = data.train.labels.iter().position(|&label| label == 3).unwrap();
        let value = u32::from(data.train.images.bytes().unwrap()[first * 64 + 8 * 2 + 3]) * 255 / 16;
        assert_eq!(sheet.get_pixel(2 + 4 * 3, 2 + 34 * 3 + 4 * 2).0, [value as u8; 3]);
        assert_eq!(
            [sides(9, 7), sides(64, 80), sides(300, 100), sides(1, 4096)],
            [[27, 21], [64, 80], [96, 32], [1, 96]]
        );
    }
}
