//! A table of pictures: a CSV file with a column of paths, one of labels, and perhaps one that says which part a row is
//! for. Paths go from the table's folder.
//!
//! The classes are the labels of the rows for training, sorted: as numbers, where all are whole numbers.

use super::input::Input;
use super::listing::{Listed, named};
use super::notes::Note;
use super::parts::{Format, Parts, ReadOptions};
use super::pictures::{Noticed, OfClasses, collect};
use crate::error::{ImagesError, Result, TableError};
use csv::{ReaderBuilder, StringRecord, Trim};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use unicode_normalization::UnicodeNormalization;

/// What the columns may be called, in any case; the first that is there is taken.
const PATHS: [&str; 5] = ["path", "file", "filename", "file_name", "image"];
const LABELS: [&str; 2] = ["label", "class"];
const SPLIT: &str = "split";

/// A table of more bytes is something else.
const MOST: u64 = 1 << 28;

/// What a row is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RowPart {
    Training,
    Test,
    Validation,
}

struct TableRow {
    line: u64,
    picture: PathBuf,
    class: String,
    /// None where there is no such column.
    part: Option<RowPart>,
}

/// Reads the pictures that a table names.
pub(super) fn read(path: &Path, options: &ReadOptions) -> Result<Parts> {
    let rows = read_rows(path)?;
    let mut noticed = Noticed::default();
    let classes = divide(path, rows, options, &mut noticed)?;
    collect(path, Format::Table, classes, noticed, options)
}

fn read_rows(path: &Path) -> Result<Vec<TableRow>> {
    let mut input = Input::open(path)?;
    if input.bound() > MOST {
        return Err(TableError::Long { path: path.to_owned(), bytes: input.bound(), most: MOST }.into());
    }
    let bytes = input.bytes(input.bound(), "a table")?;
    // what spreadsheets write before UTF-8
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let syntax = |source| TableError::Syntax { path: path.to_owned(), source };
    let mut reader = ReaderBuilder::new().trim(Trim::All).from_reader(text);
    let header = reader.headers().map_err(syntax)?.clone();
    let [picture, label] = [column(path, &header, &PATHS)?, column(path, &header, &LABELS)?];
    let split = column(path, &header, &[SPLIT]).ok();
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(syntax)?;
        let line = record.position().map_or(0, csv::Position::line);
        let cell = |column: usize, expected| match record.get(column).unwrap_or_default() {
            "" => {
                let found = "an empty cell".to_owned();
                Err(TableError::Cell { path: path.to_owned(), line, expected, found })
            }
            text => Ok(text),
        };
        let part = split.map(|column| {
            let text = cell(column, "train, test or val")?;
            part_of(text).ok_or_else(|| TableError::Cell {
                path: path.to_owned(),
                line,
                expected: "train, test or val",
                found: text.to_owned(),
            })
        });
        rows.push(TableRow {
            line,
            picture: folder.join(cell(picture, "a path")?),
            class: cell(label, "a label")?.nfc().collect(),
            part: part.transpose()?,
        });
    }
    Ok(rows)
}

/// Where a column is.
fn column(path: &Path, header: &StringRecord, names: &'static [&'static str]) -> Result<usize> {
    let of_name = |name: &&str| header.iter().position(|found| found.eq_ignore_ascii_case(name));
    names.iter().find_map(of_name).ok_or_else(|| {
        let found = header.iter().map(str::to_owned).collect();
        TableError::Column { path: path.to_owned(), names, found }.into()
    })
}

fn part_of(text: &str) -> Option<RowPart> {
    match text.to_ascii_lowercase().as_str() {
        "train" | "training" => Some(RowPart::Training),
        "test" | "testing" => Some(RowPart::Test),
        "val" | "valid" | "validation" | "dev" => Some(RowPart::Validation),
        _ => None,
    }
}

/// The pictures of each class, in training and test.
fn divide(path: &Path, rows: Vec<TableRow>, options: &ReadOptions, noticed: &mut Noticed) -> Result<OfClasses> {
    let holds = |part: RowPart| rows.iter().any(|row| row.part == Some(part));
    let test = if holds(RowPart::Test) { RowPart::Test } else { RowPart::Validation };
    let unused = rows.iter().filter(|row| row.part == Some(RowPart::Validation)).count();
    if test == RowPart::Test && unused > 0 {
        noticed.notes.push(Note::UnusedRows { count: unused });
    }
    let has_test = holds(test);
    if has_test && options.test.is_some() {
        return Err(ImagesError::TwoTests { path: path.to_owned() }.into());
    }
    // without a column a test part is all there is, unless it is to be taken out
    let is_all_test = options.is_test_enough && options.test.is_none() && rows.iter().all(|row| row.part.is_none());
    let (mut trained, mut tested) = (Vec::new(), Vec::new());
    for row in rows {
        match row.part {
            None if is_all_test => tested.push(row),
            None | Some(RowPart::Training) => trained.push(row),
            Some(part) if part == test => tested.push(row),
            Some(_) => {}
        }
    }
    let none = |part| Err(TableError::NoRow { path: path.to_owned(), part }.into());
    if trained.is_empty() && (tested.is_empty() || !options.is_test_enough) {
        return none("training");
    }
    if tested.is_empty() && options.test.is_none() {
        return none("testing");
    }
    let names = classes(if trained.is_empty() { &tested } else { &trained });
    let places: HashMap<&str, usize> = names.iter().map(String::as_str).zip(0..).collect();
    let stray = tested.iter().find(|row| !places.contains_key(row.class.as_str()));
    if let Some(TableRow { line, class, .. }) = stray {
        let (path, line, class) = (path.to_owned(), *line, class.clone());
        return Err(TableError::Untrained { path, line, class }.into());
    }
    let [mut train, mut test] = [trained, tested].map(|rows| {
        let mut of_classes: Vec<Vec<Listed>> = names.iter().map(|_| Vec::new()).collect();
        for row in rows {
            if let Some(class) = places.get(row.class.as_str()) {
                of_classes[*class].push(named(row.picture));
            }
        }
        of_classes
    });
    if let Some(share) = &options.test {
        test = (0..).zip(&mut train).map(|(class, files)| share.take(class, files)).collect();
    }
    Ok((names, [train, test]))
}

/// Their classes, sorted.
fn classes(rows: &[TableRow]) -> Vec<String> {
    let mut names: Vec<String> = rows.iter().map(|row| row.class.clone()).collect();
    names.sort_unstable();
    names.dedup();
    if names.iter().all(|name| name.parse::<u32>().is_ok()) {
        names.sort_by_key(|name| name.parse::<u32>().unwrap_or(0));
    }
    names
}
