//! `gpu-subset export`

use super::output::show;
use super::reading::PixelArgs;
use super::trained::{self, OpenedWeights};
use anyhow::Result;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct ExportArgs {
    /// Run folder, or a file of weights: safetensors of this program, or an ONNX model
    weights: PathBuf,
    #[command(flatten)]
    pixels: PixelArgs,
    /// Format: onnx reads the bytes of pictures (f32 from 0 to 255) and puts out logits; safetensors has the weights
    #[arg(long, value_enum, value_name = "FORMAT")]
    to: ExportFormat,
    /// File to write [default: the model's name, in this folder]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum ExportFormat {
    Onnx,
    Safetensors,
}

impl ExportFormat {
    fn extension(self) -> &'static str {
        match self {
            Self::Onnx => "onnx",
            Self::Safetensors => "safetensors",
        }
    }
}

pub(super) fn run(args: &ExportArgs) -> Result<()> {
    let OpenedWeights { weights, .. } = trained::open(&args.weights, &args.pixels.pixels())?;
    let usual = || PathBuf::from(format!("{}.{}", weights.model.name, args.to.extension()));
    let path = args.output.clone().unwrap_or_else(usual);
    match args.to {
        ExportFormat::Onnx => weights.save_onnx(&path)?,
        ExportFormat::Safetensors => weights.save(&path)?,
    }
    show!("{}", path.display())?;
    Ok(())
}
