//! Tables of pictures that cannot be read.

use super::text::{shown, size};
use std::path::PathBuf;

/// Why a table of paths and labels is no data set.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// A file that is no CSV.
    #[error("{}: expected a table of comma-separated values", shown(path))]
    Syntax {
        /// The table.
        path: PathBuf,
        /// What is wrong with it.
        source: csv::Error,
    },
    /// A table too long to be one.
    #[error("{}: a table of {}, longer than the {} that are read", shown(path), size(*bytes), size(*most))]
    Long {
        /// The table.
        path: PathBuf,
        /// Its length.
        bytes: u64,
        /// The length that is read.
        most: u64,
    },
    /// A column that is missing.
    #[error(
        "{}: no column {}; those of its first line are {}",
        shown(path),
        names.join(" or "),
        shown(found.join(", "))
    )]
    Column {
        /// The table.
        path: PathBuf,
        /// What it may be called.
        names: &'static [&'static str],
        /// The columns that there are.
        found: Vec<String>,
    },
    /// A cell that holds something else.
    #[error("{}, line {line}: expected {expected}, found {}", shown(path), shown(found))]
    Cell {
        /// The table.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What should be there.
        expected: &'static str,
        /// What is there.
        found: String,
    },
    /// A class that is tested and not trained on.
    #[error("{}, line {line}: the class {} has no row for training", shown(path), shown(class))]
    Untrained {
        /// The table.
        path: PathBuf,
        /// A line that tests it.
        line: u64,
        /// The class.
        class: String,
    },
    /// Rows for training alone, or for testing alone.
    #[error("{}: no row is for {part}", shown(path))]
    NoRow {
        /// The table.
        path: PathBuf,
        /// Training or testing.
        part: &'static str,
    },
}
