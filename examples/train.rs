//! What `gpu-subset train` does, as a Rust program: trains on a data set within a budget and saves the weights.
//!
//! cargo run --release --example train -- DATA BUDGET OUT.safetensors

use gpu_subset::data::{Dataset, ReadOptions};
use gpu_subset::device::{AdapterChoice, Gpu};
use gpu_subset::error::Result;
use gpu_subset::run::{Run, Trained};
use gpu_subset::subset::StepRecord;

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [data, budget, out] = arguments.as_slice() else { return Err("usage: train DATA BUDGET OUT".into()) };
    let trained = train(data, budget.parse()?, out)?;
    println!("weights {}", trained.record.weights_sha256);
    Ok(())
}

/// Trains the network that suits the data for `budget` epochs' worth of computing.
pub fn train(data: &str, budget: f64, out: &str) -> Result<Trained> {
    let data = Dataset::open(data, &ReadOptions::default())?;
    let gpu = Gpu::open(&AdapterChoice::default())?;
    let mut run = Run::sweep(&data).budget(budget).on(&gpu)?;
    let trained = run.train(&mut |step: &StepRecord| {
        eprintln!("{:.3} epochs: loss {:.4}", step.cost_epochs, step.outcome.loss);
    })?;
    println!("test accuracy {:.4}", trained.evaluate(&gpu, &data.test)?.accuracy);
    trained.save(out)?;
    Ok(trained)
}
