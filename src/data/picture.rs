//! A picture file as a viewer shows it.
//!
//! Turned as its Exif orientation says; 16 bits, 1 bit and palettes as the brightness that they stand for, 65,535 being
//! white; a PNG's gamma applied; CMYK as RGB; a transparent part on white; of an animation or of several pages the
//! first. Colour profiles are not applied.

use super::announced;
use super::input::Input;
use super::resize::Resizer;
use crate::error::{Error, ImagesError, Result};
use crate::shape::Shape;
use image::metadata::Orientation;
use image::{
    ColorType, DynamicImage, GrayImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, Rgb, RgbImage,
};
use std::ffi::OsStr;
use std::io::Cursor;
use std::path::Path;

/// What pictures are called that are read.
pub(super) const EXTENSIONS: [&str; 18] = [
    "png", "jpg", "jpeg", "jpe", "jfif", "jif", "jfi", "bmp", "dib", "gif", "pgm", "ppm", "pbm", "pnm", "apng", "webp",
    "tif", "tiff",
];

/// The gamma of sRGB, near enough.
const GAMMA_OF_SCREEN: f64 = 2.2;

/// Whether a path is named like a picture that can be read.
pub(super) fn is_picture(path: &Path) -> bool {
    has_extension(path, &EXTENSIONS)
}

/// Whether a path ends in one of these, whatever the case.
pub(super) fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    let extension = path.extension().and_then(OsStr::to_str).map(str::to_ascii_lowercase);
    extension.is_some_and(|extension| extensions.contains(&extension.as_str()))
}

/// A picture as a viewer shows it, grey or in colour, with a byte a value.
#[derive(Clone, Debug)]
pub struct Picture {
    /// `ImageLuma8` or `ImageRgb8`.
    image: DynamicImage,
    /// The largest value of a file of 16 bits.
    brightest_of_16_bits: Option<u16>,
}

impl Picture {
    /// A picture may take so many bytes once decoded, and its file as many: 300 megapixels in RGB do.
    pub const MOST: u64 = 1 << 30;

    /// Reads a file, going by its content and not by its name.
    ///
    /// # Errors
    /// [`Error::Data`] naming the file and what is wrong with it: no picture, damaged, cut off, or larger than
    /// [`Picture::MOST`] once decoded.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_within(path, Self::MOST)
    }

    /// The same of a picture, and a file, of at most so many bytes.
    ///
    /// # Errors
    /// As [`Picture::open`].
    pub fn open_within(path: &Path, most: u64) -> Result<Self> {
        let mut input = Input::open(path)?;
        if input.bound() > most {
            return Err(ImagesError::LongFile { path: path.to_owned(), bytes: input.bound(), most }.into());
        }
        let bytes = input.bytes(input.bound(), "an image")?;
        let format = image::guess_format(&bytes).map_err(|source| undecoded(path, source))?;
        let mut file = Encoded { path, bytes: &bytes, format, most };
        let (mut gamma, mut is_multiplied) = (None, false);
        match format {
            ImageFormat::Png => gamma = self::gamma(&bytes),
            ImageFormat::WebP => file.bytes = announced::webp(path, &bytes)?,
            ImageFormat::Tiff => is_multiplied = announced::tiff(path, &bytes)?,
            _ => {}
        }
        Ok(Self::new(file.decode()?, &Tone::new(gamma, is_multiplied)))
    }

    /// Brings a decoded picture to bytes without alpha.
    fn new(image: DynamicImage, shown: &Tone) -> Self {
        let brightest_of_16_bits = match &image {
            DynamicImage::ImageLuma16(image) => image.iter().copied().max(),
            DynamicImage::ImageLumaA16(image) => image.pixels().map(|pixel| pixel.0[0]).max(),
            DynamicImage::ImageRgb16(image) => image.iter().copied().max(),
            DynamicImage::ImageRgba16(image) => image.pixels().flat_map(|pixel| pixel.0).max(),
            _ => None,
        };
        let image = match (image.color().has_color(), image.color().has_alpha()) {
            (false, false) => shown.of_all(image.into_luma8()).into(),
            (true, false) => shown.of_all(image.into_rgb8()).into(),
            (false, true) => {
                let image = image.into_luma_alpha8();
                let over = |pixel: &image::LumaA<u8>| shown.over_white(pixel.0[0], pixel.0[1]);
                let bytes = image.pixels().map(over).collect();
                GrayImage::from_raw(image.width(), image.height(), bytes).expect("a byte a pixel").into()
            }
            (true, true) => {
                let image = image.into_rgba8();
                let mut opaque = RgbImage::new(image.width(), image.height());
                for (to, from) in opaque.pixels_mut().zip(image.pixels()) {
                    let [r, g, b, alpha] = from.0;
                    *to = Rgb([r, g, b].map(|value| shown.over_white(value, alpha)));
                }
                opaque.into()
            }
        };
        Self { image, brightest_of_16_bits }
    }

    /// Whether it has three channels and not one.
    pub fn is_colour(&self) -> bool {
        self.image.color().has_color()
    }

    /// Height and width in pixels.
    pub fn size(&self) -> (usize, usize) {
        (self.image.height() as usize, self.image.width() as usize)
    }

    /// The largest value in the file, of 65,535, where it has 16 bits a value.
    pub fn brightest_of_16_bits(&self) -> Option<u16> {
        self.brightest_of_16_bits
    }

    /// Appends its planes `[C][H][W]`, resampled to the size of `shape`; of one channel, its brightness, or of three.
    ///
    /// # Panics
    /// When `shape` has neither one channel nor three.
    pub fn append_to(&self, shape: Shape, target: &mut Vec<u8>) {
        let (height, width) = self.size();
        let from = Shape::new(if self.is_colour() { 3 } else { 1 }, height, width);
        let resizer = Resizer::new(from, shape.height, shape.width);
        match (&self.image, shape.channels) {
            (DynamicImage::ImageRgb8(image), 3) => resizer.append_interleaved(image, target),
            (image, 1) if self.is_colour() => {
                let grey = Resizer::new(Shape::new(1, height, width), shape.height, shape.width);
                grey.append_interleaved(&image.to_luma8(), target);
            }
            (image, channels @ (1 | 3)) => {
                let start = target.len();
                resizer.append_interleaved(image.as_bytes(), target);
                let end = target.len();
                (1..channels).for_each(|_| target.extend_from_within(start..end));
            }
            (_, channels) => panic!("a picture has one channel or three, not {channels}"),
        }
    }
}

/// What a decoder says of a file: damaged, or whole and of a kind that it does not know.
fn undecoded(path: &Path, source: ImageError) -> Error {
    let path = path.to_owned();
    let is_kind = matches!(&source, ImageError::Unsupported(why) if why.format_hint() == ImageFormat::Tiff.into());
    Error::from(if is_kind { ImagesError::Kind { path, source } } else { ImagesError::Undecoded { path, source } })
}

/// A file whose format is known.
struct Encoded<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    format: ImageFormat,
    /// Bytes that the picture may take.
    most: u64,
}

impl Encoded<'_> {
    /// Decodes and turns it, unless it is damaged or larger than it may be.
    fn decode(&self) -> Result<DynamicImage> {
        let undecoded = |source| undecoded(self.path, source);
        let mut limits = Limits::default();
        // of a TIFF file a strip is held beside the picture
        limits.max_alloc = Some(if self.format == ImageFormat::Tiff { self.most.saturating_mul(2) } else { self.most });
        let mut reader = ImageReader::with_format(Cursor::new(self.bytes), self.format);
        reader.limits(limits);
        let mut decoder = reader.into_decoder().map_err(undecoded)?;
        let ((width, height), size) = (decoder.dimensions(), decoder.total_bytes());
        let (path, bytes) = (self.path.to_owned(), self.bytes.len());
        if size == 0 || size > self.most_held() {
            return Err(ImagesError::Header { path, height, width, bytes }.into());
        }
        if size > self.most {
            return Err(ImagesError::Large { path, height, width, bytes: size, most: self.most }.into());
        }
        if matches!(decoder.color_type(), ColorType::Rgb32F | ColorType::Rgba32F) {
            return Err(announced::unread(self.path, self.format, "values of floating point"));
        }
        if self.format == ImageFormat::Jpeg && !jpeg_is_complete(self.bytes) {
            return Err(ImagesError::CutOff { path, bytes }.into());
        }
        // what is no orientation is none
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        let mut image = DynamicImage::from_decoder(decoder).map_err(undecoded)?;
        image.apply_orientation(orientation);
        Ok(image)
    }

    /// Bytes of a picture that a file as long can hold at most: a header that announces more is damaged, and a few
    /// bytes of it ask for no memory.
    fn most_held(&self) -> u64 {
        let of_a_byte = match self.format {
            // a bit a pixel
            ImageFormat::Pnm => 8,
            // of runs, two bytes a run of at most 255
            ImageFormat::Bmp => 1 << 10,
            // deflate's 1032, a bit a pixel and RGBA
            ImageFormat::Png => 1032 * 8 * 4,
            // a bit each block of 8×8, of three channels
            ImageFormat::Jpeg => 8 * 64 * 3,
            // a bit a line of a blank page, of up to 8192 pixels
            ImageFormat::Tiff => 8 * 8192,
            // of one colour, no bit a pixel
            ImageFormat::WebP => 1 << 20,
            // codes of 12 bits that each stand for up to 4096 pixels of RGBA
            _ => 4096 * 4,
        };
        self.bytes.len() as u64 * of_a_byte
    }
}

/// How samples are shown.
struct Tone {
    /// In place of each value.
    shown: Option<[u8; 256]>,
    /// Whether values are multiplied by alpha already.
    is_multiplied: bool,
}

impl Tone {
    /// Of samples encoded with this exponent.
    fn new(gamma: Option<f64>, is_multiplied: bool) -> Self {
        let exponent = gamma.filter(|gamma| *gamma > 0.0).map_or(1.0, |gamma| 1.0 / (GAMMA_OF_SCREEN * gamma));
        // what is sRGB, or near it, stays as it is
        let shown = |value: usize| (255.0 * (value as f64 / 255.0).powf(exponent)).round() as u8;
        let shown = ((exponent - 1.0).abs() > 0.05).then(|| std::array::from_fn(shown));
        Self { shown, is_multiplied }
    }

    fn of(&self, value: u8) -> u8 {
        self.shown.as_ref().map_or(value, |shown| shown[usize::from(value)])
    }

    fn of_all<I: std::ops::DerefMut<Target = [u8]>>(&self, mut image: I) -> I {
        if self.shown.is_some() {
            image.iter_mut().for_each(|value| *value = self.of(*value));
        }
        image
    }

    /// A value that is this opaque, on white.
    fn over_white(&self, value: u8, alpha: u8) -> u8 {
        if self.is_multiplied {
            return value.saturating_add(255 - alpha);
        }
        let [value, alpha] = [self.of(value), alpha].map(u32::from);
        ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
    }
}

/// The exponent that the samples of a PNG file are encoded with, where it says so and no profile says more. The decoder
/// of `image` 0.25 finds none.
fn gamma(png: &[u8]) -> Option<f64> {
    let (mut rest, mut gamma) = (png.get(8..)?, None);
    loop {
        let (length, after) = rest.split_first_chunk()?;
        let (kind, after) = after.split_first_chunk::<4>()?;
        let data = after.get(..u32::from_be_bytes(*length) as usize)?;
        match kind {
            b"gAMA" => gamma = Some(f64::from(u32::from_be_bytes(*data.first_chunk()?)) / 100_000.0),
            b"sRGB" | b"iCCP" | b"cICP" => return None,
            b"IDAT" => return gamma,
            _ => {}
        }
        rest = after.get(data.len() + 4..)?; // past the checksum
    }
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

    #[test]
    fn every_truncation_of_a_jpeg_is_noticed() {
        let mut bytes = Cursor::new(Vec::new());
        let picture = DynamicImage::from(RgbImage::from_fn(40, 24, |x, y| Rgb([(x * y) as u8; 3])));
        picture.write_to(&mut bytes, ImageFormat::Jpeg).unwrap();
        let bytes = bytes.into_inner();
        assert!(jpeg_is_complete(&bytes));
        assert!((0..bytes.len()).all(|length| !jpeg_is_complete(&bytes[..length])));
    }

    #[test]
    fn a_gamma_is_applied_unless_it_is_that_of_a_screen() {
        for gamma in [None, Some(0.45455), Some(0.0)] {
            assert!(Tone::new(gamma, false).shown.is_none(), "{gamma:?}");
        }
        let linear = Tone::new(Some(1.0), false);
        assert_eq!([0, 55, 255].map(|value| linear.of(value)), [0, 127, 255]);
        let [plain, multiplied] = [false, true].map(|is_multiplied| Tone::new(None, is_multiplied));
        assert_eq!(plain.over_white(0, 255), 0);
        assert_eq!([0, 64, 255].map(|alpha| plain.over_white(100, alpha)), [255, 216, 100]);
        assert_eq!([0, 64, 255].map(|alpha| multiplied.over_white(25, alpha)), [255, 216, 25]);
    }
}
