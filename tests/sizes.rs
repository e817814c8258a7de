//! Models that are too large for a device, or for any: refused in one line, before anything is made or taken.

#[path = "common/mod.rs"]
mod common;

use common::program::refused;
use gpu_subset::batch::Looks;
use gpu_subset::error::{Error, MemoryError};
use gpu_subset::export::{Signature, load_weights};
use gpu_subset::model::{Description, Model};
use gpu_subset::objective::Kronecker;
use gpu_subset::shape::Shape;
use gpu_subset::values::ValueKind;
use std::collections::HashMap;
use std::fs;
use std::path::Path;

/// One output a class.
const LAST: &str = "[[layer]]\nkind = \"dense\"\n";

fn description(toml: &str) -> Description {
    Description::parse(toml, "large").unwrap()
}

/// So many layers of `kind` and what else they have, and a dense one.
fn chain(layers: usize, kind: &str) -> Description {
    description(&(format!("[[layer]]\nkind = {kind}\n").repeat(layers) + LAST))
}

#[test]
fn sizes_that_nothing_can_count_are_refused_by_layer() {
    let image = Shape::new(3, 32, 32);
    let widest = "\"conv\"\nchannels = 65536\nsize = 1024\npadding = 1024";
    let growing = "\"conv\"\nchannels = 16\nsize = 1\npadding = 1024";
    let cases = [
        (chain(2, widest), image, 1),
        (chain(99, growing), image, 32),
        (chain(0, ""), Shape::new(usize::MAX, 3, 5), 0),
        (chain(0, ""), Shape::new(3, 0, 5), 0),
    ];
    for (description, input, at) in cases {
        match Model::new(&description, input, 10) {
            Err(Error::Usage(why)) => {
                let why = why.to_string();
                assert!(why.contains(&format!("layer {at}:")) && why.contains("weights are more"), "{why}");
            }
            other => panic!("{input}: {other:?}"),
        }
    }
    let wide = chain(600, "\"dense\"\nunits = 65536");
    let model = Model::new(&wide, image, 10).unwrap();
    assert!(model.parameters() > 599 << 32 && model.multiply_adds() > 599 << 32);
}

#[test]
fn weights_that_name_a_model_larger_than_their_tensors_are_refused_before_it_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    // 16 TiB of parameters
    let model = chain(1000, "\"dense\"\nunits = 65536");
    let classes = vec!["a".to_owned(), "b".to_owned()];
    let signature = Signature {
        model,
        input: Shape::new(1, 8, 8),
        classes,
        normalisation: vec![(0.0, 1.0)],
        values: ValueKind::Bytes,
    };
    let metadata = HashMap::from([("gpu-subset".to_owned(), serde_json::to_string(&signature).unwrap())]);
    let none: [(&str, safetensors::tensor::TensorView<'_>); 0] = [];
    fs::write(&path, safetensors::serialize(none, Some(metadata)).unwrap()).unwrap();
    let why = load_weights(&path).map(|_| ()).unwrap_err();
    assert!(matches!(why, Error::Data(_)), "{why}");
}

#[test]
fn factors_that_a_device_cannot_bind_are_refused_by_layer_and_rows_before_a_folder_is_made() {
    let Some(gpu) = common::gpu() else { return };
    // 64 pixels a channel of a digit
    let channels = gpu.max_binding_words().isqrt() / 64 + 1;
    let rows = 64 * channels + 1;
    let toml = format!("[[layer]]\nkind = \"conv\"\nchannels = {channels}\nsize = 1\n[[layer]]\nkind = \"dense\"\n");
    let model = Model::new(&description(&toml), Shape::new(1, 8, 8), 10).unwrap();
    match Kronecker::check(&gpu, &model, &Looks::USUAL) {
        Err(Error::OutOfMemory(MemoryError::Factor { layer, rows: found, bytes, limit, .. })) => {
            assert!(layer == "dense2" && found == rows && bytes > limit, "{layer}, {found} rows of {bytes} bytes");
        }
        other => panic!("{other:?}"),
    }
    let folder = tempfile::tempdir().unwrap();
    let (path, out) = (folder.path().join("large.toml"), folder.path().join("run"));
    fs::write(&path, toml).unwrap();
    let [model, out_text] = [&path, &out].map(|path| path.to_str().unwrap());
    let says = ["dense2", &format!("{rows} rows"), "--method lbfgs or adam", "pool before the layer"];
    for command in [&["plan", "--model", model][..], &["train", "--model", model, "--out", out_text]] {
        refused(&[command, &["--whole-inputs", "all"]].concat(), 5, &says);
    }
    assert!(!out.exists());
}

/// More outputs than a binding holds a matrix for: it is taken in blocks.
#[test]
fn a_sweep_over_a_wide_layer_runs() {
    let Some(gpu) = common::gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (path, out) = (folder.path().join("wide.toml"), folder.path().join("run"));
    let units = gpu.max_binding_words().isqrt() + 3;
    fs::write(&path, format!("[[layer]]\nkind = \"dense\"\nunits = {units}\nactivation = \"relu\"\n{LAST}")).unwrap();
    let [model, out] = [&path, &out].map(|path| path.to_str().unwrap());
    let output = common::program::run(&["train", "--model", model, "--budget", "1", "--out", out]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let config = fs::read_to_string(Path::new(out).join("config.toml")).unwrap();
    assert!(config.contains("whole_outputs = 32"), "{config}");
}

#[test]
fn a_sweep_over_a_hundred_dense_layers_runs() {
    let Some(_gpu) = common::gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep.toml");
    fs::write(&path, "[[layer]]\nkind = \"dense\"\nunits = 8\nactivation = \"silu\"\n".repeat(100) + LAST).unwrap();
    let out = folder.path().join("run");
    let [model, out] = [&path, &out].map(|path| path.to_str().unwrap());
    let output = common::program::run(&["train", "--model", model, "--budget", "0.5", "--out", out]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
