//! The gradient of a model over a whole training set, as `tools/gradient_check.py` compares it with PyTorch's.
//!
//! cargo run --release --example gradient -- DATA MODEL OUT.safetensors

use anyhow::{Context, Result};
use gpu_subset::data::{Dataset, ReadOptions};
use gpu_subset::device::{AdapterChoice, Gpu};
use gpu_subset::model::{Description, Model};
use gpu_subset::objective::{DEFAULT_MEMORY, Examples, Objective, Workspace};
use safetensors::tensor::{Dtype, TensorView, serialize_to_file};
use std::{sync::Arc, time::Instant};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [data, model, out] = arguments.as_slice() else { anyhow::bail!("usage: gradient DATA MODEL OUT") };
    let data = Dataset::open(data, &ReadOptions::default())?;
    let gpu = Gpu::open(&AdapterChoice::default())?;
    let model = Arc::new(Model::new(&Description::open(model)?, data.shape, data.classes.len())?);
    let workspace = Arc::new(Workspace::new(&gpu, model.clone(), DEFAULT_MEMORY)?);
    let statistics = data.channel_statistics();
    let examples = Arc::new(Examples::upload(&gpu, data.shape, &data.train.images, &data.train.labels, &statistics)?);
    let all: Vec<u32> = (0..examples.len() as u32).collect();
    let mut objective = Objective::new(&gpu, &workspace, &examples, &all, 0.0)?;
    let parameters = model.initialise(0);
    let (theta, gradient) = (gpu.upload("theta", &parameters)?, gpu.alloc("gradient", parameters.len())?);
    let mut evaluation = objective.loss_and_gradient(&theta, &gradient)?; // compiles the kernels
    let first: Vec<f32> = gpu.read(&gradient)?;
    let start = Instant::now();
    for _ in 0..3 {
        evaluation = objective.loss_and_gradient(&theta, &gradient)?;
        anyhow::ensure!(gpu.read::<f32>(&gradient)? == first, "two runs differ");
    }
    println!(
        "loss {:.9}, {:.3} s a gradient, runs bit-identical",
        evaluation.loss,
        start.elapsed().as_secs_f64() / 3.0
    );
    let (parameters, gradient) = (model.compact(&parameters), model.compact(&first));
    let view = |values| TensorView::new(Dtype::F32, vec![model.parameters()], bytemuck::cast_slice(values));
    let tensors = [("parameters", view(&parameters)?), ("gradient", view(&gradient)?)];
    serialize_to_file(tensors, None, out.as_ref()).context("writing the gradient")
}
