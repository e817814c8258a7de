//! What was not read as whoever made the files may think.

use crate::error::shown;
use std::fmt;
use std::path::{Path, PathBuf};

/// Something about a data set that is worth a line: how many files, the name of one, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The built-in set was asked for where a folder has its name.
    BuiltIn {
        /// What names the folder.
        folder: PathBuf,
    },
    /// A folder of pictures, or an array, that is neither trained on nor tested on.
    UnusedPart {
        /// The folder or array.
        path: PathBuf,
        /// The one that is the test part.
        test: PathBuf,
    },
    /// Rows of a table that are neither trained on nor tested on.
    UnusedRows {
        /// How many.
        count: usize,
    },
    /// Files that are no pictures by their names, or that lie outside of the folders of the classes.
    PassedOver {
        /// How many.
        count: usize,
        /// One of them.
        first: PathBuf,
    },
    /// Pictures that cannot be read and are left out.
    Damaged {
        /// How many.
        count: usize,
        /// What is wrong with one of them.
        first: String,
    },
    /// All pictures of 16 bits are dark.
    Dark {
        /// How many there are.
        count: usize,
        /// One of them.
        first: PathBuf,
        /// The largest value in any of them, of 65,535.
        brightest: u16,
    },
    /// Classes without a test picture.
    Untested {
        /// How many.
        count: usize,
        /// One of them.
        first: String,
    },
}

impl Note {
    /// The same of what lay in `folder` and is now said to lie in `archive`, which it was unpacked from.
    pub(super) fn moved(mut self, folder: &Path, archive: &Path) -> Self {
        match &mut self {
            Self::BuiltIn { folder: path } | Self::PassedOver { first: path, .. } | Self::Dark { first: path, .. } => {
                *path = moved(path, folder, archive)
            }
            Self::UnusedPart { path, test } => {
                *path = moved(path, folder, archive);
                *test = moved(test, folder, archive);
            }
            Self::Damaged { first, .. } => *first = first.replace(&shown(folder), &shown(archive)),
            Self::Untested { .. } | Self::UnusedRows { .. } => {}
        }
        self
    }
}

fn moved(path: &Path, from: &Path, to: &Path) -> PathBuf {
    path.strip_prefix(from).map_or_else(|_| path.to_owned(), |rest| to.join(rest))
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn { folder } => {
                write!(f, "this is the built-in set; the folder of that name is {}", shown(folder))
            }
            Self::UnusedPart { path, test } => {
                write!(f, "{} is not used: {} is the test part", shown(path), shown(test))
            }
            Self::UnusedRows { count } => {
                let are = if *count == 1 { "is" } else { "are" };
                write!(f, "{} for validation {are} not used: those for test are the test part", plural(*count, "row"))
            }
            Self::PassedOver { count, first } => {
                let files = plural(*count, "file");
                write!(f, "{files} passed over, by name or place no picture to read, such as {}", shown(first))
            }
            Self::Damaged { count, first } => {
                write!(f, "{} left out, which cannot be read, such as {first}", plural(*count, "picture"))
            }
            Self::Dark { count, first, brightest } => write!(
                f,
                "{} of 16 bits, such as {}, with values up to {brightest} of 65535: as dark as a viewer shows them; \
                 stretch the values before, or save them with 8 bits, if that is not meant",
                plural(*count, "picture"),
                shown(first)
            ),
            Self::Untested { count, first } => {
                let classes = if *count == 1 { "1 class".to_owned() } else { format!("{count} classes") };
                write!(f, "{classes} without a test picture, such as {}", shown(first))
            }
        }
    }
}

fn plural(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// How many, and the first of them.
#[derive(Debug)]
pub(super) struct Counted<T> {
    pub count: usize,
    pub first: Option<T>,
}

impl<T> Default for Counted<T> {
    fn default() -> Self {
        Self { count: 0, first: None }
    }
}

impl<T> Counted<T> {
    pub(super) fn add(&mut self, one: impl FnOnce() -> T) {
        self.count += 1;
        self.first.get_or_insert_with(one);
    }

    /// A note, where there is any.
    pub(super) fn note(self, note: impl FnOnce(usize, T) -> Note) -> Option<Note> {
        self.first.map(|first| note(self.count, first))
    }
}
