//! Pictures in WebP and TIFF files: read as a viewer shows them, or refused in a line that says what to do.

#[path = "common/mod.rs"]
mod common;

use common::pictures::{Folder, encoded, exif, planes};
use common::program::refused;
use gpu_subset::data::Picture;
use gpu_subset::error::{DataError, Error, ImagesError, SetError};
use gpu_subset::shape::Shape;
use image::codecs::webp::WebPEncoder;
use image::{DynamicImage, ExtendedColorType, GrayImage, ImageEncoder, ImageFormat, RgbImage, Rgba, RgbaImage};
use std::io::Cursor;
use tiff::encoder::colortype::{CMYK8, ColorType, Gray8, Gray32Float, RGB8, RGB32Float, RGBA8};
use tiff::encoder::{Compression, TiffEncoder, TiffValue};
use tiff::tags::{ExtraSamples, Tag};

const WIDTH: u32 = 16;
const HEIGHT: u32 = 8;

/// A picture with some of everything, opaque and not.
fn picture() -> DynamicImage {
    let pixel = |x: u32, y: u32| Rgba([(16 * x) as u8, (32 * y) as u8, (x * y) as u8, (255 - 17 * x) as u8]);
    RgbaImage::from_fn(WIDTH, HEIGHT, pixel).into()
}

/// A TIFF file of one picture, with what else is said of it.
fn tiff<C: ColorType>(data: &[C::Inner], compression: Compression, tags: &[(Tag, u16)]) -> Vec<u8>
where
    [C::Inner]: TiffValue,
{
    let mut bytes = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut bytes).unwrap().with_compression(compression);
    let mut image = encoder.new_image::<C>(WIDTH, HEIGHT).unwrap();
    for &(tag, value) in tags {
        image.encoder().write_tag(tag, value).unwrap();
    }
    image.write_data(data).unwrap();
    bytes.into_inner()
}

/// Why a file is refused, in one line.
fn why(bytes: &[u8]) -> ImagesError {
    let error = Picture::open(&Folder::new().write("x.picture", bytes)).unwrap_err();
    assert_eq!(error.to_string().lines().count(), 1, "{error}");
    match error {
        Error::Data(DataError::Set(SetError::Images(why))) => why,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn is_of_unread_kind(bytes: &[u8], kind: &str) {
    match why(bytes) {
        ImagesError::Kind { source, .. } => assert!(source.to_string().contains(kind), "{source}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_stored_without_loss_is_what_a_png_gives() {
    let picture = picture();
    for image in [
        DynamicImage::from(picture.to_luma8()),
        picture.to_luma16().into(),
        picture.to_rgb8().into(),
        picture.to_rgb16().into(),
        picture.to_rgba8().into(),
        picture.to_rgba16().into(),
    ] {
        let (shape, expected) = planes(&encoded(&image, ImageFormat::Png));
        assert_eq!(planes(&encoded(&image, ImageFormat::Tiff)), (shape, expected.clone()), "{:?}", image.color());
        // a WebP file has 8 bits a value and always colour
        if !image.color().has_color() {
            let expected = expected.repeat(3);
            assert_eq!(planes(&encoded(&image, ImageFormat::WebP)), (Shape::new(3, 8, 16), expected));
        } else if image.color().bytes_per_pixel() < 6 {
            assert_eq!(planes(&encoded(&image, ImageFormat::WebP)), (shape, expected));
        }
    }
    let dark = DynamicImage::from(image::ImageBuffer::from_pixel(2, 2, image::Luma([99_u16])));
    let dark = Picture::open(&Folder::new().write("x", &encoded(&dark, ImageFormat::Tiff))).unwrap();
    assert_eq!(dark.brightest_of_16_bits(), Some(99));
}

#[test]
fn a_tiff_file_may_be_compressed() {
    let image = picture().to_rgb8();
    let expected = planes(&encoded(&image.clone().into(), ImageFormat::Png));
    for compression in [
        Compression::Uncompressed,
        Compression::Lzw,
        Compression::Deflate(tiff::encoder::DeflateLevel::Balanced),
        Compression::Packbits,
    ] {
        assert_eq!(planes(&tiff::<RGB8>(&image, compression, &[])), expected);
    }
    let (shape, fax) = planes(include_bytes!("common/fax.tif"));
    assert_eq!(shape, Shape::new(1, 8, 16));
    assert!(fax.chunks(16).all(|row| row == [[0; 5].as_slice(), &[255; 11]].concat()), "{fax:?}");
}

#[test]
fn a_tiff_file_is_shown_as_it_says() {
    let grey = GrayImage::from_fn(WIDTH, HEIGHT, |x, _| image::Luma([if x < 8 { 200 } else { 0 }]));
    // by a right angle, clockwise: what was left is above
    let (shape, turned) = planes(&tiff::<Gray8>(&grey, Compression::Lzw, &[(Tag::Orientation, 6)]));
    assert_eq!(shape, Shape::new(1, 16, 8));
    assert_eq!(turned, [[200; 64], [0; 64]].concat());
    let ink = tiff::<CMYK8>(&[255, 0, 0, 128].repeat(128), Compression::Uncompressed, &[]);
    assert_eq!(planes(&ink), (Shape::new(3, 8, 16), [[0; 128], [126; 128], [126; 128]].concat()));

    // half transparent, and the colour multiplied by it or not
    for (kind, value, shown) in [(ExtraSamples::UnassociatedAlpha, 100, 177), (ExtraSamples::AssociatedAlpha, 100, 227)]
    {
        let data = [value, value, value, 128].repeat(128);
        let clear = tiff::<RGBA8>(&data, Compression::Uncompressed, &[(Tag::ExtraSamples, kind.to_u16())]);
        assert_eq!(planes(&clear).1, [shown; 384]);
    }

    let mut pages = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut pages).unwrap();
    for value in [7, 9] {
        encoder.write_image::<Gray8>(WIDTH, HEIGHT, &[value; 128]).unwrap();
    }
    assert_eq!(planes(pages.get_ref()).1, [7; 128], "the first page");
}

#[test]
fn a_webp_file_is_shown_as_it_says() {
    let image = RgbImage::from_fn(WIDTH, HEIGHT, |x, _| image::Rgb([if x < 8 { 200 } else { 0 }; 3]));
    let mut webp = Vec::new();
    let mut encoder = WebPEncoder::new_lossless(&mut webp);
    encoder.set_exif_metadata(exif(6)).unwrap();
    encoder.write_image(&image, WIDTH, HEIGHT, ExtendedColorType::Rgb8).unwrap();
    assert_eq!(planes(&webp), (Shape::new(3, 16, 8), [[200; 64], [0; 64]].concat().repeat(3)));

    // red to the left; to the right green, whose upper half is transparent where there is alpha
    let (red, green) = ([200, 30, 60], [10, 220, 40]);
    for (file, above) in [
        (&include_bytes!("common/lossy.webp")[..], green),
        (include_bytes!("common/lossy-alpha.webp"), [255; 3]),
        (include_bytes!("common/animation.webp"), red),
    ] {
        let (shape, planes) = planes(file);
        assert_eq!(shape, Shape::new(3, 8, 16));
        let below = if above == red { red } else { green };
        for (at, colour) in [(0, red), (15, above), (127, below)] {
            let found = [0, 128, 256].map(|plane| planes[plane + at]);
            assert!(found.iter().zip(colour).all(|(a, b)| a.abs_diff(b) < 12), "{found:?} in place of {colour:?}");
        }
    }
}

#[test]
fn kinds_that_are_not_read_are_named_with_a_way_round() {
    is_of_unread_kind(&tiff::<RGB32Float>(&[0.5; 384], Compression::Uncompressed, &[]), "floating point");
    is_of_unread_kind(&tiff::<Gray32Float>(&[0.5; 128], Compression::Uncompressed, &[]), "color type");
    let plain = tiff::<Gray8>(&[5; 128], Compression::Uncompressed, &[]);
    let with = |tag: [u8; 2], value: u16| {
        let mut changed = plain.clone();
        let entry = changed.windows(4).rposition(|start| start == [tag[0], tag[1], 3, 0]).unwrap();
        changed[entry + 8..entry + 10].copy_from_slice(&value.to_le_bytes());
        changed
    };
    is_of_unread_kind(&with([3, 1], 7), "JPEG compression");
    is_of_unread_kind(&with([0x15, 1], 99), "99 samples a pixel");
    let folder = Folder::new();
    ["train/a", "train/b", "test/a", "test/b"].iter().for_each(|class| folder.grey(&format!("{class}/1.png"), 3));
    folder.write("train/a/2.tif", &with([3, 1], 7));
    let said = ["2.tif: this kind of picture is not read: ", "JPEG compression", "; convert it to png, or remove it"];
    refused(&["train", "--data", folder.text()], 3, &said);
}

#[test]
fn every_truncation_is_noticed() {
    let picture = DynamicImage::from(picture().to_rgb8());
    for whole in [
        encoded(&picture, ImageFormat::WebP),
        encoded(&picture, ImageFormat::Tiff),
        include_bytes!("common/lossy.webp").to_vec(),
        include_bytes!("common/lossy-alpha.webp").to_vec(),
        include_bytes!("common/animation.webp").to_vec(),
        include_bytes!("common/fax.tif").to_vec(),
    ] {
        planes(&whole);
        // what follows the directory of that TIFF file is its resolution, which is not read
        let last = if whole.starts_with(b"II") { whole.len() - 32 } else { whole.len() };
        for length in 0..last {
            let why = why(&whole[..length]);
            assert!(!matches!(why, ImagesError::Large { .. }), "{length} of {}: {why:?}", whole.len());
        }
    }
}

#[test]
fn what_a_file_announces_is_held_against_its_length() {
    let unexpected = |bytes: &[u8], parts: [&str; 2]| match why(bytes) {
        why @ ImagesError::Unexpected { .. } => {
            parts.iter().for_each(|part| assert!(why.to_string().contains(part), "{why}"));
        }
        other => panic!("{other:?}"),
    };
    let patched = |bytes: &[u8], at: usize, patch: &[u8]| {
        let mut bytes = bytes.to_vec();
        bytes[at..at + patch.len()].copy_from_slice(patch);
        bytes
    };
    // VP8X, ALPH and VP8, each after 8 bytes of its own
    let webp = include_bytes!("common/lossy-alpha.webp");
    unexpected(&patched(webp, 4, &[0, 0, 0, 1]), ["offset 4: expected a file of 16777224 bytes", "found 114"]);
    unexpected(&patched(webp, 34, &[0, 0, 0, 1]), ["offset 38: expected 16777216 bytes of a chunk", "found only 76"]);
    unexpected(&patched(webp, 24, &[99, 0]), ["expected 8x100 pixels (HxW)", "found 8x16 pixels"]);
    let tiff = encoded(&picture(), ImageFormat::Tiff);
    let count = tiff.windows(4).rposition(|start| start == [2, 1, 3, 0]).unwrap() + 4;
    let found = "found 1073741824 values of tag 258";
    unexpected(&patched(&tiff, count, &[0, 0, 0, 64]), ["expected values that a file of", found]);
    // one colour takes next to no bits, and so a small file is believed
    let flat = encoded(&RgbImage::new(1200, 1200).into(), ImageFormat::WebP);
    assert!(flat.len() < 1000 && planes(&flat).0 == Shape::new(3, 1200, 1200), "{}", flat.len());
}
