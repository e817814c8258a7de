//! `gpu-subset export`

use super::output::show;
use super::trained;
use crate::export::save_onnx;
use anyhow::Result;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct ExportArgs {
    /// Run folder, or a file of weights
    weights: PathBuf,
    /// Format: onnx reads the bytes of pictures (f32 from 0 to 255) and puts out logits; safetensors has PyTorch's names
    #[arg(long, value_enum, value_name = "FORMAT")]
    to: Format,
    /// File to write [default: the model's name, in this folder]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Onnx,
    Safetensors,
}

impl Format {
    fn extension(self) -> &'static str {
        match self {
            Self::Onnx => "onnx",
            Self::Safetensors => "safetensors",
        }
    }
}

pub(super) fn run(args: &ExportArgs) -> Result<()> {
    let (weights, _) = trained::open(&args.weights)?;
    let usual = || PathBuf::from(format!("{}.{}", weights.model.name, args.to.extension()));
    let path = args.output.clone().unwrap_or_else(usual);
    match args.to {
        Format::Onnx => save_onnx(&path, &weights.model, [&weights.theta, &weights.moments], &weights.signature)?,
        Format::Safetensors => weights.save(&path)?,
    }
    show!("{}", path.display())?;
    Ok(())
}
