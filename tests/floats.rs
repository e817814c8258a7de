//! Examples of f32: trained on, evaluated, and kept apart from bytes.

#[path = "common/mod.rs"]
mod common;

use gpu_subset::data::{Dataset, Split};
use gpu_subset::run::{Predictor, Run, Weights};
use gpu_subset::shape::Shape;
use gpu_subset::values::{ValueKind, Values};

/// The digits as f32 of so much a byte, with other values beside those of the pixels.
fn scaled(split: &Split, by: f32, beside: f32) -> Split {
    let images: Vec<f32> = split.images.view().iter().map(|value| value as f32 * by + beside).collect();
    Split { images: images.into(), labels: split.labels.clone() }
}

fn arrays(digits: &Dataset, shape: Shape, by: f32, beside: f32) -> Dataset {
    let parts = [&digits.train, &digits.test].map(|split| scaled(split, by, beside));
    Dataset::of_arrays("digits as f32", shape, digits.classes.clone(), parts).unwrap()
}

#[test]
fn numbers_that_are_normalised_alike_train_alike() {
    let Some(gpu) = common::gpu() else { return };
    let digits = Dataset::digits().unwrap();
    let of = |data: &Dataset| {
        let run = Run::sweep(data).budget(1.0).augment(Default::default(), None);
        run.on(&gpu).unwrap().train(&mut ()).unwrap()
    };
    let of_bytes = of(&digits);
    // a power of two loses nothing
    let small = arrays(&digits, digits.shape, 1.0 / 1024.0, 0.0);
    let of_small = of(&small);
    assert_eq!(of_small.record.weights_sha256, of_bytes.record.weights_sha256);
    let shifted = arrays(&digits, digits.shape, 3.0, -1000.0);
    let of_shifted = of(&shifted);
    let [a, b] = [&of_bytes, &of_shifted].map(|trained| trained.record.test_accuracy);
    assert!((a - b).abs() < 0.03 && a > 0.85, "{a} and {b}");

    // what the weights are for is in their files
    let folder = tempfile::tempdir().unwrap();
    let (file, onnx) = (folder.path().join("weights.safetensors"), folder.path().join("model.onnx"));
    of_small.weights.save(&file).unwrap();
    of_small.weights.save_onnx(&onnx).unwrap();
    for path in [&file, &onnx] {
        let weights = Weights::load(path).unwrap();
        assert_eq!(weights.signature.values, ValueKind::Floats);
        let found = weights.evaluate(&gpu, &small.test, 1 << 26).unwrap();
        assert_eq!(found.accuracy, of_small.record.test_accuracy, "{}", path.display());
        let logits = Predictor::new(&gpu, &weights, 1 << 26, true).unwrap().logits(&small.test.images).unwrap();
        assert_eq!(logits.len(), 10 * small.test.len());
        let refused = weights.matched(digits.clone()).unwrap_err().to_string();
        assert!(refused.contains("consists of bytes, and the network reads f32"), "{refused}");
        let refused = Predictor::new(&gpu, &weights, 1 << 26, false).unwrap().of_files(&["a.png"]).unwrap_err();
        assert!(refused.to_string().contains("reads f32 of 1×8×8"), "{refused}");
        let (path, digits) = (path.to_str().unwrap(), &digits);
        let refused = Run::sweep(digits).init(path).config().unwrap_err().to_string();
        assert!(refused.contains("consists of bytes"), "{refused}");
    }
    assert_eq!(of_bytes.weights.signature.values, ValueKind::Bytes);
}

#[test]
fn features_of_any_scale_are_learned_from() {
    let Some(gpu) = common::gpu() else { return };
    let digits = Dataset::digits().unwrap();
    let mut features = arrays(&digits, Shape::vector(64), 1.0, 0.0);
    for split in [&mut features.train, &mut features.test] {
        let Values::Floats(values) = &mut split.images else { panic!("f32") };
        // each feature has a unit of its own
        values.iter_mut().enumerate().for_each(|(i, x)| *x = (*x + 5.0) * 10f32.powi((i % 64) as i32 % 7 - 3));
    }
    let [train, test] = [features.train, features.test];
    let features = Dataset::of_arrays("features", Shape::vector(64), features.classes, [train, test]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("dense.toml");
    let layers = "[[layer]]\nkind = 'dense'\nunits = 32\nactivation = 'relu'\n[[layer]]\nkind = 'dense'\n";
    std::fs::write(&model, layers).unwrap();
    let mut run = Run::sweep(&features).budget(4.0).model(model.to_str().unwrap()).on(&gpu).unwrap();
    let trained = run.train(&mut ()).unwrap();
    assert!(trained.record.test_accuracy > 0.9, "{:?}", trained.record.test_accuracy);
}
