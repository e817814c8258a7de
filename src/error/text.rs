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

/// An error of ours in one line: what and where, then why as far as its sources add to that.
pub fn in_one_line(error: &(dyn std::error::Error + 'static)) -> String {
    let mut line = error.to_string().replace(char::is_control, " ");
    let mut next = error.source();
    while let Some(source) = next {
        let why = one_line(&said(source));
        if !line.contains(&why) {
            line = format!("{line}: {why}");
        }
        next = source.source();
    }
    line
}

/// A source in words. The parser of TOML shows the place as well, on several lines, which our message has named.
fn said(source: &(dyn std::error::Error + 'static)) -> String {
    source.downcast_ref::<toml::de::Error>().map_or_else(|| source.to_string(), |error| error.message().to_owned())
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
    fn an_error_says_what_its_source_says() {
        for error in crate::error::samples::all() {
            let line = in_one_line(&error);
            assert!(line.starts_with(&error.to_string()), "{line}");
            if let Some(source) = std::error::Error::source(&error) {
                assert!(line.contains(&one_line(&said(source))), "{line}");
            }
        }
    }

    #[test]
    fn names_stay_on_one_line() {
        assert_eq!(shown(Path::new("a\nb")), "a\u{fffd}b");
        assert_eq!(one_line("  two\n\tlines\u{7} "), "two lines");
    }
}
