//! `gpu-subset predict`

use super::device::DeviceArgs;
use super::output::say;
use super::predictions::{Destination, RowFormat, Rows};
use super::reading::PixelArgs;
use super::trained::{self, OpenedWeights};
use super::values::Bytes;
use crate::data::pictures_in;
use crate::error::{Error, ImagesError, Result, SetError, in_one_line, shown};
use crate::run::Predictor;
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, BufRead, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[derive(Args)]
pub(super) struct PredictArgs {
    /// Run folder, or a file of weights: safetensors of this program, or an ONNX model
    #[arg(value_name = "RUN|WEIGHTS")]
    run: PathBuf,
    /// Pictures, folders of pictures, however deep, and - for paths from stdin, one a line
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// What a row looks like
    #[arg(long, value_enum, default_value_t = RowFormat::Csv)]
    format: RowFormat,
    /// Name the K likeliest classes of each picture
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    top: u64,
    /// Also look at each picture's mirror image: the mean of both logits counts
    #[arg(long)]
    flips: bool,
    #[command(flatten)]
    pixels: PixelArgs,
    /// File for the rows, in place of stdout
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Device memory for activations
    #[arg(long, value_name = "SIZE", default_value = "512MiB")]
    memory: Bytes,
    #[command(flatten)]
    device: DeviceArgs,
}

pub(super) fn run(args: &PredictArgs) -> anyhow::Result<()> {
    let OpenedWeights { weights, .. } = trained::open(&args.run, &args.pixels.pixels())?;
    let (paths, total) = listed(args.paths.clone());
    let gpu = args.device.open()?;
    let mut predictor = Predictor::new(&gpu, &weights, args.memory.0, args.flips)?;
    let classes = predictor.classes().to_vec();
    let (mut done, mut failed) = (0, 0);
    let mut rows = Rows::new(args.format, args.top as usize, args.flips, &classes, Destination::open(&args.output)?)?;
    let mut watcher = Tally::new(total, args.output.is_some());
    let mut batch = Vec::new();
    let mut paths = paths.fuse();
    loop {
        let next = paths.next().transpose()?;
        let is_last = next.is_none();
        batch.extend(next);
        if batch.len() < predictor.batch() && !is_last {
            continue;
        }
        for (path, logits) in batch.iter().zip(predictor.of_files(&batch)?) {
            match logits {
                Ok(logits) => rows.prediction(path, &logits)?,
                Err(why) => {
                    failed += 1;
                    let why = in_one_line(&why);
                    // a row names its file once
                    rows.fault(path, why.strip_prefix(&format!("{}: ", shown(path))).unwrap_or(&why))?;
                }
            }
        }
        done += batch.len();
        watcher.at(done);
        // who reads no more has seen enough
        if !rows.flush()? || is_last {
            break;
        }
        batch.clear();
    }
    watcher.finish(done, args.flips);
    if let Some(other) = predictor.other_range() {
        say!("note: {other}; what they are taken for may mean little");
    }
    if failed > 0 {
        return Err(Error::from(SetError::from(ImagesError::Unread { count: failed, of: done })).into());
    }
    Ok(())
}

/// What is to be looked at, in order.
type Paths = Box<dyn Iterator<Item = Result<PathBuf>>>;

/// The paths with folders as what is in them, and how many these are, unless stdin says.
fn listed(named: Vec<PathBuf>) -> (Paths, Option<usize>) {
    let is_stdin = |path: &PathBuf| path.as_os_str() == "-";
    if named.iter().any(is_stdin) {
        let each = named.into_iter().flat_map(move |path| -> Paths {
            if is_stdin(&path) { Box::new(lines()) } else { Box::new(within(path).into_iter().map(Ok)) }
        });
        return (Box::new(each), None);
    }
    let all: Vec<PathBuf> = named.into_iter().flat_map(within).collect();
    let total = all.len();
    (Box::new(all.into_iter().map(Ok)), Some(total))
}

/// A path, or where it is a folder the pictures in it. One that cannot be listed is a row like a picture that cannot be
/// read.
fn within(path: PathBuf) -> Vec<PathBuf> {
    if !path.is_dir() {
        return vec![path];
    }
    match pictures_in(&path) {
        Ok((found, note)) => {
            if let Some(note) = note {
                say!("note: {}: {note}", shown(&path));
            }
            if found.is_empty() {
                say!("note: {}: no pictures in this folder", shown(&path));
            }
            found
        }
        Err(why) => {
            say!("note: {}", in_one_line(&why));
            vec![path]
        }
    }
}

/// The paths that stdin names, one a line.
fn lines() -> impl Iterator<Item = Result<PathBuf>> {
    let mut stdin = io::stdin().lock();
    let next = move || -> Option<Result<PathBuf>> {
        let mut line = Vec::new();
        match stdin.read_until(b'\n', &mut line) {
            Ok(0) => None,
            Ok(_) => Some(Ok(path_of(line.trim_ascii_end()))),
            Err(source) => Some(Err(Error::unreadable(Path::new("standard input"), source))),
        }
    };
    let is_named = |path: &Result<PathBuf>| path.as_ref().map_or(true, |path| !path.as_os_str().is_empty());
    std::iter::from_fn(next).filter(is_named).flat_map(|path| match path {
        Ok(path) => within(path).into_iter().map(Ok).collect(),
        Err(why) => vec![Err(why)],
    })
}

#[cfg(unix)]
fn path_of(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    std::ffi::OsStr::from_bytes(bytes).into()
}

#[cfg(not(unix))]
fn path_of(bytes: &[u8]) -> PathBuf {
    String::from_utf8_lossy(bytes).into_owned().into()
}

/// How far it is, on stderr.
struct Tally {
    bar: ProgressBar,
    total: Option<usize>,
    start: Instant,
    last_line: Instant,
}

impl Tally {
    /// A bar would be in the way of rows on a terminal.
    fn new(total: Option<usize>, is_file: bool) -> Self {
        let target = ProgressDrawTarget::stderr();
        let bar = ProgressBar::with_draw_target(total.map(|total| total as u64), target);
        let style = ProgressStyle::with_template("{bar:24} {percent:>3}% {pos} pictures, {per_sec}, eta {eta}");
        bar.set_style(style.expect("a constant template"));
        if io::stdout().is_terminal() && !is_file {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        Self { bar, total, start: Instant::now(), last_line: Instant::now() }
    }

    fn at(&mut self, done: usize) {
        self.bar.set_position(done as u64);
        let is_over = self.total == Some(done);
        if self.bar.is_hidden() && !is_over && self.last_line.elapsed() >= Duration::from_secs(2) {
            self.last_line = Instant::now();
            match self.total {
                Some(total) => {
                    let left = self.start.elapsed().as_secs_f64() * (total as f64 / done as f64 - 1.0);
                    say!("{done} of {total} pictures, about {left:.0} s left");
                }
                None => say!("{done} pictures"),
            }
        }
    }

    fn finish(&self, done: usize, flips: bool) {
        self.bar.finish_and_clear();
        let with = if flips { ", each with its mirror image" } else { "" };
        let pictures = if done == 1 { "picture" } else { "pictures" };
        say!("{done} {pictures}{with} in {:.1} s", self.start.elapsed().as_secs_f64());
    }
}
