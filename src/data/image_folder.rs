//! Folders of image files: `train/CLASS/*.png` and `test/CLASS/*.png` (or `val/`, `valid/`), also jpg, bmp, gif, pgm,
//! ppm, pbm, webp and tiff, and folders inside those of the classes.
//!
//! The classes are the folders of `train/`, sorted by name. Images stay grey, with one channel, if the files of all of
//! them store grey; otherwise all become RGB. Each is [as a viewer shows it](super::picture). Hidden files are passed
//! over; of other files that are no pictures one is named, with their number, unless their names say so.

use super::divide::TestShare;
use super::listing::{Classes, Listed, classes, pictures, renamed};
use super::notes::{Counted, Note};
use super::parts::{Format, Parts, ReadOptions};
use super::picture::EXTENSIONS;
use super::pictures::{Noticed, OfClasses, collect};
use crate::error::{ImagesError, Result};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

const TRAIN: [&str; 2] = ["train", "training"];
const TEST: [&str; 6] = ["test", "testing", "val", "valid", "validation", "dev"];

/// How an image folder is laid out.
pub(super) enum Folders {
    /// Two folders, and others that are no part of it; or one of the two.
    Parts { train: Option<PathBuf>, test: Option<PathBuf>, unused: Vec<PathBuf> },
    /// Folders of classes alone.
    Classes,
}

/// How `dir`, which holds these, is laid out as an image folder, if it is.
pub(super) fn find(paths: &[PathBuf], options: &ReadOptions) -> Option<Folders> {
    let folder = |names: &[&str]| -> Vec<PathBuf> {
        let of_name =
            |name: &&str| paths.iter().filter(|path| is_called(path, name) && path.is_dir()).cloned().collect();
        names.iter().flat_map(|name| -> Vec<_> { of_name(name) }).collect()
    };
    let (mut train, mut tests) = (folder(&TRAIN), folder(&TEST));
    let rest = |folders: &mut Vec<PathBuf>| if folders.is_empty() { Vec::new() } else { folders.split_off(1) };
    let unused = [rest(&mut train), rest(&mut tests)].concat();
    let (train, test) = (train.pop(), tests.pop());
    let is_laid_out = train.is_some() || options.is_test_enough && test.is_some();
    is_laid_out.then_some(Folders::Parts { train, test, unused })
}

fn is_called(path: &Path, name: &str) -> bool {
    path.file_name().and_then(OsStr::to_str).is_some_and(|found| found.eq_ignore_ascii_case(name))
}

/// Whether a folder is called like a part of an image folder.
pub(super) fn is_part(path: &Path) -> bool {
    TRAIN.iter().any(|name| is_called(path, name)) || is_test_part(path)
}

/// Whether a folder is called like a test part, and so is none of a class.
pub(super) fn is_test_part(path: &Path) -> bool {
    TEST.iter().any(|name| is_called(path, name))
}

/// Reads the image folder `dir`, resampling each image if the options say so.
pub(super) fn read(dir: &Path, layout: &Folders, options: &ReadOptions) -> Result<Parts> {
    let mut passed_over = Counted::default();
    let mut notes = Vec::new();
    let of_classes = match layout {
        Folders::Parts { train: Some(train), test: Some(test), unused } => {
            if options.test.is_some() {
                return fault(ImagesError::TwoTests { path: test.clone() });
            }
            notes.extend(unused.iter().map(|path| Note::UnusedPart { path: path.clone(), test: test.clone() }));
            both(train, test, &mut passed_over)?
        }
        Folders::Parts { train: None, test: Some(test), .. } => test_alone(test, &mut passed_over)?,
        Folders::Parts { train: Some(train), .. } => match &options.test {
            Some(share) => divided(train, share, &mut passed_over)?,
            None => return fault(ImagesError::NoTest { path: dir.to_owned() }),
        },
        _ => match &options.test {
            Some(share) => divided(dir, share, &mut passed_over)?,
            None => test_alone(dir, &mut passed_over)?,
        },
    };
    collect(dir, Format::ImageFolder, of_classes, Noticed { notes, passed_over }, options)
}

fn fault<T>(cause: ImagesError) -> Result<T> {
    Err(cause.into())
}

/// Of a training and a test folder. A class may lack test pictures; what is not trained on cannot be tested.
fn both(train_dir: &Path, test_dir: &Path, passed_over: &mut Counted<PathBuf>) -> Result<OfClasses> {
    let train = classes(train_dir, passed_over)?;
    let test = renamed(classes(test_dir, passed_over)?, &train);
    if let Some((name, folders)) = test.iter().find(|(name, _)| !train.contains_key(*name)) {
        let missing = train.iter().find(|(name, _)| !test.contains_key(*name));
        // the same class may be called differently: that of the other part is the one to tell
        return fault(match missing {
            Some((name, folders)) => {
                ImagesError::MissingClass { path: test_dir.join(name), counterpart: folders[0].clone() }
            }
            None => ImagesError::MissingClass { path: train_dir.join(name), counterpart: folders[0].clone() },
        });
    }
    let (names, of_train) = files_of(train, train_dir, passed_over)?;
    let mut of_test = Vec::new();
    for name in &names {
        of_test.push(pictures(test.get(name).map_or(&[], Vec::as_slice), passed_over)?);
    }
    Ok((names, [of_train, of_test]))
}

/// Of one folder, of which a part is for testing.
fn divided(dir: &Path, share: &TestShare, passed_over: &mut Counted<PathBuf>) -> Result<OfClasses> {
    let (names, mut train) = files_of(classes(dir, passed_over)?, dir, passed_over)?;
    let test = (0..).zip(&mut train).map(|(class, files)| share.take(class, files)).collect();
    Ok((names, [train, test]))
}

fn test_alone(dir: &Path, passed_over: &mut Counted<PathBuf>) -> Result<OfClasses> {
    let (names, test) = files_of(classes(dir, passed_over)?, dir, passed_over)?;
    Ok((names, [Vec::new(), test]))
}

/// The files of each class, of which there are some.
fn files_of(
    classes: Classes,
    dir: &Path,
    passed_over: &mut Counted<PathBuf>,
) -> Result<(Vec<String>, Vec<Vec<Listed>>)> {
    if classes.is_empty() {
        return fault(ImagesError::NoClasses { path: dir.to_owned() });
    }
    let (mut names, mut files) = (Vec::new(), Vec::new());
    for (name, folders) in classes {
        let found = pictures(&folders, passed_over)?;
        if found.is_empty() {
            return fault(ImagesError::NoImages { path: folders[0].clone(), extensions: &EXTENSIONS });
        }
        names.push(name);
        files.push(found);
    }
    Ok((names, files))
}
