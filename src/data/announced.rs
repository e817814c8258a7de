//! What WebP and TIFF files announce, held against their length: their decoders take memory for it before they read.

use crate::error::{Error, ImagesError, Result};
use image::error::{UnsupportedError, UnsupportedErrorKind};
use image::{ImageError, ImageFormat};
use std::path::Path;

/// Samples a pixel of a TIFF file: colours, alpha and some more.
const MOST_SAMPLES: u32 = 16;

/// Width and height of a tile of a TIFF file in pixels.
const LARGEST_TILE: u32 = 1 << 14;

/// A picture of a kind that is not read.
pub(super) fn unread(path: &Path, format: ImageFormat, feature: &str) -> Error {
    let kind = UnsupportedErrorKind::GenericFeature(feature.to_owned());
    let source = ImageError::Unsupported(UnsupportedError::from_format_and_kind(format.into(), kind));
    ImagesError::Kind { path: path.to_owned(), source }.into()
}

fn unexpected(path: &Path, offset: usize, expected: String, found: String) -> Error {
    ImagesError::Unexpected { path: path.to_owned(), offset, expected, found }.into()
}

/// A WebP file as far as its header says that it goes.
///
/// # Errors
/// Of a chunk that reaches beyond the end, and of a frame that has another size than the canvas.
pub(super) fn webp<'a>(path: &Path, bytes: &'a [u8]) -> Result<&'a [u8]> {
    let announced = little(bytes, 4, 4).map_or(usize::MAX, |size| size as usize + 8);
    let Some(within) = bytes.get(..announced) else {
        let found = format!("{} bytes", bytes.len());
        return Err(unexpected(path, 4, format!("a file of {announced} bytes"), found));
    };
    check_chunks(path, within, 12, None)?;
    Ok(within)
}

/// Checks the chunks from `offset` on, of a file or of one frame of an animation, which has a size then.
fn check_chunks(path: &Path, bytes: &[u8], mut offset: usize, frame: Option<(u32, u32)>) -> Result<()> {
    let mut canvas = frame;
    while let Some(header) = bytes.get(offset..offset + 8) {
        let (start, size) = (offset + 8, little(header, 4, 4).unwrap_or(0) as usize);
        let Some(data) = bytes.get(start..start + size) else {
            let found = format!("only {}", bytes.len() - start);
            return Err(unexpected(path, start, format!("{size} bytes of a chunk"), found));
        };
        let sized = |at: usize| Some((1 + little(data, at, 3)?, 1 + little(data, at + 3, 3)?));
        let of_picture = match &header[..4] {
            b"VP8X" => {
                canvas = sized(4);
                None
            }
            b"ANMF" if frame.is_none() => {
                check_chunks(path, &bytes[..start + size], start + 16, sized(6))?;
                None
            }
            b"VP8 " => Some((6, little(data, 6, 2).zip(little(data, 8, 2)).map(|(w, h)| (w & 0x3fff, h & 0x3fff)))),
            b"VP8L" => Some((1, little(data, 1, 4).map(|bits| (1 + (bits & 0x3fff), 1 + ((bits >> 14) & 0x3fff))))),
            _ => None,
        };
        if let Some((at, found)) = of_picture
            && canvas.is_some()
            && found != canvas
        {
            let shown =
                |size: Option<(u32, u32)>| size.map_or("no size".to_owned(), |(w, h)| format!("{h}x{w} pixels"));
            return Err(unexpected(path, start + at, format!("{} (HxW)", shown(canvas)), shown(found)));
        }
        offset = start + size + size % 2;
    }
    Ok(())
}

/// A number of so many bytes, the least first.
fn little(bytes: &[u8], at: usize, length: usize) -> Option<u32> {
    Some(bytes.get(at..at + length)?.iter().rev().fold(0, |number, &byte| number << 8 | u32::from(byte)))
}

/// Checks the directory of the first picture of a TIFF file; whether its colours are multiplied by its alpha.
///
/// # Errors
/// Of values that the file cannot hold, and of what the decoder would need too much memory for.
pub(super) fn tiff(path: &Path, bytes: &[u8]) -> Result<bool> {
    let number = |at: usize, length: usize| match bytes.first() {
        Some(b'I') => little(bytes, at, length),
        _ => Some(bytes.get(at..at + length)?.iter().fold(0, |number, &byte| number << 8 | u32::from(byte))),
    };
    let start = number(4, 4).unwrap_or(0) as usize;
    let entries = number(start, 2).unwrap_or(0) as usize;
    let (mut held, mut is_multiplied) = (0, false);
    for entry in (0..entries).map(|i| start + 2 + 12 * i) {
        let [Some(tag), Some(kind), Some(count)] = [number(entry, 2), number(entry + 2, 2), number(entry + 4, 4)]
        else {
            break; // the decoder says that the directory is cut off
        };
        held += u64::from(count) * bytes_of(kind);
        if held > bytes.len() as u64 {
            let found = format!("{count} values of tag {tag}");
            return Err(unexpected(path, entry, format!("values that a file of {} bytes holds", bytes.len()), found));
        }
        let value = number(entry + 8, if kind == 3 { 2 } else { 4 }).unwrap_or(0);
        match tag {
            259 if matches!(value, 6 | 7) => return Err(unread(path, ImageFormat::Tiff, "JPEG compression")),
            277 if value > MOST_SAMPLES => {
                return Err(unread(path, ImageFormat::Tiff, &format!("{value} samples a pixel")));
            }
            322 | 323 if value > LARGEST_TILE => {
                return Err(unread(path, ImageFormat::Tiff, &format!("tiles of {value} pixels")));
            }
            338 => is_multiplied = count == 1 && value == 1,
            _ => {}
        }
    }
    Ok(is_multiplied)
}

/// Length of a value of a TIFF file, of which unknown ones are not read.
fn bytes_of(kind: u32) -> u64 {
    match kind {
        1 | 2 | 6 | 7 => 1,
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16..=18 => 8,
        _ => 0,
    }
}
