//! PNG images, and as part of a page.

use crate::error::{IoError, Result};
use crate::shape::Shape;
use crate::values::ValuesRef;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::codecs::png::PngEncoder;
use image::{DynamicImage, ExtendedColorType, GrayImage, ImageEncoder, Luma, Rgb, RgbImage};

/// Pixels `[H][W][channels]` as a PNG.
pub(super) fn png(pixels: &[u8], width: usize, height: usize, colour: ExtendedColorType) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let encoded = PngEncoder::new(&mut bytes).write_image(pixels, width as u32, height as u32, colour);
    encoded.map_err(|source| IoError::Image { source })?;
    Ok(bytes)
}

/// A PNG as an address that holds it.
pub(super) fn data_uri(png: &[u8]) -> String {
    format!("data:image/png;base64,{}", STANDARD.encode(png))
}

/// An example `[C][H][W]` as a PNG: three channels in colour, else the first in grey, between the values that are black
/// and white.
pub fn example_png<'a>(example: impl Into<ValuesRef<'a>>, shape: Shape, range: (f64, f64)) -> Result<Vec<u8>> {
    encoded(&example_image(example.into(), shape, range))
}

/// The same, made smaller where a side has more than `most` pixels.
pub(super) fn thumbnail_png(example: ValuesRef<'_>, shape: Shape, range: (f64, f64), most: usize) -> Result<Vec<u8>> {
    let image = example_image(example, shape, range);
    if shape.height.max(shape.width) <= most {
        return encoded(&image);
    }
    encoded(&image.thumbnail(most as u32, most as u32))
}

/// The same, not encoded.
pub fn example_image(example: ValuesRef<'_>, shape: Shape, (black, white): (f64, f64)) -> DynamicImage {
    let range = if white > black { white - black } else { 1.0 };
    let at = |channel: usize, x: u32, y: u32| {
        let value = example.get(channel * shape.pixels() + y as usize * shape.width + x as usize);
        ((value - black) * 255.0 / range) as u8
    };
    let (width, height) = (shape.width as u32, shape.height as u32);
    match shape.channels {
        3 => RgbImage::from_fn(width, height, |x, y| Rgb([0, 1, 2].map(|channel| at(channel, x, y)))).into(),
        _ => GrayImage::from_fn(width, height, |x, y| Luma([at(0, x, y)])).into(),
    }
}

fn encoded(image: &DynamicImage) -> Result<Vec<u8>> {
    png(image.as_bytes(), image.width() as usize, image.height() as usize, image.color().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_come_back_from_their_png() {
        let shape = Shape::new(3, 2, 2);
        let example: Vec<u8> = (0..12).collect();
        let decoded =
            image::load_from_memory(&example_png(&example, shape, (0.0, 255.0)).unwrap()).unwrap().into_rgb8();
        assert_eq!(decoded.into_raw(), [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]);
        let png = example_png(&vec![0u8, 8, 16, 16], Shape::new(1, 2, 2), (0.0, 16.0)).unwrap();
        assert_eq!(image::load_from_memory(&png).unwrap().into_luma8().into_raw(), [0, 127, 255, 255]);
        let floats = example_png(&vec![-2f32, 0.0, 2.0, 2.0], Shape::new(1, 2, 2), (-2.0, 2.0)).unwrap();
        assert_eq!(floats, png);
        assert!(data_uri(&png).starts_with("data:image/png;base64,iVBOR"));
    }
}
