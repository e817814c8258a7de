//! Archives that cannot be unpacked.

use super::text::{BoxError, shown, size};
use std::fmt;
use std::path::PathBuf;

/// Why an archive is not unpacked.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// A zip file whose directory cannot be read.
    #[error("{}: expected a whole zip file", shown(path))]
    Zip {
        /// The archive.
        path: PathBuf,
        /// What is wrong with it.
        source: zip::result::ZipError,
    },
    /// A tar file that cannot be read to its end.
    #[error("{}: expected a whole tar file", shown(path))]
    Tar {
        /// The archive.
        path: PathBuf,
        /// What is wrong with it.
        source: std::io::Error,
    },
    /// A part of an archive that is not unpacked.
    #[error("{}: {} is {kind}, which is not unpacked", shown(path), shown(member))]
    Kind {
        /// The archive.
        path: PathBuf,
        /// The part.
        member: String,
        /// What it is: a link, encrypted, …
        kind: &'static str,
    },
    /// A part that would be written outside of the folder that the archive is unpacked into.
    #[error("{}: {} is no path inside of the archive", shown(path), shown(member))]
    Outside {
        /// The archive.
        path: PathBuf,
        /// The part.
        member: String,
    },
    /// More than is unpacked.
    #[error(
        "{}: holds more than {}, {}",
        shown(path),
        size(*most),
        if *is_disk { "which is what the disk has left" } else { "the most that is unpacked" }
    )]
    Large {
        /// The archive.
        path: PathBuf,
        /// Bytes that are unpacked.
        most: u64,
        /// Whether it is the disk that sets the limit.
        is_disk: bool,
    },
    /// More parts than are unpacked.
    #[error("{}: holds more than {most} files and folders, the most that are unpacked", shown(path))]
    Many {
        /// The archive.
        path: PathBuf,
        /// Files and folders that are unpacked.
        most: usize,
    },
}

/// What is wrong with the content of an archive, as if it were a folder.
#[derive(Debug)]
pub struct Unpacked {
    /// What is wrong with the folder that it was unpacked into.
    pub cause: BoxError,
    /// That folder, which is gone.
    pub folder: PathBuf,
    /// The archive.
    pub archive: PathBuf,
}

impl fmt::Display for Unpacked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause.to_string().replace(&shown(&self.folder), &shown(&self.archive)))
    }
}

impl std::error::Error for Unpacked {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.source()
    }
}
