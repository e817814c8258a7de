//! The rows of `predict`: CSV, JSON lines or text, written as they come.

use crate::error::{Error, Result, shown};
use crate::run::{Likely, likeliest};
use clap::ValueEnum;
use serde::Serialize;
use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// What a row looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum RowFormat {
    /// A header, then path, class and confidence, for --top K of these so many, and error
    Csv,
    /// A JSON document a line
    Json,
    /// For people
    Text,
}

/// Where rows go.
pub(super) struct Destination {
    path: PathBuf,
    writer: Box<dyn Write>,
}

impl Destination {
    /// A file, or stdout.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file.
    pub(super) fn open(file: &Option<PathBuf>) -> Result<Self> {
        match file {
            Some(path) => {
                let file = File::create(path).map_err(|e| Error::io("writing", path, e))?;
                Ok(Self { path: path.clone(), writer: Box::new(BufWriter::new(file)) })
            }
            None => Ok(Self { path: "standard output".into(), writer: Box::new(BufWriter::new(io::stdout())) }),
        }
    }
}

/// A class with its confidence, as JSON has it.
#[derive(Serialize)]
struct Named<'a> {
    class: &'a str,
    confidence: f64,
}

/// A row of JSON.
#[derive(Default, Serialize)]
struct RowOfJson<'a> {
    path: String,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    first: Option<Named<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    top: Vec<Named<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    flips: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

/// Writes rows.
pub(super) struct Rows<'a> {
    layout: RowFormat,
    /// Classes in a row.
    top: usize,
    flips: bool,
    classes: &'a [String],
    to: Destination,
    /// Whether nobody reads any more.
    is_closed: bool,
}

impl<'a> Rows<'a> {
    /// Of predictions with so many classes each, out of these.
    pub(super) fn new(
        layout: RowFormat,
        top: usize,
        flips: bool,
        classes: &'a [String],
        to: Destination,
    ) -> Result<Self> {
        let mut rows = Self { layout, top: top.min(classes.len()), flips, classes, to, is_closed: false };
        if layout == RowFormat::Csv {
            let mut header = vec!["path".to_owned(), "class".to_owned(), "confidence".to_owned()];
            header.extend((2..=rows.top).flat_map(|k| [format!("class_{k}"), format!("confidence_{k}")]));
            header.push("error".to_owned());
            rows.record(header.iter().map(|name| name.as_bytes().to_vec()))?;
        }
        Ok(rows)
    }

    /// What a picture with these logits is taken for.
    pub(super) fn prediction(&mut self, path: &Path, logits: &[f32]) -> Result<()> {
        let classes = self.classes;
        let likely = likeliest(logits, self.top);
        let named = |likely: &Likely| Named { class: &classes[likely.class], confidence: likely.confidence };
        match self.layout {
            RowFormat::Csv => {
                let fields = likely.iter().map(named).flat_map(|Named { class, confidence }| {
                    [class.as_bytes().to_vec(), format!("{confidence:.6}").into_bytes()]
                });
                let path = path.as_os_str().as_encoded_bytes().to_vec();
                self.record([path].into_iter().chain(fields).chain([Vec::new()]))
            }
            RowFormat::Json => {
                let top = if self.top > 1 { likely.iter().map(named).collect() } else { Vec::new() };
                let (first, flips) = (likely.first().map(named), self.flips.then_some(true));
                self.json(&RowOfJson { path: path.to_string_lossy().into_owned(), first, top, flips, error: None })
            }
            RowFormat::Text => {
                let each = likely.iter().map(named).map(|n| format!("{} {:.1}%", shown(n.class), 100.0 * n.confidence));
                let line = format!("{}: {}\n", shown(path), each.collect::<Vec<_>>().join(", "));
                self.write(line.as_bytes())
            }
        }
    }

    /// Why a picture is taken for nothing.
    pub(super) fn fault(&mut self, path: &Path, why: &str) -> Result<()> {
        match self.layout {
            RowFormat::Csv => {
                let empty = vec![Vec::new(); 2 * self.top];
                let path = path.as_os_str().as_encoded_bytes().to_vec();
                self.record([path].into_iter().chain(empty).chain([why.as_bytes().to_vec()]))
            }
            RowFormat::Json => {
                let path = path.to_string_lossy().into_owned();
                self.json(&RowOfJson { path, error: Some(why), ..RowOfJson::default() })
            }
            RowFormat::Text => self.write(format!("{}: error: {}\n", shown(path), shown(why)).as_bytes()),
        }
    }

    /// Lets a reader have what there is; whether there is one.
    pub(super) fn flush(&mut self) -> Result<bool> {
        let flushed = self.to.writer.flush();
        self.heed(flushed)?;
        Ok(!self.is_closed)
    }

    fn record(&mut self, fields: impl Iterator<Item = Vec<u8>>) -> Result<()> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let written = writer.write_record(fields);
        let line = writer.into_inner();
        self.write(&written.ok().and(line.ok()).expect("in memory"))
    }

    fn json(&mut self, document: &RowOfJson<'_>) -> Result<()> {
        let line = serde_json::to_string(document).expect("plain data");
        self.write(format!("{line}\n").as_bytes())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.to.writer.write_all(bytes);
        self.heed(written)
    }

    /// Who reads no more has seen enough, and that is no failure.
    fn heed(&mut self, written: io::Result<()>) -> Result<()> {
        match written {
            Err(e) if e.kind() == ErrorKind::BrokenPipe => self.is_closed = true,
            written => written.map_err(|e| Error::io("writing", &self.to.path, e))?,
        }
        Ok(())
    }
}
