//! What to do about data sets that are no folders of pictures: arrays, tables, archives.

use crate::error::{ArchiveError, ArrayError, TableError, shown};
use std::path::PathBuf;

pub(super) fn of_arrays(cause: &ArrayError) -> Option<&'static str> {
    match cause {
        ArrayError::Missing { .. } => Some("save it under that name"),
        ArrayError::Dtype { what: "images", .. } => Some("convert them by images.astype(np.float32)"),
        ArrayError::Dtype { .. } => Some("convert them by labels.astype(np.int64)"),
        ArrayError::Shape { .. } => None,
    }
}

pub(super) fn of_table(cause: &TableError) -> Option<&'static str> {
    match cause {
        TableError::Syntax { .. } => Some("save it as CSV in UTF-8"),
        TableError::Long { .. } => Some("name the table of a data set with --data"),
        TableError::Column { .. } => Some("give the first line of the table that name in its column"),
        TableError::Cell { .. } => Some("mend that line, or remove it"),
        TableError::Untrained { .. } => Some("add rows of that class for training, or remove that line"),
        TableError::NoRow { .. } => {
            Some("give rows of each part the split train or test, or leave that column out and take --test 1/5")
        }
    }
}

pub(super) fn of_archive(cause: &ArchiveError) -> &'static str {
    match cause {
        ArchiveError::Zip { .. } | ArchiveError::Tar { .. } => {
            "the file is damaged or not what its name says: fetch it again"
        }
        ArchiveError::Large { is_disk: true, .. } => "make room there, or let TMPDIR name a folder on another disk",
        _ => "unpack it by another program, and name the folder with --data",
    }
}

/// What to do without a network.
pub(super) fn by_hand(missing: &[PathBuf]) -> String {
    let files: Vec<String> = missing.iter().map(shown).collect();
    format!(
        "try again, which goes on where it ended; or, without a network, bring {} there by hand: what is right is kept",
        files.join(", ")
    )
}
