//! The pictures of some classes as a data set, whoever named them: folders or a table.

use super::collector::{Collector, Pictures};
use super::listing::Listed;
use super::notes::{Counted, Note};
use super::parts::{Format, Parts, ReadOptions, Split};
use super::picture::EXTENSIONS;
use crate::error::{ImagesError, Result};
use crate::shape::Shape;
use std::path::{Path, PathBuf};

/// Names of classes, and the files of each in training and test.
pub(super) type OfClasses = (Vec<String>, [Vec<Vec<Listed>>; 2]);

/// What is worth a line before any picture is read: notes, and files that were passed over.
#[derive(Default)]
pub(super) struct Noticed {
    pub(super) notes: Vec<Note>,
    pub(super) passed_over: Counted<PathBuf>,
}

/// Reads pictures that a folder or a table names, resampling each if the options say so.
pub(super) fn collect(
    source: &Path,
    format: Format,
    (classes, [train, test]): OfClasses,
    Noticed { mut notes, passed_over }: Noticed,
    options: &ReadOptions,
) -> Result<Parts> {
    let none = || ImagesError::NoImages { path: source.to_owned(), extensions: &EXTENSIONS };
    let mut collector = Collector::new(options);
    let [train, test] = [collector.read_split(&train)?, collector.read_split(&test)?];
    let size = collector.size();
    notes.extend(collector.finish(options.skip_damaged)?);
    let Some((height, width)) = size else { return Err(none().into()) };
    notes.extend(untested(&train, &test, &classes));
    notes.extend(passed_over.note(|count, first| Note::PassedOver { count, first }));
    let shape = Shape::new(if train.colour || test.colour { 3 } else { 1 }, height, width);
    let (train, test): (Split, Split) = (train.finish(&shape)?, test.finish(&shape)?);
    let is_test_empty = test.is_empty() && !classes.is_empty();
    if is_test_empty || train.is_empty() && !options.is_test_enough {
        return Err(none().into());
    }
    Ok(Parts { format, shape, classes, train, test, notes })
}

/// Classes that are trained on and not tested.
fn untested(train: &Pictures, test: &Pictures, names: &[String]) -> Option<Note> {
    let [trained, tested] = [train, test].map(|part| part.counts(names.len()));
    let mut untested = Counted::default();
    for (_, name) in names.iter().enumerate().filter(|(i, _)| trained[*i] > 0 && tested[*i] == 0) {
        untested.add(|| name.clone());
    }
    untested.note(|count, first| Note::Untested { count, first })
}
