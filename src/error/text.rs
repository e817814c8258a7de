//! What the causes say of names, sizes and errors of other libraries.

use std::path::Path;

/// Where an error came from, when its type belongs to a library that few callers know.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A path, or a name that somebody else chose, as messages have it: on one line, whatever characters it holds.
pub(crate) fn shown(name: impl AsRef<Path>) -> String {
    name.as_ref().display().to_string().replace(char::is_control, "\u{fffd}")
}

/// Messages of drivers and parsers come in paragraphs; errors of ours are one line.
pub(crate) fn one_line(text: &str) -> String {
    text.split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Bytes as people read them.
pub(super) fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
