//! What is in the folders of an image folder: classes by name, and their pictures, however deep.

use super::input::list;
use super::notes::{Counted, Note};
use super::picture::{has_extension, is_picture};
use crate::error::{ImagesError, Result};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use unicode_normalization::UnicodeNormalization;

/// Formats of pictures that are not read. To pass over them would quietly lose examples.
const UNREAD_EXTENSIONS: [&str; 11] = ["avif", "heic", "heif", "jp2", "jxl", "svg", "psd", "dng", "cr2", "nef", "exr"];

/// What lies beside pictures and is known to be none: nobody misses it.
const LITTER: [&str; 16] = [
    "txt", "csv", "tsv", "json", "jsonl", "xml", "md", "html", "htm", "yaml", "yml", "toml", "ini", "log", "db", "lnk",
];

/// Folders deeper than this are no folders of pictures.
const DEEPEST: usize = 32;

/// The folders of each class. Composed and decomposed letters are the same name.
pub(super) type Classes = BTreeMap<String, Vec<PathBuf>>;

/// The classes of a part: one a folder.
pub(super) fn classes(dir: &Path, passed_over: &mut Counted<PathBuf>) -> Result<Classes> {
    let mut classes = Classes::new();
    for path in list(dir)? {
        if !path.is_dir() {
            pass_over(path, passed_over);
            continue;
        }
        match path.file_name().and_then(OsStr::to_str) {
            Some(name) => classes.entry(name.nfc().collect()).or_default().push(path),
            None => return Err(ImagesError::ClassName { path }.into()),
        }
    }
    Ok(classes)
}

/// The same classes by the names that a training part has for them, where the case alone differs.
pub(super) fn renamed(classes: Classes, training: &Classes) -> Classes {
    let mut renamed = Classes::new();
    for (name, folders) in classes {
        let same = |other: &&String| other.to_lowercase() == name.to_lowercase();
        let mut alike = training.keys().filter(same);
        let name = match (training.contains_key(&name), alike.next(), alike.next()) {
            (false, Some(only), None) => only.clone(),
            _ => name,
        };
        renamed.entry(name).or_default().extend(folders);
    }
    renamed
}

/// A file of a class.
pub(super) enum Listed {
    /// By its name a picture that can be read.
    Picture(PathBuf),
    /// A picture of a format that is not read.
    Unread(PathBuf),
}

/// A file that somebody calls a picture, whatever its name.
pub(super) fn named(path: PathBuf) -> Listed {
    if has_extension(&path, &UNREAD_EXTENSIONS) { Listed::Unread(path) } else { Listed::Picture(path) }
}

/// The pictures in a folder and below it, also those whose format is not read; and a note where files were passed over.
///
/// # Errors
/// [`Error::Data`](crate::error::Error::Data) for a folder that cannot be listed.
pub fn pictures_in(folder: &Path) -> Result<(Vec<PathBuf>, Option<Note>)> {
    let mut passed_over = Counted::default();
    let found = pictures(&[folder.to_owned()], &mut passed_over)?;
    let paths = found.into_iter().map(|(Listed::Picture(path) | Listed::Unread(path))| path).collect();
    Ok((paths, passed_over.note(|count, first| Note::PassedOver { count, first })))
}

/// The pictures in some folders and below them, sorted by name in each.
pub(super) fn pictures(folders: &[PathBuf], passed_over: &mut Counted<PathBuf>) -> Result<Vec<Listed>> {
    let mut found = Vec::new();
    folders.iter().try_for_each(|folder| walk(folder, &mut Vec::new(), passed_over, &mut found))?;
    Ok(found)
}

/// A folder inside others, which a link may lead back to.
fn walk(
    folder: &Path,
    inside: &mut Vec<PathBuf>,
    passed_over: &mut Counted<PathBuf>,
    found: &mut Vec<Listed>,
) -> Result<()> {
    let real = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    if inside.len() >= DEEPEST || inside.contains(&real) {
        return Ok(());
    }
    inside.push(real);
    for path in list(folder)? {
        if path.is_dir() {
            walk(&path, inside, passed_over, found)?;
        } else if is_picture(&path) {
            found.push(Listed::Picture(path));
        } else if has_extension(&path, &UNREAD_EXTENSIONS) {
            found.push(Listed::Unread(path));
        } else {
            pass_over(path, passed_over);
        }
    }
    inside.pop();
    Ok(())
}

fn pass_over(path: PathBuf, passed_over: &mut Counted<PathBuf>) {
    if !has_extension(&path, &LITTER) {
        passed_over.add(|| path);
    }
}

/// Whether there is a picture in a folder, of whatever format, or so many folders below it. What cannot be listed holds
/// none.
pub(super) fn holds_pictures(folder: &Path, deep: usize) -> bool {
    list(folder).is_ok_and(|paths| {
        paths.iter().any(|path| is_picture(path) || has_extension(path, &UNREAD_EXTENSIONS))
            || deep > 0 && paths.iter().any(|path| path.is_dir() && holds_pictures(path, deep - 1))
    })
}
