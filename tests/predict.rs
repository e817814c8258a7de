//! `predict` as its users run it, against what `eval` says of the same pictures.

#[path = "common/mod.rs"]
mod common;

use common::program::{gpu_subset, refused, run};
use gpu_subset::data::Dataset;
use gpu_subset::run::{Predictor, Run};
use image::{ExtendedColorType, save_buffer};
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// The test digits as PNGs, in their order; the folder that they are in and their paths.
fn digits(folder: &Path) -> (PathBuf, Vec<PathBuf>) {
    let (digits, to) = (Dataset::digits().unwrap(), folder.join("pictures"));
    let write = |(i, image): (usize, &[u8])| {
        let path = to.join(format!("{:02}/{i:04}.png", i / 100));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        save_buffer(&path, image, 8, 8, ExtendedColorType::L8).unwrap();
        path
    };
    let paths = digits.test.images.bytes().unwrap().chunks(64).enumerate().map(write).collect();
    (to, paths)
}

fn trained(folder: &Path, options: &[&str]) -> String {
    let out = folder.join("run").to_str().unwrap().to_owned();
    let output = run(&[&["train", "--out", &out], options].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    out
}

fn evaluated(arguments: &[&str]) -> Value {
    let output = run(&[&["eval", "--json"], arguments].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Rows of JSON of the pictures in a folder.
fn predicted(arguments: &[&str]) -> Vec<Value> {
    let output = run(&[&["predict", "--format", "json"], arguments].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The confusion matrix of `eval`, row by row.
fn confusion(run: &str, to: &Path, options: &[&str]) -> Vec<Vec<usize>> {
    evaluated(&[&[run, "--confusion", to.to_str().unwrap()], options].concat());
    let text = fs::read_to_string(to).unwrap();
    assert!(text.starts_with("class,0,1,2,3,4,5,6,7,8,9\n0,"), "{text}");
    let counts = |line: &str| line.split(',').skip(1).map(|count| count.parse().unwrap()).collect();
    text.lines().skip(1).map(counts).collect()
}

#[test]
fn the_classes_are_those_of_an_evaluation() {
    let Some(_gpu) = common::gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (pictures, paths) = digits(folder.path());
    let normalised = folder.path().join("net.toml");
    let net = "[[layer]]\nkind = \"conv\"\nchannels = 4\nsize = 3\n\
               [[layer]]\nkind = \"batch-norm\"\nactivation = \"relu\"\n[[layer]]\nkind = \"dense\"\n";
    fs::write(&normalised, net).unwrap();
    for options in [&["--budget", "2"][..], &["--budget", "4", "--model", normalised.to_str().unwrap()]] {
        let _ = fs::remove_dir_all(folder.path().join("run"));
        let out = trained(folder.path(), options);
        for flips in [&[][..], &["--flips"]] {
            let rows = predicted(&[&[&out, pictures.to_str().unwrap()], flips].concat());
            let labels = Dataset::digits().unwrap().test.labels;
            let mut counts = vec![vec![0; 10]; 10];
            for ((row, path), label) in rows.iter().zip(&paths).zip(labels) {
                assert_eq!(Path::new(row["path"].as_str().unwrap()), path);
                assert_eq!(row.get("flips").is_some(), !flips.is_empty());
                assert!(row["confidence"].as_f64().is_some_and(|share| (0.1..=1.0).contains(&share)), "{row}");
                counts[label as usize][row["class"].as_str().unwrap().parse::<usize>().unwrap()] += 1;
            }
            assert_eq!(rows.len(), 360);
            assert_eq!(counts, confusion(&out, &folder.path().join("confusion.csv"), flips), "{options:?} {flips:?}");
        }
        let [plain, flipped] = [&[&out[..]][..], &[&out, "--flips"]].map(evaluated);
        assert_eq!([&plain["flips"], &flipped["flips"]], [false, true]);
        assert_ne!(plain["loss"], flipped["loss"]);
        let classes = plain["classes"].as_array().unwrap();
        let support: u64 = classes.iter().map(|class| class["support"].as_u64().unwrap()).sum();
        assert_eq!((classes.len(), support), (10, 360));
        assert!(plain["top_5_accuracy"].as_f64().unwrap() >= plain["accuracy"].as_f64().unwrap());
    }
}

/// In a Rust program.
#[test]
fn with_flips_logits_are_the_mean_of_a_pictures_and_its_mirror_images() {
    let Some(gpu) = common::gpu() else { return };
    let digits = Dataset::digits().unwrap();
    let trained = Run::sweep(&digits).budget(1.0).on(&gpu).unwrap().train(&mut ()).unwrap();
    let logits =
        |images: &[u8], flips| Predictor::new(&gpu, &trained.weights, 1 << 26, flips).unwrap().logits(images).unwrap();
    let images = &digits.test.images.bytes().unwrap()[..64 * 70];
    let mirrored: Vec<u8> = images.chunks(8).flat_map(|row| row.iter().rev().copied()).collect();
    let (own, others) = (logits(images, false), logits(&mirrored, false));
    assert_ne!(own, others);
    let mean: Vec<f32> = own.iter().zip(&others).map(|(a, b)| 0.5 * (a + b)).collect();
    assert_eq!(logits(images, true), mean);
    assert_eq!(logits(&mirrored, true), mean);
}

#[test]
fn rows_are_csv_json_or_text_and_a_picture_that_cannot_be_read_has_its_error() {
    let Some(_gpu) = common::gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (_, paths) = digits(folder.path());
    let out = trained(folder.path(), &["--budget", "1"]);
    let damaged = folder.path().join("a, \"b\".png");
    fs::write(&damaged, b"no picture").unwrap();
    let [first, second] = [&paths[0], &paths[1]].map(|path| path.to_str().unwrap());
    let of = |options: &[&str]| {
        let named = ["predict", &out, first, damaged.to_str().unwrap(), second];
        let output = run(&[&named, options].concat());
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(3), "{stderr}");
        assert!(stderr.contains("error: 1 of 3 pictures could not be read"), "{stderr}");
        String::from_utf8(output.stdout).unwrap()
    };
    let csv = of(&["--top", "2"]);
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines[0], "path,class,confidence,class_2,confidence_2,error");
    assert_eq!(lines[1].split(',').count(), 6);
    assert!(lines[2].contains("a, \"\"b\"\".png\",,,,,expected a whole image: "), "{csv}");
    assert!(lines.len() == 4 && lines[3].starts_with(second), "{csv}");
    let json: Vec<Value> = of(&["--format", "json", "--top", "99"]).lines().map(|l| l.parse().unwrap()).collect();
    let top = json[0]["top"].as_array().unwrap();
    let sum: f64 = top.iter().map(|class| class["confidence"].as_f64().unwrap()).sum();
    assert!(top.len() == 10 && (sum - 1.0).abs() < 1e-9 && top[0]["class"] == json[0]["class"], "{top:?}");
    assert!(json[1]["error"].is_string() && json[1].get("class").is_none());
    let text = of(&["--format", "text"]);
    assert!(text.lines().nth(1).unwrap().contains("\".png: error: expected a whole image"), "{text}");
    let file = folder.path().join("rows.csv");
    assert_eq!(of(&["-o", file.to_str().unwrap()]), "");
    assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 4);
}

#[test]
fn paths_come_from_a_pipe_and_weights_from_a_file() {
    let Some(_gpu) = common::gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (pictures, paths) = digits(folder.path());
    let out = trained(folder.path(), &["--budget", "1"]);
    let weights = format!("{out}/weights.safetensors");
    let mut child = gpu_subset()
        .args(["predict", &weights, "-", "--format", "json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let listed = format!("{}\n\r\n{}\n", paths[7].display(), pictures.join("03").display());
    child.stdin.take().unwrap().write_all(listed.as_bytes()).unwrap();
    let rows = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(rows.lines().count(), 61);
    let whole = predicted(&[&out, pictures.to_str().unwrap()]);
    let of = |row: &str| row.parse::<Value>().unwrap()["class"].clone();
    assert_eq!(
        rows.lines().map(of).collect::<Vec<_>>()[1..],
        whole[300..].iter().map(|r| r["class"].clone()).collect::<Vec<_>>()
    );

    assert_eq!(evaluated(&[&weights, "--data", "digits"])["accuracy"], evaluated(&[&out])["accuracy"]);
    refused(&["eval", &weights], 2, &["does not say where data is", "--data"]);
    refused(&["predict", pictures.to_str().unwrap(), "x.png"], 3, &["not a run folder"]);
    refused(&["predict", paths[0].to_str().unwrap(), "x.png"], 3, &["0000.png"]);
    refused(&["predict", &out], 2, &["PATH"]);
}
