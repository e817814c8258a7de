//! Data sets that cannot be read.

use super::archive::{ArchiveError, Unpacked};
use super::array::ArrayError;
use super::images::ImagesError;
use super::table::TableError;
use super::text::shown;
use std::fmt;
use std::path::PathBuf;

/// A byte of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// Bytes before it; of the uncompressed content where the file is compressed.
    pub offset: u64,
    /// Whether the file is compressed.
    pub is_compressed: bool,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = if self.is_compressed { " (uncompressed)" } else { "" };
        write!(f, "{}: offset {}{of}", shown(&self.file), self.offset)
    }
}

/// What is where a data set should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instead {
    /// Nothing.
    Nothing,
    /// A file.
    File,
    /// An empty folder.
    Empty,
    /// Folders of images, not divided into training and test.
    Undivided,
    /// Something else.
    Other,
}

impl fmt::Display for Instead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "does not exist",
            Self::File => "is neither a folder nor a file that is read",
            Self::Empty => "is empty",
            Self::Undivided => "holds folders of images but no train/ and test/",
            Self::Other => "holds no data set",
        })
    }
}

/// Why a data set cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SetError {
    /// No data set of any kind.
    #[error("{}: {found}: {layouts}", shown(path))]
    Unrecognised {
        /// Where one should be.
        path: PathBuf,
        /// What is there.
        found: Instead,
        /// What is understood.
        layouts: &'static str,
    },
    /// A path that does not exist, beside IDX sets with other prefixes.
    #[error("{}: does not exist; the IDX sets there are {}", shown(path), sets.join(", "))]
    NoSuchPrefix {
        /// Folder and prefix.
        path: PathBuf,
        /// Those that exist.
        sets: Vec<String>,
    },
    /// More than one data set in a folder.
    #[error("{}: holds several data sets: {}", shown(path), sets.join(", "))]
    Several {
        /// The folder.
        path: PathBuf,
        /// What is in it.
        sets: Vec<String>,
    },
    /// A file that an IDX set needs.
    #[error("{}: missing, and no .gz of it either; an IDX set is images and labels, train and test", shown(path))]
    MissingIdx {
        /// The file, uncompressed.
        path: PathBuf,
    },
    /// A file that a CIFAR set needs.
    #[error("{}: missing; {format} consists of {}", shown(path), files.join(", "))]
    MissingCifar {
        /// The file.
        path: PathBuf,
        /// Which set.
        format: String,
        /// All files that it needs.
        files: Vec<&'static str>,
    },
    /// Something that is no regular file under the name of one.
    #[error("{}: expected a regular file, found something else", shown(path))]
    NotAFile {
        /// What it is called.
        path: PathBuf,
    },
    /// A file that is damaged, or another than its name says.
    #[error("{at}: expected {expected}, found {found}")]
    Unexpected {
        /// Where.
        at: Place,
        /// What should be there.
        expected: String,
        /// What is there.
        found: String,
        /// What the system, or the decompressor, says.
        source: Option<std::io::Error>,
    },
    /// A file that does not go with another of the set.
    #[error("{at}: expected {expected}, found {found}")]
    Inconsistent {
        /// Where.
        at: Place,
        /// What the other file asks for.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A file of class names that holds something else.
    #[error("{at}: expected {classes} lines of class names, found {found}")]
    ClassNames {
        /// Where.
        at: Place,
        /// M, the number of classes.
        classes: usize,
        /// What is there.
        found: String,
    },
    /// A test part to be taken from a set that has one.
    #[error("{}: a test part is taken from pictures alone; this set has one", shown(path))]
    TestPart {
        /// The data set.
        path: PathBuf,
    },
    /// A set with one class.
    #[error("{}: one class alone, {}: there is nothing to tell apart", shown(path), shown(class))]
    OneClass {
        /// The data set.
        path: PathBuf,
        /// The class.
        class: String,
    },
    /// An image folder.
    #[error(transparent)]
    Images(#[from] ImagesError),
    /// Arrays of NumPy.
    #[error(transparent)]
    Arrays(#[from] ArrayError),
    /// A table of pictures.
    #[error(transparent)]
    Table(#[from] TableError),
    /// An archive that cannot be unpacked.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The content of an archive.
    #[error(transparent)]
    Unpacked(#[from] Unpacked),
}
