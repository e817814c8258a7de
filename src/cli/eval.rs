//! `gpu-subset eval`

use super::device::DeviceArgs;
use super::output::show;
use super::values::{Bytes, parse_resize};
use crate::data::{Dataset, ReadOptions};
use crate::error::{Error, RunError};
use crate::run::{Config, RunFolder, Weights};
use anyhow::Result;
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct EvalArgs {
    /// Run folder
    run: PathBuf,
    /// Data set; by default the one the run was made on
    #[arg(long, value_name = "digits|DIR")]
    data: Option<String>,
    /// Bring images to this size
    #[arg(long, value_name = "HxW", value_parser = parse_resize)]
    resize: Option<(u32, u32)>,
    /// Which part of the data
    #[arg(long, value_enum, default_value_t = SplitName::Test)]
    split: SplitName,
    /// Device memory for activations
    #[arg(long, value_name = "SIZE", default_value = "2GiB")]
    memory: Bytes,
    /// Print JSON on stdout
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

#[derive(Clone, Copy, ValueEnum)]
enum SplitName {
    Train,
    Test,
}

/// What `--json` prints.
#[derive(Serialize)]
struct EvalRecord {
    accuracy: f64,
    loss: f64,
    examples: usize,
    data: String,
    data_sha256: String,
    model: String,
    parameters: usize,
    adapter: String,
}

pub(super) fn run(args: &EvalArgs) -> Result<()> {
    let folder = RunFolder::open(&args.run)?;
    let config = Config::load(&folder.config())?;
    if !folder.weights().exists() {
        return Err(Error::from(RunError::Incomplete { path: args.run.clone() }).into());
    }
    let weights = Weights::load(&folder.weights())?;
    let resize = args.resize.or(config.resize);
    let data = match &args.data {
        Some(data) => Dataset::open(data, &ReadOptions { resize, ..config.read_options() })?,
        None if args.resize.is_some() => config.open_resized(&args.run, resize)?,
        None => config.open_data_of(&args.run, None)?,
    };
    let data = weights.matched(data)?;
    let split = match args.split {
        SplitName::Train => &data.train,
        SplitName::Test => &data.test,
    };
    let gpu = args.device.open()?;
    let evaluation = weights.evaluate(&gpu, split, args.memory.0)?;
    let record = EvalRecord {
        accuracy: evaluation.accuracy,
        loss: evaluation.cross_entropy,
        examples: split.len(),
        data: data.name,
        data_sha256: data.sha256,
        model: weights.model.name.clone(),
        parameters: weights.model.parameters(),
        adapter: gpu.info.name.clone(),
    };
    if args.json {
        show!("{}", serde_json::to_string(&record)?)?;
    } else {
        show!("accuracy   {:.2}% of {} examples", 100.0 * record.accuracy, record.examples)?;
        show!("loss       {:.4}", record.loss)?;
    }
    Ok(())
}
