//! What the program says: results on stdout, all else on stderr. Either may be gone: a reader has seen enough, a disk
//! is full, a terminal was closed. Nothing else in the program writes to them, so nothing panics there.

use crate::error::{Error, Result};
use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

/// A line on stderr.
macro_rules! say {
    ($($what:tt)*) => {
        $crate::cli::output::say_line(format_args!($($what)*))
    };
}

/// A line on stdout, as a `Result`.
macro_rules! show {
    ($($what:tt)*) => {
        $crate::cli::output::show_line(format_args!($($what)*))
    };
}

pub(super) use {say, show};

/// A line on stderr, or silence where that is gone: a run does not depend on it.
pub(super) fn say_line(line: fmt::Arguments<'_>) {
    io::stderr().write_all(format!("{line}\n").as_bytes()).ok();
}

/// A line on stdout. Who reads no more has seen enough, and that is no failure.
///
/// # Errors
/// [`Error::Io`] where it cannot be written for another reason.
pub(super) fn show_line(line: fmt::Arguments<'_>) -> Result<()> {
    let mut stdout = io::stdout().lock();
    written(stdout.write_all(format!("{line}\n").as_bytes()).and_then(|()| stdout.flush()))
}

/// How writing to stdout ended.
///
/// # Errors
/// As [`show_line`].
pub(super) fn written(result: io::Result<()>) -> Result<()> {
    match result {
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(|e| Error::io("writing", Path::new("standard output"), e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_reader_who_has_seen_enough_is_no_failure() {
        assert!(written(Ok(())).is_ok() && written(Err(ErrorKind::BrokenPipe.into())).is_ok());
        let full = written(Err(ErrorKind::StorageFull.into())).unwrap_err();
        assert!(full.to_string().contains("writing standard output"), "{full}");
    }
}
