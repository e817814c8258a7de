//! Pictures of all kinds: read as a viewer shows them, and said where that cannot be.

#[path = "common/mod.rs"]
mod common;

use common::pictures::{Folder, encoded, exif, planes};
use common::program::refused;
use gpu_subset::data::{Dataset, Note, Picture, ReadOptions, TestShare};
use gpu_subset::error::{DataError, Error, ImagesError, SetError};
use gpu_subset::shape::Shape;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{
    DynamicImage, ExtendedColorType, ImageBuffer, ImageEncoder, ImageFormat, Luma, LumaA, Rgb, RgbImage, Rgba,
};
use std::fs;

/// A PNG with a chunk before its pixels, of these bytes after the length.
fn png_with(image: &DynamicImage, chunk: &[u8]) -> Vec<u8> {
    let mut png = encoded(image, ImageFormat::Png);
    let length = (chunk.len() as u32 - 4).to_be_bytes();
    let mut sum = flate2::Crc::new();
    sum.update(chunk);
    // after the signature and the header
    png.splice(33..33, [&length[..], chunk, &sum.sum().to_be_bytes()].concat());
    png
}

#[test]
fn a_picture_is_turned_as_its_exif_says() {
    let image = RgbImage::from_fn(16, 8, |x, _| if x < 8 { Rgb([200; 3]) } else { Rgb([0; 3]) });
    let (upright, _) = planes(&encoded(&image.clone().into(), ImageFormat::Jpeg));
    assert_eq!(upright, Shape::new(3, 8, 16));
    let mut jpeg = Vec::new();
    let mut encoder = JpegEncoder::new(&mut jpeg);
    encoder.set_exif_metadata(exif(6)).unwrap();
    encoder.write_image(&image, 16, 8, ExtendedColorType::Rgb8).unwrap();
    let mut png = Vec::new();
    let mut encoder = PngEncoder::new(&mut png);
    encoder.set_exif_metadata(exif(6)).unwrap();
    encoder.write_image(&image, 16, 8, ExtendedColorType::Rgb8).unwrap();
    for turned in [jpeg, png] {
        // by a right angle, clockwise: what was left is above
        let (shape, planes) = planes(&turned);
        assert_eq!(shape, Shape::new(3, 16, 8));
        assert!(planes[..64].iter().all(|value| value.abs_diff(200) < 3), "{:?}", &planes[..64]);
        assert!(planes[64..128].iter().all(|value| *value < 3), "{:?}", &planes[64..128]);
    }
}

#[test]
fn samples_of_any_depth_are_as_bright_as_a_viewer_shows_them() {
    let of_16 = |value: u16| DynamicImage::from(ImageBuffer::from_pixel(2, 1, Luma([value])));
    for (value, byte) in [(0, 0), (85, 0), (257, 1), (32_768, 128), (65_535, 255)] {
        assert_eq!(planes(&encoded(&of_16(value), ImageFormat::Png)), (Shape::new(1, 1, 2), vec![byte; 2]), "{value}");
    }
    let colour_of_16 = DynamicImage::from(ImageBuffer::from_pixel(1, 1, Rgb([65_535_u16, 257, 0])));
    assert_eq!(planes(&encoded(&colour_of_16, ImageFormat::Png)).1, [255, 1, 0]);
    assert_eq!(planes(b"P4 3 1\n\xa0").1, [0, 255, 0], "a bit is ink");
    assert_eq!(planes(b"P5 2 1 15\n\x0f\x03").1, [255, 51], "15 is white");
    assert_eq!(planes(b"P5 1 1 1023\n\x01\xff").1, [127]);
}

#[test]
fn ink_is_read_as_the_colour_that_it_prints() {
    let (shape, planes) = planes(include_bytes!("common/cmyk.jpg"));
    assert_eq!(shape, Shape::new(3, 8, 16));
    for (at, colour) in [(0, [10, 220, 40]), (15, [200, 30, 60])] {
        let found = [0, 128, 256].map(|plane| planes[plane + at]);
        assert!(found.iter().zip(colour).all(|(a, b)| a.abs_diff(b) < 8), "{found:?} in place of {colour:?}");
    }
}

#[test]
fn what_is_transparent_is_on_white_and_a_gamma_is_applied() {
    let clear =
        DynamicImage::from(ImageBuffer::from_fn(3, 1, |x, _| Rgba([10_u8, 110, 210, [0, 128, 255][x as usize]])));
    assert_eq!(planes(&encoded(&clear, ImageFormat::Png)).1, [255, 132, 10, 255, 182, 110, 255, 232, 210]);
    let grey = DynamicImage::from(ImageBuffer::from_fn(2, 1, |x, _| LumaA([0_u8, 255 * x as u8])));
    assert_eq!(planes(&encoded(&grey, ImageFormat::Png)), (Shape::new(1, 1, 2), vec![255, 0]));

    let flat = DynamicImage::from(ImageBuffer::from_pixel(1, 1, Luma([55_u8])));
    let gamma = |gamma: u32| [&b"gAMA"[..], &gamma.to_be_bytes()].concat();
    assert_eq!(planes(&png_with(&flat, &gamma(100_000))).1, [127], "linear light");
    assert_eq!(planes(&png_with(&flat, &gamma(45_455))).1, [55], "that of a screen");
    let both = png_with(&flat, b"sRGB\0");
    assert_eq!(planes(&both).1, [55]);
}

#[test]
fn a_small_file_may_hold_a_large_picture_and_a_lie_is_told() {
    let drawing = DynamicImage::from(ImageBuffer::from_pixel(1200, 1200, Rgba([9_u8, 9, 9, 255])));
    let png = encoded(&drawing, ImageFormat::Png);
    assert!(150 * png.len() < 4 * 1200 * 1200, "{}", png.len());
    assert_eq!(planes(&png).0, Shape::new(3, 1200, 1200));

    let folder = Folder::new();
    let says = |bytes: &[u8]| match Picture::open(&folder.write("x.png", bytes)) {
        Err(Error::Data(DataError::Set(SetError::Images(why)))) => why,
        other => panic!("{other:?}"),
    };
    assert!(matches!(says(b"P5 60000 60000 255\n............"), ImagesError::Header { .. }));
    let grey = DynamicImage::from(ImageBuffer::from_pixel(1, 1, Luma([0_u8])));
    let mut huge = encoded(&grey, ImageFormat::Png);
    huge[16..24].copy_from_slice(&[0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff]);
    let mut sum = flate2::Crc::new();
    sum.update(&huge[12..29]);
    let digits = sum.sum().to_be_bytes();
    huge[29..33].copy_from_slice(&digits);
    assert!(matches!(says(&huge), ImagesError::Header { .. } | ImagesError::Undecoded { .. }));
    huge.extend([0; 200_000]); // long enough for what it announces
    assert!(matches!(says(&huge), ImagesError::Large { .. } | ImagesError::Undecoded { .. }));
}

#[test]
fn pictures_are_found_however_deep_and_whatever_they_are_called() {
    let folder = Folder::new();
    for name in ["Train/a/1.png", "Train/a/day1/2.PNG", "Train/a/day1/x/3.Png", "Train/B/1.png", "TEST/b/1.png"] {
        folder.grey(name, 10);
    }
    folder.grey("TEST/a/1.png", 10);
    for extension in ["jfif", "JPE"] {
        let jpeg = encoded(&DynamicImage::new_luma8(4, 4), ImageFormat::Jpeg);
        folder.write(&format!("Train/B/1.{extension}"), &jpeg);
    }
    for litter in ["Thumbs.db", ".DS_Store", "labels.txt", "._1.png", "desktop.ini"] {
        folder.write(&format!("Train/a/{litter}"), b"x");
    }
    folder.write("__MACOSX/Train/a/1.png", b"x");
    fs::create_dir(folder.path("Train/__MACOSX")).unwrap();
    let set = folder.open(ReadOptions::default()).unwrap();
    assert_eq!(set.classes, ["B", "a"]);
    assert_eq!((&set.train.labels[..], &set.test.labels[..]), (&[0, 0, 0, 1, 1, 1][..], &[0, 1][..]));
    assert_eq!(set.notes, []);

    folder.write("Train/a/day1/notes.doc", b"x");
    folder.write("Train/stray.png", b"x");
    folder.grey("val/a/1.png", 10);
    let notes = folder.open(ReadOptions::default()).unwrap().notes;
    let [Note::UnusedPart { path, .. }, Note::PassedOver { count: 2, first }] = &notes[..] else { panic!("{notes:?}") };
    assert!(path.ends_with("val") && first.ends_with("stray.png"), "{notes:?}");
}

#[cfg(unix)]
#[test]
fn a_link_that_leads_back_is_no_way_further_down() {
    let folder = Folder::new();
    for name in ["train/a/1.png", "train/b/1.png", "test/a/1.png", "test/b/1.png"] {
        folder.grey(name, 10);
    }
    std::os::unix::fs::symlink(folder.path("train"), folder.path("train/a/again")).unwrap();
    let set = folder.open(ReadOptions::default()).unwrap();
    assert_eq!(set.train.len(), 3, "the link's other class is read once: {:?}", set.train.labels);
}

#[test]
fn composed_and_decomposed_names_are_the_same_class() {
    let folder = Folder::new();
    for name in ["train/caf\u{e9}/1.png", "train/z/1.png", "test/cafe\u{301}/1.png", "test/Z/1.png"] {
        folder.grey(name, 10);
    }
    let set = folder.open(ReadOptions::default()).unwrap();
    assert_eq!((set.classes.len(), set.test.labels), (2, vec![0, 1]));
}

#[test]
fn damaged_files_are_listed_together_and_may_be_left_out() {
    let folder = Folder::new();
    for name in ["train/a/1.png", "train/b/1.png", "test/a/1.png", "test/b/1.png"] {
        folder.grey(name, 10);
    }
    folder.write("train/a/bad.png", b"x");
    folder.write("train/b/new.avif", b"x");
    folder.write("test/b/bad.jpg", b"x");
    let why = folder.open(ReadOptions::default()).unwrap_err().to_string();
    for part in ["3 images cannot be read", "a/bad.png: expected a whole image", "new.avif: this format", "b/bad.jpg"] {
        assert!(why.contains(part), "{part}: {why}");
    }
    let left = folder.open(ReadOptions { skip_damaged: true, ..ReadOptions::default() }).unwrap();
    assert_eq!((left.train.len(), left.test.len()), (2, 2));
    assert!(matches!(&left.notes[..], [Note::Damaged { count: 3, .. }]), "{:?}", left.notes);
    refused(&["train", "--data", folder.text()], 3, &["3 images cannot be read", "--skip-damaged"]);
    for name in ["1.png", "bad.jpg"] {
        fs::remove_file(folder.path("test/b").join(name)).unwrap();
    }
    let left = folder.open(ReadOptions { skip_damaged: true, ..ReadOptions::default() }).unwrap();
    let [Note::Damaged { count: 2, .. }, Note::Untested { count: 1, first }] = &left.notes[..] else {
        panic!("{:?}", left.notes)
    };
    assert_eq!(first, "b");
}

#[test]
fn dark_pictures_of_16_bits_are_told() {
    let folder = Folder::new();
    for name in ["train/a/1.png", "train/b/1.png", "test/a/1.png", "test/b/1.png"] {
        let dark = DynamicImage::from(ImageBuffer::from_pixel(2, 2, Luma([85_u16])));
        folder.write(name, &encoded(&dark, ImageFormat::Png));
    }
    let set = folder.open(ReadOptions::default()).unwrap();
    assert!(set.train.images.bytes().unwrap().iter().all(|&value| value == 0), "as a viewer shows them");
    assert!(matches!(set.notes[..], [Note::Dark { count: 4, brightest: 85, .. }]), "{:?}", set.notes);
    let bright = DynamicImage::from(ImageBuffer::from_pixel(2, 2, Luma([9000_u16])));
    folder.write("train/a/1.png", &encoded(&bright, ImageFormat::Png));
    assert_eq!(folder.open(ReadOptions::default()).unwrap().notes, []);
}

#[test]
fn one_folder_is_divided_and_a_test_part_alone_is_enough_for_an_evaluation() {
    let folder = Folder::new();
    for class in ["a", "b"] {
        (0..10).for_each(|i| folder.grey(&format!("{class}/{i}.png"), 10 * i + u8::from(class == "b")));
    }
    folder.grey("rare/only.png", 200);
    let share: TestShare = "1/5".parse().unwrap();
    let divided = |seed| {
        let test = Some(TestShare { seed, ..share });
        folder.open(ReadOptions { test, ..ReadOptions::default() }).unwrap()
    };
    let set = divided(0);
    assert_eq!((set.train.len(), &set.test.labels[..]), (17, &[0, 0, 1, 1][..]));
    assert!(matches!(&set.notes[..], [Note::Untested { count: 1, first }] if first == "rare"), "{:?}", set.notes);
    assert_eq!(set.sha256, divided(0).sha256);
    assert_ne!(set.sha256, divided(1).sha256);
    assert!(
        set.test.images.bytes().unwrap().chunks(16).all(|image| !set
            .train
            .images
            .bytes()
            .unwrap()
            .chunks(16)
            .any(|other| other == image))
    );

    let alone = folder.open(ReadOptions { is_test_enough: true, ..ReadOptions::default() }).unwrap();
    assert_eq!((alone.train.len(), alone.test.len()), (0, 21));
    let why = folder.open(ReadOptions::default()).unwrap_err().to_string();
    assert!(why.contains("no train/ and test/"), "{why}");
    fs::create_dir(folder.path("train")).unwrap();
    for class in ["a", "b", "rare"] {
        fs::rename(folder.path(class), folder.path("train").join(class)).unwrap();
    }
    assert_eq!(divided(0).sha256, set.sha256, "train/ alone is divided as well");
    folder.grey("test/a/1.png", 3);
    let both = folder.open(ReadOptions { test: Some(share), ..ReadOptions::default() }).unwrap_err();
    assert!(both.to_string().contains("there is a test part already"), "{both}");
    let digits = Dataset::open("digits", &ReadOptions { test: Some(share), ..ReadOptions::default() }).unwrap_err();
    assert!(matches!(digits, Error::Data(DataError::Set(SetError::TestPart { .. }))), "{digits}");
}

#[test]
fn one_class_is_refused() {
    let folder = Folder::new();
    folder.grey("train/a/1.png", 1);
    folder.grey("test/a/1.png", 1);
    refused(&["train", "--data", folder.text(), "--model", "digits-1k"], 3, &["one class alone, a", "another class"]);
}
