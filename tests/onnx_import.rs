//! ONNX models as networks: what was written is read again to the bit, and PyTorch's models give PyTorch's logits.
//! `tools/onnx_nets.py` wrote the files of `tests/onnx_nets`.

mod common;

use common::program::{gpu_subset, refused};
use gpu_subset::run::{Predictor, Weights};
use std::fs;
use std::path::{Path, PathBuf};

/// The files, and the pictures and logits beside each.
fn nets() -> Vec<(PathBuf, Vec<u8>, Vec<f32>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/onnx_nets");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "onnx"));
    paths.sort();
    assert!(!paths.is_empty());
    let numbers = |value: &serde_json::Value| -> Vec<f64> {
        let all = value.as_array().unwrap().iter();
        all.flat_map(|x| x.as_array().cloned().unwrap_or_else(|| vec![x.clone()]))
            .map(|x| x.as_f64().unwrap())
            .collect()
    };
    let read = |path: PathBuf| {
        let beside = common::program::json(&path.with_extension("json"));
        let images = numbers(&beside["images"]).into_iter().map(|x| x as u8).collect();
        (path, images, numbers(&beside["logits"]).into_iter().map(|x| x as f32).collect())
    };
    paths.into_iter().map(read).collect()
}

#[test]
fn networks_of_pytorch_give_its_logits() {
    let Some(gpu) = common::gpu() else { return };
    for (path, images, expected) in nets() {
        let (weights, stated) = Weights::load_stated(&path).unwrap();
        assert!(!stated.inputs && !stated.classes);
        let mut found = Predictor::new(&gpu, &weights, 1 << 28, false).unwrap().logits(&images).unwrap();
        // a softmax at the end is left out: it tells the same classes
        let centre = |z: &mut Vec<f32>| {
            for row in z.chunks_mut(weights.model.classes) {
                let mean = row.iter().sum::<f32>() / row.len() as f32;
                row.iter_mut().for_each(|z| *z -= mean);
            }
        };
        let mut expected = expected;
        centre(&mut found);
        centre(&mut expected);
        let largest = expected.iter().fold(0f32, |a, b| a.max(b.abs()));
        let off = found.iter().zip(&expected).fold(0f32, |off, (a, b)| off.max((a - b).abs())) / largest;
        println!("{}: off by {off:.1e} of {largest:.1}", path.display());
        assert!(off < 1e-4, "{}: {found:?}, expected {expected:?}", path.display());
    }
}

/// What the program says on stdout as JSON, and on stderr.
fn said(arguments: &[&str]) -> (serde_json::Value, String) {
    let output = gpu_subset().args(arguments).arg("--json").output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    (serde_json::from_slice(&output.stdout).unwrap(), stderr)
}

#[test]
fn a_model_of_ours_is_evaluated_and_started_from_as_its_run_is() {
    let Some(_gpu) = common::gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (run, onnx) = (at("run"), at("digits.onnx"));
    said(&["train", "--no-autotune", "--model", "digits-resnet-5k", "--budget", "2", "--out", &run]);
    assert!(gpu_subset().args(["export", &run, "--to", "onnx", "-o", &onnx]).output().unwrap().status.success());
    let [of_run, of_onnx] = [&run, &onnx].map(|from| said(&["eval", from, "--data", "digits"]).0);
    assert_eq!(of_run, of_onnx);
    let [from_run, from_onnx] = [(&run, "a"), (&onnx, "b")]
        .map(|(from, out)| said(&["train", "--no-autotune", "--init", from, "--budget", "0.5", "--out", &at(out)]).0);
    assert_eq!(from_run["weights_sha256"], from_onnx["weights_sha256"]);
    refused(&["eval", &onnx, "--data", "digits", "--mean", "0.5"], 2, &["the weights state theirs"]);
}

#[test]
fn what_a_model_of_others_does_not_say_is_asked_for() {
    let Some(_gpu) = common::gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let onnx = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/onnx_nets/resnet-torchscript.onnx");
    let onnx = onnx.to_str().unwrap();
    for (class, shade) in [("a", 10), ("b", 90), ("c", 170), ("d", 250)] {
        for i in 0..30u8 {
            let picture = image::RgbImage::from_fn(11, 11, |x, y| image::Rgb([shade, (x + y) as u8 * i, shade / 2]));
            let path = folder.path().join(class).join(format!("{i}.png"));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            picture.save(path).unwrap();
        }
    }
    let data = folder.path().to_str().unwrap();
    let (usual, notes) = said(&["eval", onnx, "--data", data]);
    let expected = ["pixels are taken to be from 0 to 1; --mean and --std", "names no classes: its outputs"];
    assert!(expected.iter().all(|note| notes.contains(note)), "{notes}");
    let (others, notes) = said(&["eval", onnx, "--data", data, "--mean", "0.485,0.456,0.406", "--std", "0.22"]);
    assert!(usual["loss"] != others["loss"] && !notes.contains("taken to be from"), "{notes}");
    refused(&["eval", onnx, "--data", data, "--std", "1,2"], 2, &["2 deviations for 3 channels", "--mean and --std"]);
    refused(&["train", "--mean", "0.5"], 2, &["pixels are those of weights to start from"]);
    let out = folder.path().with_extension("run");
    let train = ["train", "--no-autotune", "--init", onnx, "--data", data, "--test", "1/3", "--method", "adam"];
    let budget = ["--batch", "8", "--budget", "20", "--out", out.to_str().unwrap()];
    let (_, notes) = said(&[&train[..], &budget].concat());
    assert!(
        notes.contains("pixels are taken to be from 0 to 1") && notes.contains("1078 of 1078 parameters"),
        "{notes}"
    );
    fs::remove_dir_all(out).unwrap();
    let odd = folder.path().join("odd.onnx");
    fs::write(&odd, b"\x08\x08\x12").unwrap();
    let lines = ["odd.onnx: cannot be read as a network: no ONNX model"];
    refused(&["predict", odd.to_str().unwrap(), data], 3, &lines);
}
