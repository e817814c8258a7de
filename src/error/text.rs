//! What the causes say of names, sizes and errors of other libraries.

use std::path::Path;

/// Where an error came from, when its type belongs to a library that few callers know.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A path, or a name that somebody else chose, as messages have it: on one line, whatever characters it holds.
pub(crate) fn shown(name: impl AsRef<Path>) -> String {
    name.as_ref().display().to_string().replace(char::is_control, "\u{fffd}")
}

/// A text of some lines as a terminal may have it: a name in it does nothing there but show.
#[cfg(feature = "cli")]
pub(crate) fn printable(text: &str) -> String {
    text.replace(|c: char| c.is_control() && c != '\n', "\u{fffd}")
}

/// Messages of drivers and parsers come in paragraphs; errors of ours are one line.
pub(crate) fn one_line(text: &str) -> String {
    text.split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Bytes as people read them.
pub(super) fn size(bytes: u64) -> String {
    let (unit, name) = if bytes < 1 << 20 { (1 << 10, "KiB") } else { (1 << 20, "MiB") };
    format!("{:.1} {name}", bytes as f64 / f64::from(unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_on_one_line() {
        assert_eq!(shown(Path::new("a\nb")), "a\u{fffd}b");
        assert_eq!(one_line("  two\n\tlines\u{7} "), "two lines");
    }
}
