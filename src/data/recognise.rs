//! Telling what a folder holds.

use super::cifar::{self, CIFAR_10, CIFAR_100};
use super::input::list;
use super::listing::holds_pictures;
use super::parts::{Parts, ReadOptions};
use super::{idx, image_folder};
use crate::error::{Error, Instead, Result, SetError, shown};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

const LAYOUTS: &str = "understood are IDX (train-images-idx3-ubyte, train-labels-idx1-ubyte, \
    t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte, also .gz), CIFAR-10 binary (data_batch_1.bin to \
    data_batch_5.bin, test_batch.bin), CIFAR-100 binary (train.bin, test.bin), an image folder \
    (train/CLASS/*.png, test/CLASS/*.png), and the word digits for the built-in set";

/// How far below a folder of a class pictures are looked for, before it is known to be one.
const DEEP: usize = 2;

/// One data set that was found.
enum FoundSet {
    Idx { prefix: String, files: idx::Files },
    Cifar(&'static cifar::Layout, PathBuf),
    ImageFolder(image_folder::Folders),
}

/// Reads the data set at `path` and gives it a name.
pub(super) fn read(path: &Path, options: &ReadOptions) -> Result<(String, Parts)> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => return Err(unrecognised(path, Instead::File)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return read_prefix(path, options);
        }
        Err(source) => return Err(Error::unreadable(path, source)),
    }
    let paths = list(path)?;
    match search(path, &paths, options).as_slice() {
        [] => Err(unrecognised(path, look(&paths))),
        [only] => only.read(path, options),
        several => {
            let sets = several.iter().map(|set| set.describe(path)).collect();
            Err(SetError::Several { path: path.to_owned(), sets }.into())
        }
    }
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
            Self::ImageFolder(layout) => image_folder::read(dir, layout, options)?,
        };
        let name = match self {
            Self::Idx { prefix, .. } if !prefix.is_empty() => prefix.clone(),
            _ => folder_name(dir),
        };
        Ok((name, parts))
    }

    fn describe(&self, dir: &Path) -> String {
        match self {
            Self::Idx { prefix, .. } if prefix.is_empty() => "the IDX set without a prefix".to_owned(),
            Self::Idx { prefix, .. } => shown(dir.join(prefix)),
            Self::Cifar(_, place) => shown(place),
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
