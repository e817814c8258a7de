//! Telling what a folder or a file holds.

use super::archive::{stem, unpack};
use super::cifar::{self, CIFAR_10, CIFAR_100};
use super::cifar_python::{PYTHON_10, PYTHON_10_FOLDER, PYTHON_100, PYTHON_100_FOLDER, PythonLayout};
use super::input::list;
use super::listing::holds_pictures;
use super::parts::{Parts, ReadOptions};
use super::picture::has_extension;
use super::{idx, image_folder, numpy, table};
use crate::error::{DataError, Error, Instead, Result, SetError, TableError, Unpacked, shown};
use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

const LAYOUTS: &str = "understood are IDX (train-images-idx3-ubyte, train-labels-idx1-ubyte, \
    t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte, also .gz, and QMNIST's), CIFAR-10 and CIFAR-100, binary \
    (data_batch_1.bin to data_batch_5.bin, test_batch.bin; train.bin, test.bin) or for Python, NumPy arrays (a .npz \
    file, or .npy files: train_images, train_labels, test_images, test_labels, or x_train, y_train, x_test, y_test), \
    an image folder (train/CLASS/*.png, test/CLASS/*.png), a table (a .csv file with the columns path and label, \
    perhaps split), an archive of one of these (.zip, .tar, .tar.gz, .tgz), and the word digits for the built-in set";

/// How far below a folder of a class pictures are looked for, before it is known to be one.
const DEEP: usize = 2;

/// One data set that was found.
enum FoundSet {
    Idx { prefix: String, files: idx::Files },
    Cifar(&'static cifar::Layout, PathBuf),
    CifarPython(&'static PythonLayout, PathBuf),
    Numpy(Box<numpy::NumpyArrays>),
    ImageFolder(image_folder::Folders),
}

/// Reads the data set at `path` and gives it a name.
pub(super) fn read(path: &Path, options: &ReadOptions) -> Result<(String, Parts)> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() && stem(path).is_some() => read_archive(path, Path::new(""), options),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            let mut within = path.ancestors().skip(1);
            match within.find(|outer| stem(outer).is_some() && outer.is_file()) {
                Some(archive) => read_archive(archive, path.strip_prefix(archive).unwrap_or(Path::new("")), options),
                None => read_unpacked(path, options),
            }
        }
        _ => read_unpacked(path, options),
    }
}

/// What is no archive: a folder, a file, or a folder and the prefix of one of its IDX sets.
fn read_unpacked(path: &Path, options: &ReadOptions) -> Result<(String, Parts)> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => read_folder(path, options),
        Ok(_) if has_extension(path, &["npz"]) => FoundSet::Numpy(Box::new(numpy::of_file(path)?)).read(path, options),
        Ok(_) if has_extension(path, &["csv"]) => Ok((file_name(path.file_stem()), table::read(path, options)?)),
        Ok(_) => Err(unrecognised(path, Instead::File)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            read_prefix(path, options)
        }
        Err(source) => Err(Error::unreadable(path, source)),
    }
}

fn read_folder(path: &Path, options: &ReadOptions) -> Result<(String, Parts)> {
    let paths = list(path)?;
    match search(path, &paths, options).as_slice() {
        [] => Err(numpy::fault(&paths).unwrap_or_else(|| unrecognised(path, look(&paths)))),
        [only] => only.read(path, options),
        several => {
            let sets = several.iter().map(|set| set.describe(path)).collect();
            Err(SetError::Several { path: path.to_owned(), sets }.into())
        }
    }
}

/// What an archive holds, or a path inside of it. It is unpacked into a folder that is gone afterwards.
fn read_archive(archive: &Path, inside: &Path, options: &ReadOptions) -> Result<(String, Parts)> {
    let temporary = tempfile::tempdir().map_err(|e| Error::io("creating", &std::env::temp_dir(), e))?;
    let folder = temporary.path();
    unpack(archive, folder)?;
    let is_whole = inside.as_os_str().is_empty();
    let place = if is_whole { innermost(folder)? } else { folder.join(inside) };
    // a folder beside a table is that of its pictures, and no class
    let is_set = place.is_dir() && !search(&place, &list(&place)?, &ReadOptions::default()).is_empty();
    let table = table_in(&place).filter(|_| !is_set);
    let read = match table.map(|table| read_unpacked(&table, options)) {
        Some(read) if !is_no_table(&read) => read,
        _ => read_unpacked(&place, options),
    };
    match read {
        Ok((name, mut parts)) => {
            let is_of_folder = is_whole && name == folder_name(&place);
            let name = if is_of_folder { stem(archive).unwrap_or_default().to_owned() } else { name };
            parts.notes = parts.notes.into_iter().map(|note| note.moved(folder, archive)).collect();
            Ok((name, parts))
        }
        Err(cause @ Error::Data(_)) => {
            let (cause, folder, archive) = (Box::new(cause), folder.to_owned(), archive.to_owned());
            Err(SetError::from(Unpacked { cause, folder, archive }).into())
        }
        Err(other) => Err(other),
    }
}

/// The only folder of the only folder …, as archives have it, or the only file.
fn innermost(folder: &Path) -> Result<PathBuf> {
    let mut place = folder.to_owned();
    while place.is_dir() {
        match &list(&place)?[..] {
            [only] if !image_folder::is_part(only) => place = only.clone(),
            _ => break,
        }
    }
    Ok(place)
}

/// The only table of a folder.
fn table_in(folder: &Path) -> Option<PathBuf> {
    let mut tables = list(folder).ok()?.into_iter().filter(|path| has_extension(path, &["csv"]) && path.is_file());
    tables.next().filter(|_| tables.next().is_none())
}

/// Whether a CSV file has no columns of pictures and labels.
fn is_no_table(read: &Result<(String, Parts)>) -> bool {
    let column =
        |error: &Error| matches!(error, Error::Data(DataError::Set(SetError::Table(TableError::Column { .. }))));
    read.as_ref().err().is_some_and(column)
}

fn search(dir: &Path, paths: &[PathBuf], options: &ReadOptions) -> Vec<FoundSet> {
    let mut found = Vec::new();
    for (prefix, files) in idx::find(paths) {
        found.push(FoundSet::Idx { prefix, files });
    }
    for (layout, subfolder) in [(&CIFAR_10, cifar::CIFAR_10_FOLDER), (&CIFAR_100, cifar::CIFAR_100_FOLDER)] {
        for place in [dir.to_owned(), dir.join(subfolder)] {
            if layout.is_in(&place) {
                found.push(FoundSet::Cifar(layout, place));
            }
        }
    }
    for (layout, subfolder) in [(&PYTHON_10, PYTHON_10_FOLDER), (&PYTHON_100, PYTHON_100_FOLDER)] {
        let places = [dir.to_owned(), dir.join(subfolder)].into_iter().filter(|place| layout.is_in(place));
        found.extend(places.map(|place| FoundSet::CifarPython(layout, place)));
    }
    found.extend(numpy::find(dir, paths).into_iter().map(|arrays| FoundSet::Numpy(Box::new(arrays))));
    found.extend(image_folder::find(paths, options).map(FoundSet::ImageFolder));
    let takes_classes = options.test.is_some() || options.is_test_enough;
    if found.is_empty() && takes_classes && matches!(look(paths), Instead::Undivided) {
        found.push(FoundSet::ImageFolder(image_folder::Folders::Classes));
    }
    found
}

impl FoundSet {
    fn read(&self, dir: &Path, options: &ReadOptions) -> Result<(String, Parts)> {
        let parts = match self {
            Self::Idx { prefix, files } => idx::read(dir, prefix, files, options.is_test_enough)?,
            Self::Cifar(layout, place) => layout.read(place, options.is_test_enough)?,
            Self::CifarPython(layout, place) => layout.read(place, options.is_test_enough)?,
            Self::Numpy(arrays) => arrays.read(options.is_test_enough)?,
            Self::ImageFolder(layout) => image_folder::read(dir, layout, options)?,
        };
        let name = match self {
            Self::Idx { prefix, .. } if !prefix.is_empty() => prefix.clone(),
            Self::Numpy(arrays) if arrays.name.is_some() => arrays.name.clone().unwrap_or_default(),
            _ => folder_name(dir),
        };
        Ok((name, parts))
    }

    fn describe(&self, dir: &Path) -> String {
        match self {
            Self::Idx { prefix, .. } if prefix.is_empty() => "the IDX set without a prefix".to_owned(),
            Self::Idx { prefix, .. } => shown(dir.join(prefix)),
            Self::Cifar(_, place) | Self::CifarPython(_, place) => shown(place),
            Self::Numpy(arrays) => shown(&arrays.place),
            Self::ImageFolder(_) => format!("image folders of {}", shown(dir)),
        }
    }
}

/// A path that does not exist may be a folder and the prefix of one of its IDX sets.
fn read_prefix(path: &Path, options: &ReadOptions) -> Result<(String, Parts)> {
    // `Path::parent` of a bare name is the empty path.
    let parent = path.parent().map(|parent| if parent.as_os_str().is_empty() { Path::new(".") } else { parent });
    let prefix = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().trim_end_matches('-');
    let Some(parent) = parent.filter(|parent| parent.is_dir()) else {
        return Err(unrecognised(path, Instead::Nothing));
    };
    let mut sets = idx::find(&list(parent)?);
    sets.remove("");
    if let Some(files) = sets.remove(prefix) {
        return Ok((prefix.to_owned(), idx::read(parent, prefix, &files, options.is_test_enough)?));
    }
    if sets.is_empty() {
        return Err(unrecognised(path, Instead::Nothing));
    }
    let sets = sets.keys().map(|prefix| shown(parent.join(prefix))).collect();
    Err(SetError::NoSuchPrefix { path: path.to_owned(), sets }.into())
}

fn unrecognised(path: &Path, found: Instead) -> Error {
    SetError::Unrecognised { path: path.to_owned(), found, layouts: LAYOUTS }.into()
}

/// What a folder of such entries holds, which is no data set.
fn look(paths: &[PathBuf]) -> Instead {
    let is_class = |path: &PathBuf| path.is_dir() && !image_folder::is_test_part(path) && holds_pictures(path, DEEP);
    if paths.is_empty() {
        Instead::Empty
    } else if paths.iter().any(is_class) {
        Instead::Undivided
    } else {
        Instead::Other
    }
}

fn folder_name(dir: &Path) -> String {
    let name = dir.canonicalize().ok().and_then(|path| path.file_name().map(shown));
    name.unwrap_or_else(|| shown(dir))
}

fn file_name(name: Option<&OsStr>) -> String {
    name.map(shown).unwrap_or_default()
}
