//! `gpu-subset data info`

use super::output::{say, show};
use super::reading::{ReadArgs, say_notes};
use super::sheet;
use crate::data::{Dataset, ReadOptions, Split};
use crate::error::shown;
use crate::files::write_atomically;
use crate::values::ValueKind;
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;

/// Channels whose mean and deviation are printed, at most.
const MOST_SHOWN: usize = 8;

/// What one divides bytes by to have pixels from 0 to 1.
const WHITE: f64 = 255.0;

#[derive(Args)]
pub(super) struct InfoArgs {
    /// Data set, as --data of `train` takes it. A test part alone will do: DIR/CLASS/*.png
    #[arg(value_name = "digits|PATH")]
    data: String,
    #[command(flatten)]
    read: ReadArgs,
    /// Print JSON on stdout
    #[arg(long)]
    json: bool,
    /// Write a PNG with some examples of each class, a row a class in the order of the list, 100 rows at most
    #[arg(long, value_name = "FILE")]
    sheet: Option<PathBuf>,
}

/// What `--json` prints.
#[derive(Serialize)]
struct InfoRecord<'a> {
    name: &'a str,
    source: &'a str,
    format: String,
    /// Channels, height, width.
    shape: [usize; 3],
    train: usize,
    test: usize,
    classes: Vec<ClassRecord<'a>>,
    /// What an example is made of.
    values: ValueKind,
    /// Of each channel, of pixels from 0 to 1 where they are bytes, in the training images, or the test images where
    /// there are no others.
    mean: Vec<f64>,
    deviation: Vec<f64>,
    sha256: &'a str,
    /// Bytes that images and labels take in memory.
    memory_bytes: usize,
    notes: Vec<String>,
}

/// Examples of a class.
#[derive(Serialize)]
struct ClassRecord<'a> {
    name: &'a str,
    train: usize,
    test: usize,
}

pub(super) fn run(args: &InfoArgs) -> anyhow::Result<()> {
    let options = args.read.options();
    let options = ReadOptions { is_test_enough: options.test.is_none(), ..options };
    let data = Dataset::open(&args.data, &options)?;
    say_notes(&data);
    let record = record(&data, &statistics(&data));
    if args.json {
        show!("{}", serde_json::to_string(&record).expect("an inventory is plain data"))?;
    } else {
        print(&record, &data)?;
    }
    if let Some(path) = &args.sheet {
        write_atomically(path, &sheet::png(&data)?)?;
        let rows = data.classes.len().min(sheet::MOST_ROWS);
        say!("{}: {rows} rows, one a class in the order of the list", path.display());
    }
    Ok(())
}

/// Mean and deviation of each channel, of bytes from 0 to 1.
fn statistics(data: &Dataset) -> Vec<(f64, f64)> {
    let unit = if data.value_kind() == ValueKind::Bytes { WHITE } else { 1.0 };
    data.channel_statistics().into_iter().map(|(mean, deviation)| (mean / unit, deviation / unit)).collect()
}

fn record<'a>(data: &'a Dataset, statistics: &[(f64, f64)]) -> InfoRecord<'a> {
    let counts = |split: &Split| {
        let mut counts = vec![0; data.classes.len()];
        split.labels.iter().for_each(|&label| counts[label as usize] += 1);
        counts
    };
    let counted = counts(&data.train).into_iter().zip(counts(&data.test));
    let classes = data.classes.iter().zip(counted).map(|(name, (train, test))| ClassRecord { name, train, test });
    let images = |split: &Split| split.images.len() * split.images.kind().size();
    let memory = |split: &Split| images(split) + size_of_val(&split.labels[..]);
    InfoRecord {
        name: &data.name,
        source: &data.source,
        format: data.format.to_string(),
        shape: [data.shape.channels, data.shape.height, data.shape.width],
        train: data.train.len(),
        test: data.test.len(),
        classes: classes.collect(),
        values: data.value_kind(),
        mean: statistics.iter().map(|(mean, _)| *mean).collect(),
        deviation: statistics.iter().map(|(_, deviation)| *deviation).collect(),
        sha256: &data.sha256,
        memory_bytes: memory(&data.train) + memory(&data.test),
        notes: data.notes.iter().map(ToString::to_string).collect(),
    }
}

fn print(record: &InfoRecord<'_>, data: &Dataset) -> anyhow::Result<()> {
    let each = |values: &[f64]| {
        let more = if values.len() > MOST_SHOWN { "  …" } else { "" };
        let shown = values.iter().take(MOST_SHOWN).map(|value| format!("{value:.4}"));
        shown.collect::<Vec<_>>().join("  ") + more
    };
    let unit = if record.values == ValueKind::Bytes { ", from 0 to 1" } else { "" };
    let of = if record.train > 0 { "training" } else { "test" };
    show!("data       {} ({})", shown(record.name), record.format)?;
    show!(
        "images     {} of {}, {} for training and {} for testing",
        record.values,
        data.shape,
        record.train,
        record.test
    )?;
    show!("mean       {}   of each channel of the {of} images{unit}", each(&record.mean))?;
    show!("deviation  {}", each(&record.deviation))?;
    show!("memory     {:.1} MiB", record.memory_bytes as f64 / f64::from(1 << 20))?;
    show!("SHA-256    {}", record.sha256)?;
    show!("")?;
    let names: Vec<String> = record.classes.iter().map(|class| shown(class.name)).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max("class".len());
    show!("     {:width$}  training     test", "class")?;
    for (i, (name, class)) in names.iter().zip(&record.classes).enumerate() {
        show!("{i:>4} {name:width$}  {:>8} {:>8}", class.train, class.test)?;
    }
    Ok(())
}
