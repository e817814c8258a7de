//! `gpu-subset eval`

use super::device::DeviceArgs;
use super::output::{say, show};
use super::reading::{PixelArgs, open_given, open_own, say_notes};
use super::trained::{self, OpenedWeights};
use super::values::{Bytes, parse_resize};
use crate::data::{Dataset, ReadOptions, Split};
use crate::error::{Error, Result, shown};
use crate::files::write_atomically;
use crate::run::{Config, Confusion, Metrics, Predictor, Weights, mean_cross_entropy};
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::path::{Path, PathBuf};

#[derive(Args)]
pub(super) struct EvalArgs {
    /// Run folder, or a file of weights: safetensors of this program, or an ONNX model
    #[arg(value_name = "RUN|WEIGHTS")]
    run: PathBuf,
    /// Data set; by default the one the run was made on. A folder of test images alone will do: DIR/CLASS/*.png
    #[arg(long, value_name = "digits|DIR")]
    data: Option<String>,
    /// Bring images to this size
    #[arg(long, value_name = "HxW", value_parser = parse_resize)]
    resize: Option<(u32, u32)>,
    /// Leave out pictures that cannot be read, and say how many
    #[arg(long)]
    skip_damaged: bool,
    /// Which part of the data
    #[arg(long, value_enum, default_value_t = SplitName::Test)]
    split: SplitName,
    /// Also look at the mirror image of each: the mean of both logits counts
    #[arg(long)]
    flips: bool,
    /// Device memory for activations
    #[arg(long, value_name = "SIZE", default_value = "2GiB")]
    memory: Bytes,
    #[command(flatten)]
    pixels: PixelArgs,
    /// Write the confusion matrix as CSV: a row a class, a column for what its examples were taken for
    #[arg(long, value_name = "FILE")]
    confusion: Option<PathBuf>,
    /// Print JSON on stdout, with the metrics of each class
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
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
    /// Whether mirror images were looked at as well.
    flips: bool,
    data: String,
    data_sha256: String,
    model: String,
    parameters: usize,
    adapter: String,
    #[serde(flatten)]
    metrics: Metrics,
}

pub(super) fn run(args: &EvalArgs) -> anyhow::Result<()> {
    let OpenedWeights { mut weights, config, are_named } = trained::open(&args.run, &args.pixels.pixels())?;
    let data = open_data(args, &weights, config.as_ref())?;
    say_notes(&data);
    if !are_named && data.classes.len() == weights.model.classes && !data.has_classes(&weights.signature.classes) {
        say!("note: {} names no classes: its outputs are taken to be those of the data, in order", shown(&args.run));
        weights.signature.classes.clone_from(&data.classes);
    }
    let data = weights.matched(data)?;
    let Split { images, labels } = match args.split {
        SplitName::Train => &data.train,
        SplitName::Test => &data.test,
    };
    let gpu = args.device.open()?;
    let logits = Predictor::new(&gpu, &weights, args.memory.0, args.flips)?.logits(images)?;
    let confusion = Confusion::new(&logits, labels, data.classes.len());
    if let Some(path) = &args.confusion {
        write_confusion(path, &data.classes, &confusion)?;
    }
    let record = EvalRecord {
        accuracy: confusion.accuracy(),
        loss: mean_cross_entropy(&logits, labels, data.classes.len()),
        examples: labels.len(),
        flips: args.flips,
        metrics: Metrics::new(&logits, labels, &data.classes, &confusion),
        data: data.name,
        data_sha256: data.sha256,
        model: weights.model.name.clone(),
        parameters: weights.model.parameters(),
        adapter: gpu.info.name.clone(),
    };
    if args.json {
        show!("{}", serde_json::to_string(&record)?)?;
    } else {
        let with = if args.flips { ", each with its mirror image" } else { "" };
        show!("accuracy   {:.2}% of {} examples{with}", 100.0 * record.accuracy, record.examples)?;
        show!("loss       {:.4}", record.loss)?;
    }
    Ok(())
}

/// The data that were named, or else those of the run.
fn open_data(args: &EvalArgs, weights: &Weights, config: Option<&Config>) -> Result<Dataset> {
    let resize = args.resize.or(config.and_then(|config| config.resize));
    match (&args.data, config) {
        (Some(data), _) => {
            let options = ReadOptions {
                resize,
                skip_damaged: args.skip_damaged,
                channels: Some(weights.signature.input.channels).filter(|channels| [1, 3].contains(channels)),
                is_test_enough: args.split == SplitName::Test,
                ..ReadOptions::default()
            };
            open_given(data, options, config)
        }
        (None, Some(config)) => open_own(&args.run, config, args.resize),
        (None, None) => {
            let why = "a weights file does not say where data is; name it with --data";
            Err(Error::usage(format!("{}: {why}", shown(&args.run))))
        }
    }
}

fn write_confusion(path: &Path, classes: &[String], confusion: &Confusion) -> anyhow::Result<()> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["class"].into_iter().chain(classes.iter().map(String::as_str)))?;
    for (label, class) in classes.iter().enumerate() {
        let counts = (0..classes.len()).map(|other| confusion.count(label, other).to_string());
        writer.write_record([class.clone()].into_iter().chain(counts))?;
    }
    Ok(write_atomically(path, &writer.into_inner().expect("in memory"))?)
}
