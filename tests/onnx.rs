//! Exported ONNX models give the logits that the device gives, by Microsoft's onnxruntime.

mod common;

use gpu_subset::export::Signature;
use gpu_subset::model::{Description, Model};
use gpu_subset::run::{Predictor, Weights};
use gpu_subset::shape::Shape;
use gpu_subset::values::ValueKind;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

const CLASSES: usize = 10;
const PICTURES: usize = 6;

/// Every activation; windows with padding; sums of vectors and of channels that one lacks; a last value with pixels.
const ODD: &str = r#"layer = [
    { kind = "conv", channels = 5, size = 3, stride = 2, padding = 1, activation = "silu", name = "a" },
    { kind = "conv", channels = 5, size = 3, padding = 1, groups = 5 },
    { kind = "group-norm", groups = 5 },
    { kind = "max-pool", size = 3, stride = 1, padding = 1 },
    { kind = "add", from = "a", activation = "softplus" },
    { kind = "batch-norm", name = "norm" },
    { kind = "avg-pool", size = 3, stride = 2, padding = 1, name = "short" },
    { kind = "conv", channels = 10, size = 1, stride = 2, from = "norm" },
    { kind = "add", from = "short", pad = true },
    { kind = "global-avg-pool", name = "pool" },
    { kind = "dense", units = 10, activation = "tanh" },
    { kind = "batch-norm" },
    { kind = "group-norm", groups = 2 },
    { kind = "add", from = "pool" },
]"#;

/// A Python with onnxruntime, if one is named; else says that nothing was compared.
fn python() -> Option<String> {
    let named = std::env::var("GPU_SUBSET_ONNXRUNTIME").ok();
    if named.is_none() {
        assert!(std::env::var_os("GPU_SUBSET_REQUIRE_ONNXRUNTIME").is_none(), "GPU_SUBSET_ONNXRUNTIME names no Python");
        eprintln!("not compared: set GPU_SUBSET_ONNXRUNTIME to a Python that has onnxruntime");
    }
    named
}

/// Weights nobody trained, with scales and moments away from one and zero.
fn weights(description: Description, input: Shape, rng: &mut ChaCha8Rng) -> Weights {
    let model = Model::new(&description, input, CLASSES).unwrap();
    let mut theta = model.initialise(3);
    for tensor in model.tensors().iter().filter(|tensor| tensor.dims.len() == 1) {
        theta[tensor.range.clone()].iter_mut().for_each(|value| *value += rng.random_range(-0.5..0.5));
    }
    let moments = model.moments();
    let values = moments.iter().flat_map(|tensor| {
        let least = if tensor.name.ends_with("running_var") { 0.5 } else { -0.5 };
        vec![least; tensor.range.len()]
    });
    let moments = values.map(|least| rng.random_range(least..least + 1.0)).collect();
    let classes = (0..CLASSES).map(|i| format!("class {i}")).collect();
    let normalisation = (0..input.channels).map(|c| (100.0 + c as f64, 60.0 - c as f64)).collect();
    let signature = Signature { model: description, input, classes, normalisation, values: ValueKind::Bytes };
    Weights { model: Arc::new(model), theta, moments, signature }
}

/// Every network, and nobody's weights for it.
fn all(rng: &mut ChaCha8Rng) -> Vec<Weights> {
    let builtin = Description::builtin_names()
        .map(|name| (Description::open(name).unwrap(), Description::input_of(name).unwrap()));
    let odd = (Description::parse(ODD, "odd").unwrap(), Shape::new(2, 11, 9));
    builtin.chain([odd]).map(|(description, input)| weights(description, input, rng)).collect()
}

#[test]
fn what_was_written_is_read_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.ONNX");
    for mut weights in all(&mut ChaCha8Rng::seed_from_u64(21)) {
        weights.signature.normalisation[0] = (1.0 / 3.0, 5.0 / 3.0); // more digits than the graph has
        weights.save_onnx(&path).unwrap();
        let (read, stated) = Weights::load_stated(&path).unwrap();
        assert!(stated.inputs && stated.classes);
        assert_eq!(read.signature, weights.signature);
        assert!(read.theta == weights.theta && read.moments == weights.moments, "{}", weights.model.name);
    }
}

#[test]
fn onnxruntime_has_the_logits_of_the_device() {
    let (Some(gpu), Some(python)) = (common::gpu(), python()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let [model, images, logits] = ["net.onnx", "images", "logits"].map(|name| folder.path().join(name));
    let mut rng = ChaCha8Rng::seed_from_u64(20);
    for weights in all(&mut rng) {
        let bytes: Vec<u8> = (0..PICTURES * weights.signature.input.len()).map(|_| rng.random()).collect();
        let found = Predictor::new(&gpu, &weights, 1 << 28, false).unwrap().logits(&bytes).unwrap();
        fs::write(&images, &bytes).unwrap();
        fs::write(&logits, found.iter().flat_map(|z| z.to_le_bytes()).collect::<Vec<_>>()).unwrap();
        weights.save_onnx(&model).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/onnx_check.py");
        let output = Command::new(&python).arg(script).args([&model, &images, &logits]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {said}", weights.model.name);
    }
}
