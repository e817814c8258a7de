//! The larger built-in nets against PyTorch in f64: logits, loss, gradient, Gauss-Newton product and ten steps of
//! gradient descent. `tools/golden.py` wrote the files of `tests/golden` and says what they hold.

mod common;

use common::twin::{dot, norm, relative_error};
use common::{assert_close, download, download_buffer_blocks, gpus_and_cases, run, unwritten, upload};
use gpu_subset::device::{Buf, Gpu};
use gpu_subset::kernels::vector;
use gpu_subset::model::{Description, Model};
use gpu_subset::objective::{Examples, Objective, Workspace};
use gpu_subset::shape::Shape;
use safetensors::{Dtype, SafeTensors};
use std::path::Path;
use std::sync::Arc;

struct Golden {
    name: &'static str,
    bytes: Vec<u8>,
}

impl Golden {
    fn read(name: &'static str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.safetensors"));
        Self { name, bytes: std::fs::read(path).unwrap() }
    }

    fn bytes(&self, tensor: &str) -> Vec<u8> {
        SafeTensors::deserialize(&self.bytes).unwrap().tensor(tensor).unwrap().data().to_vec()
    }

    fn numbers(&self, tensor: &str) -> Vec<f64> {
        let bytes = self.bytes(tensor);
        match SafeTensors::deserialize(&self.bytes).unwrap().tensor(tensor).unwrap().dtype() {
            Dtype::F64 => bytes.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect(),
            Dtype::F32 => bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()).into()).collect(),
            Dtype::I16 => bytes.chunks_exact(2).map(|b| i16::from_le_bytes(b.try_into().unwrap()).into()).collect(),
            other => panic!("{tensor}: {other:?}"),
        }
    }

    /// What rounding may come to, as a multiple of that of a chain: normalisations divide by deviations, and the biases
    /// before them have no gradient but rounding.
    fn slack(&self) -> f64 {
        if self.name.contains("resnet") {
            50.0
        } else if self.name.contains("norm") {
            10.0
        } else {
            1.0
        }
    }

    /// That is built in, or is a file beside the values.
    fn description(&self) -> Description {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(self.name).with_extension("toml");
        if file.exists() {
            return Description::open(file.to_str().unwrap()).unwrap();
        }
        Description::open(self.name).unwrap()
    }

    fn number(&self, tensor: &str) -> f64 {
        self.numbers(tensor)[0]
    }

    fn shape(&self) -> Shape {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        let images = tensors.tensor("images").unwrap();
        Shape::new(images.shape()[1], images.shape()[2], images.shape()[3])
    }

    fn objective(&self, gpu: &Gpu) -> Objective {
        let model = Arc::new(Model::new(&self.description(), self.shape(), 10).unwrap());
        let labels: Vec<u32> = self.bytes("labels").into_iter().map(u32::from).collect();
        let statistics: Vec<_> = self.numbers("mean").into_iter().zip(self.numbers("std")).collect();
        let examples = Examples::upload(gpu, self.shape(), &self.bytes("images"), &labels, &statistics).unwrap();
        let workspace = Arc::new(Workspace::new(gpu, model, 1 << 26).unwrap());
        let all: Vec<u32> = (0..labels.len() as u32).collect();
        Objective::new(gpu, &workspace, &Arc::new(examples), &all, self.number("weight_decay")).unwrap()
    }

    /// The objective with its model, θ on the device, and room for a gradient.
    fn start(&self, gpu: &Gpu) -> (Objective, Arc<Model>, Buf, Buf) {
        let objective = self.objective(gpu);
        let model = objective.workspace().model.clone();
        let theta = vector_of(gpu, &model, &self.parameters());
        let gradient = unwritten(gpu, model.vector_len());
        (objective, model, theta, gradient)
    }

    /// θ, compact.
    fn parameters(&self) -> Vec<f64> {
        self.numbers("parameters").iter().map(|p| p / 8192.0).collect()
    }
}

const NETS: [&str; 8] = [
    "mnist-14k",
    "cifar-43k",
    "cifar-resnet-75k",
    "group-norm",
    "mnist-resnet-19k",
    "digits-resnet-5k",
    "depthwise",
    "dense-blocks",
];

fn goldens(numbers: Vec<usize>) -> impl Iterator<Item = Golden> {
    numbers.into_iter().map(|number| Golden::read(NETS[number]))
}

fn vector_of(gpu: &Gpu, model: &Model, compact: &[f64]) -> Buf {
    upload(gpu, &model.expand(compact))
}

#[test]
fn loss_and_gradient_are_pytorchs() {
    for (gpu, nets) in gpus_and_cases(NETS.len()) {
        for golden in goldens(nets) {
            let (mut objective, model, theta, gradient) = golden.start(&gpu);
            let found = objective.loss_and_gradient(&theta, &gradient).unwrap();
            let want = golden.number("loss");
            assert!(
                (found.loss - want).abs() <= 3e-7 * golden.slack() * want,
                "{}: loss {}, not {want}",
                golden.name,
                found.loss
            );

            let (got, want) = (model.compact(&download(&gpu, &gradient)), golden.numbers("gradient"));
            let error = relative_error(&got, &want);
            assert!(error <= 1e-6 * golden.slack(), "{}: gradient off by {error:e}", golden.name);
            let cosine = dot(&got, &want) / (norm(&got) * norm(&want));
            assert!(cosine >= 1.0 - 1e-12 * golden.slack().powi(2), "{}: 1 - cosine {:e}", golden.name, 1.0 - cosine);
            // and tensor by tensor, since those of the last layers are the largest
            let (all, got, want) = (want.clone(), model.expand(&got), model.expand(&want));
            for tensor in model.tensors() {
                let (got, want) = (&got[tensor.range.clone()], &want[tensor.range]);
                // a bias before a normalisation has no part in the loss
                let error = relative_error(got, want) * (norm(want) / (1e-3 * norm(&all))).min(1.0);
                assert!(
                    error <= 2e-6 * golden.slack(),
                    "{}: gradient of {} off by {error:e}",
                    golden.name,
                    tensor.name
                );
            }
        }
    }
}

#[test]
fn loss_and_gradient_with_smoothed_targets_are_pytorchs() {
    for (gpu, nets) in gpus_and_cases(NETS.len()) {
        for golden in goldens(nets) {
            let (objective, model, theta, gradient) = golden.start(&gpu);
            let mut objective = objective.smoothed(golden.number("smoothing")).unwrap();
            let found = objective.loss_and_gradient(&theta, &gradient).unwrap();
            let (name, want) = (golden.name, golden.number("smoothed_loss"));
            let error = (found.loss - want).abs();
            assert!(error <= 3e-7 * golden.slack() * want, "{name}: loss {}, not {want}", found.loss);
            let got: Vec<f64> = model.compact(&download(&gpu, &gradient)).into_iter().step_by(7).collect();
            let error = relative_error(&got, &golden.numbers("smoothed_gradient"));
            assert!(error <= 1e-6 * golden.slack(), "{name}: gradient off by {error:e}");
        }
    }
}

#[test]
fn logits_and_accuracy_are_pytorchs() {
    for (gpu, nets) in gpus_and_cases(NETS.len()) {
        for golden in goldens(nets) {
            let mut objective = golden.objective(&gpu);
            let (model, theta) = (objective.workspace().model.clone(), golden.parameters());
            // The logits are linear in the last layer's parameters: their derivative along those is the logits
            // themselves.
            let mut v = model.expand(&theta);
            v[..model.ranges()[model.layers().len() - 1].clone().unwrap().start].fill(0.0);
            let (theta, v) = (vector_of(&gpu, &model, &theta), upload(&gpu, &v));
            let (_, tangents) = objective.tangent(&theta, &v).unwrap();
            let (got, want) = (download_buffer_blocks(&gpu, &tangents, objective.len(), 10), golden.numbers("logits"));
            assert_close(golden.name, &got, &want, 2e-6 * golden.slack());

            let largest = |row: &[f64]| (0..10).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
            let rows = want.chunks_exact(10).zip(golden.bytes("labels"));
            let hits = rows.filter(|(row, label)| largest(row) == usize::from(*label)).count();
            assert_eq!(
                objective.loss(&theta).unwrap().accuracy,
                hits as f64 / objective.len() as f64,
                "{}",
                golden.name
            );
        }
    }
}

#[test]
fn gauss_newton_product_is_pytorchs() {
    for (gpu, nets) in gpus_and_cases(NETS.len()) {
        for golden in goldens(nets) {
            let mut objective = golden.objective(&gpu);
            let (model, theta) = (objective.workspace().model.clone(), golden.parameters());
            let v: Vec<f64> = theta.iter().rev().copied().collect();
            let (theta, v) = (vector_of(&gpu, &model, &theta), vector_of(&gpu, &model, &v));
            let product = unwritten(&gpu, model.vector_len());
            objective.gauss_newton_product(&theta, &v, &product).unwrap();
            let got: Vec<f64> = model.compact(&download(&gpu, &product)).into_iter().step_by(7).collect();
            let error = relative_error(&got, &golden.numbers("product"));
            assert!(error <= 2e-6 * golden.slack(), "{}: product off by {error:e}", golden.name);
        }
    }
}

#[test]
fn ten_steps_of_gradient_descent_follow_pytorchs() {
    for (gpu, nets) in gpus_and_cases(NETS.len()) {
        for golden in goldens(nets) {
            let (mut objective, _, theta, gradient) = golden.start(&gpu);
            let coefficients = upload(&gpu, &[-golden.number("step"), 1.0]);
            let descent = golden.numbers("descent");
            assert_eq!(descent.len(), 10);
            for (number, want) in (1..).zip(descent) {
                objective.loss_and_gradient(&theta, &gradient).unwrap();
                run(&gpu, [vector::axpby(&gpu, &coefficients, &gradient, &theta).unwrap()]);
                let loss = objective.loss(&theta).unwrap().loss;
                assert!(
                    (loss - want).abs() <= 1e-6 * golden.slack() * want,
                    "{}: {loss} after step {number}, not {want}",
                    golden.name
                );
            }
        }
    }
}
