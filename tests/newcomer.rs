//! A folder of pictures as people have them, from refusals to predictions; and the same classes called differently.

#[path = "common/mod.rs"]
mod common;

use common::pictures::{Folder, encoded, exif};
use common::program::{refused, run};
use gpu_subset::data::Dataset;
use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ExtendedColorType, ImageBuffer, ImageEncoder, ImageFormat, Luma, Rgb, RgbImage};
use std::fs;
use std::path::Path;

/// What a newcomer has: pictures of three classes in one folder, of several sizes, some turned, two of them damaged.
fn shapes(folder: &Folder) {
    let within = |kind: u32, x: i64, y: i64| match kind {
        0 => x * x + y * y < 64,
        1 => x.abs() < 3,
        _ => y.abs() < 3,
    };
    for (kind, class) in (0..).zip(["disc", "post", "beam"]) {
        for i in 0..40_u32 {
            let (width, height) = [(32, 32), (40, 30), (30, 44)][i as usize % 3];
            let ink = |x: u32, y: u32| {
                let (x, y) = (i64::from(x) - i64::from(width / 2), i64::from(y) - i64::from(height / 2));
                Rgb([if within(kind, x, y) { 30 } else { 160 + (i % 90) as u8 }; 3])
            };
            let image = RgbImage::from_fn(width, height, ink);
            let (image, orientation) = if i % 7 == 0 { (image::imageops::rotate270(&image), 6) } else { (image, 1) };
            let mut jpeg = Vec::new();
            let mut encoder = JpegEncoder::new(&mut jpeg);
            encoder.set_exif_metadata(exif(orientation)).unwrap();
            encoder.write_image(&image, image.width(), image.height(), ExtendedColorType::Rgb8).unwrap();
            let whole = if i == 5 && kind < 2 { 700 } else { jpeg.len() };
            folder.write(&format!("shapes/{class}/{i}.jpg"), &jpeg[..whole.min(jpeg.len() - 2 * usize::from(i == 5))]);
        }
    }
}

#[test]
fn what_is_said_of_a_newcomers_folder_leads_to_a_trained_network() {
    let Some(_gpu) = common::gpu() else { return };
    let folder = Folder::new();
    shapes(&folder);
    let (data, out) = (folder.path("shapes"), folder.path("run"));
    let (data, out) = (data.to_str().unwrap(), out.to_str().unwrap());
    let mut arguments = vec!["train", "--data", data, "--budget", "12", "--out", out];
    // each refusal names the option that is missing
    for (what, option) in [
        ("no train/ and test/", &["--test", "1/5"][..]),
        ("pixels (HxW), but", &["--resize", "32x32"]),
        ("3 images cannot be read", &["--skip-damaged"]),
    ] {
        refused(&arguments, 3, &[what, option[0]]);
        arguments.extend(option);
    }
    let trained = run(&arguments);
    let stderr = String::from_utf8_lossy(&trained.stderr);
    assert!(trained.status.success() && stderr.contains("3 pictures left out"), "{stderr}");
    // the data of the run have its test part wherever they are, and others are tested on as a whole
    let moved = folder.path("moved");
    fs::rename(data, &moved).unwrap();
    let data = moved.to_str().unwrap();
    let examples = |options: &[&str]| -> u64 {
        let output = run(&[&["eval", out, "--json", "--data", data], options].concat());
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()["examples"].as_u64().unwrap()
    };
    assert_eq!(examples(&[]), 24);
    folder.write("moved/disc/more.jpg", &fs::read(moved.join("disc/1.jpg")).unwrap());
    assert_eq!(examples(&[]), 118);
    let predicted = run(&["predict", out, data]);
    assert_eq!(predicted.status.code(), Some(3), "three rows are errors");
    let rows = String::from_utf8(predicted.stdout).unwrap();
    let is_right = |row: &&str| row.split(',').nth(1).is_some_and(|class| row.contains(&format!("/{class}/")));
    let right = rows.lines().filter(is_right).count();
    assert!(rows.lines().count() == 122 && right > 110, "{right} of 121");
}

/// The digits as folders of PNGs, so many of each part.
fn digits_as_pictures(folder: &Folder, most: usize) {
    let digits = Dataset::digits().unwrap();
    for (part, split) in [("train", &digits.train), ("test", &digits.test)] {
        for (i, (image, label)) in split.images.bytes().unwrap().chunks(64).zip(&split.labels).take(most).enumerate() {
            let picture = ImageBuffer::<Luma<u8>, _>::from_raw(8, 8, image.to_vec()).unwrap();
            let png = encoded(&DynamicImage::from(picture), ImageFormat::Png);
            folder.write(&format!("{part}/{label}/{i:04}.png"), &png);
        }
    }
}

#[test]
fn classes_are_matched_by_name() {
    let Some(_gpu) = common::gpu() else { return };
    let folder = Folder::new();
    digits_as_pictures(&folder, 600);
    let out = folder.path("run");
    let out = out.to_str().unwrap();
    let data = folder.text();
    assert!(run(&["train", "--data", data, "--budget", "3", "--out", out]).status.success());
    let accuracy = |arguments: &[&str]| -> f64 {
        let output = run(&[&["eval", out, "--json"], arguments].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()["accuracy"].as_f64().unwrap()
    };
    let whole = accuracy(&[]);
    assert!(whole > 0.8, "{whole}");
    // the same pictures in folders of other names, in the same order
    let renamed = |from: &str, to: &str| {
        for part in ["train", "test"] {
            fs::rename(folder.path(part).join(from), folder.path(part).join(to)).unwrap();
        }
    };
    renamed("9", "9x");
    refused(&["train", "--resume", out, "--budget", "4"], 3, &["8, 9x, but the run knows 0, 1"]);
    renamed("9x", "9");
    // the test part alone, without two of its classes
    let test = folder.path("test");
    let test = test.to_str().unwrap();
    assert!((accuracy(&["--data", test]) - whole).abs() < 1e-12);
    for class in ["0", "3"] {
        fs::remove_dir_all(Path::new(test).join(class)).unwrap();
    }
    assert!(accuracy(&["--data", test]) > 0.75);
    fs::rename(Path::new(test).join("1"), Path::new(test).join("z")).unwrap();
    refused(&["eval", out, "--data", test], 3, &["has the classes 2, 4", "z, but the run knows 0, 1, 2"]);
}
