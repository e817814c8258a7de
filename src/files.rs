//! What files of ours share: writing that a crash cannot leave half done, digests, numbers that JSON does not know.

use crate::error::{Error, Result};
use serde::{Deserialize, Deserializer};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;

/// What a person writes, a model or an experiment, is no longer.
pub(crate) const TEXT: u64 = 1 << 20;

/// The records of a run are no longer.
pub(crate) const RECORDS: u64 = 1 << 30;

/// Reads a regular file of at most so many bytes. Anything else is left alone: a pipe would be waited for, and a device
/// may never end.
pub(crate) fn read_regular(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let other = |why: String| io::Error::new(ErrorKind::InvalidInput, why);
    let metadata = fs::metadata(path)?;
    if metadata.is_dir() {
        return Err(ErrorKind::IsADirectory.into());
    }
    if !metadata.is_file() {
        return Err(other("not a regular file".to_owned()));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(other(format!("longer than {most} bytes")));
    }
    Ok(bytes)
}

/// The same of a file of text.
pub(crate) fn read_text(path: &Path, most: u64) -> io::Result<String> {
    let text = String::from_utf8(read_regular(path, most)?);
    text.map_err(|e| {
        io::Error::new(ErrorKind::InvalidData, format!("no UTF-8 from byte {} on", e.utf8_error().valid_up_to()))
    })
}

/// Writes `bytes` so that a crash, of the machine as well, leaves either the old file or the new one.
///
/// # Errors
/// [`Error::Io`] naming the file, which is as it was.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    write_aside(path, bytes, |aside| fs::rename(aside, path))
}

/// The same, and the file that was there is kept as `previous`. In between there is only that one.
///
/// # Errors
/// As [`write_atomically`].
pub(crate) fn write_keeping(path: &Path, previous: &Path, bytes: &[u8]) -> Result<()> {
    write_aside(path, bytes, |aside| {
        rename_if_there(path, previous)?;
        fs::rename(aside, path)
    })
}

/// Writes a file beside `path`, has it put in place, and leaves nothing of it where that fails.
fn write_aside(path: &Path, bytes: &[u8], put_in_place: impl FnOnce(&Path) -> io::Result<()>) -> Result<()> {
    let aside = path.with_extension("partial");
    let write = || {
        let mut file = File::create(&aside)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    let written = write().and_then(|()| put_in_place(&aside)).and_then(|()| sync_names(path));
    written.map_err(|source| {
        _ = fs::remove_file(&aside); // the first failure is the one to tell
        Error::io("writing", path, source)
    })
}

/// Renames a file, if there is one, over whatever is at `to`.
pub(crate) fn rename_if_there(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to).or_else(unless_missing)
}

/// Has the names of a file's folder outlive a crash of the machine. Windows opens no folder, and keeps names by itself.
fn sync_names(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if cfg!(unix) { File::open(parent.unwrap_or(Path::new(".")))?.sync_all() } else { Ok(()) }
}

/// Removes a file, if there is one.
///
/// # Errors
/// [`Error::Io`] naming the file.
pub(crate) fn remove(path: &Path) -> Result<()> {
    fs::remove_file(path).or_else(unless_missing).map_err(|e| Error::io("removing", path, e))
}

/// What is not there need not be done.
fn unless_missing(error: io::Error) -> io::Result<()> {
    if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

/// A digest as lower-case hexadecimal digits.
pub(crate) fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The line of a fault in a TOML text, from 1.
pub(crate) fn line_of(text: &str, fault: &toml::de::Error) -> usize {
    let start = fault.span().map_or(0, |span| span.start);
    // of a field that a table does not have, the parser may know the table alone
    let unknown = fault.message().strip_prefix("unknown field `").and_then(|rest| rest.split('`').next());
    let at = unknown.and_then(|name| key_in(&text[start..], name)).unwrap_or(0);
    1 + text[..start + at].matches('\n').count()
}

/// Where a key of this name is in a TOML text: followed by a value, by a part of its own, or in the name of a table.
fn key_in(text: &str, name: &str) -> Option<usize> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let is_key = |&(at, _): &(usize, &str)| {
        let after = text[at + name.len()..].trim_start_matches(['"', '\'', ' ', '\t']);
        !text[..at].ends_with(is_part) && after.starts_with(['=', '.', ']'])
    };
    text.match_indices(name).find(is_key).map(|(at, _)| at)
}

/// A number that JSON may have had to write as null, because it was not finite.
pub(crate) fn nan_if_null<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// The same of a number that is infinite until something is known.
pub(crate) fn infinite_if_null<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::INFINITY))
}

/// The same of two.
pub(crate) fn infinite_pair_if_null<'de, D>(deserializer: D) -> std::result::Result<[f64; 2], D::Error>
where
    D: Deserializer<'de>,
{
    Ok(<[Option<f64>; 2]>::deserialize(deserializer)?.map(|number| number.unwrap_or(f64::INFINITY)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_before_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let [path, previous] = ["a.bin", "a.previous.bin"].map(|name| folder.path().join(name));
        write_keeping(&path, &previous, b"one").unwrap();
        assert!(!previous.exists());
        write_keeping(&path, &previous, b"two").unwrap();
        write_keeping(&path, &previous, b"three").unwrap();
        assert_eq!([&path, &previous].map(|path| fs::read(path).unwrap()), [b"three".to_vec(), b"two".to_vec()]);
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_put_in_place_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bin");
        fs::create_dir(&path).unwrap(); // no file can be renamed over it
        fs::write(path.join("full"), "").unwrap();
        let why = write_atomically(&path, b"one").unwrap_err();
        assert!(matches!(&why, Error::Io(_)) && why.to_string().contains("a.bin"), "{why}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn only_regular_files_that_are_not_too_long_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text");
        fs::write(&path, "12345").unwrap();
        assert_eq!(read_text(&path, 5).unwrap(), "12345");
        assert!(read_text(&path, 4).unwrap_err().to_string().contains("longer than 4 bytes"));
        fs::write(&path, b"ab\xff").unwrap();
        assert!(read_text(&path, 5).unwrap_err().to_string().contains("from byte 2 on"));
        assert_eq!(read_regular(folder.path(), 5).unwrap_err().kind(), ErrorKind::IsADirectory);
        assert_eq!(read_regular(&folder.path().join("none"), 5).unwrap_err().kind(), ErrorKind::NotFound);
        if cfg!(unix) {
            assert!(read_regular(Path::new("/dev/zero"), 5).unwrap_err().to_string().contains("not a regular file"));
        }
    }

    #[test]
    fn the_line_of_an_unknown_field_is_its_own() {
        #[derive(Debug, Deserialize)]
        #[serde(tag = "kind", deny_unknown_fields)]
        enum Inner {
            #[serde(rename = "a")]
            A {
                #[serde(rename = "value")]
                _value: u8,
            },
        }
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Outer {
            #[serde(rename = "inner")]
            _inner: Inner,
        }
        for (text, line) in [
            ("\n[inner]\nkind = \"a\"\nvalue = 1\nvalues = 2\n", 5),
            ("# values = 1\n\n[inner]\nkind = \"a\" # values\nvalue = 1\n\"values\"=2\n", 6),
            ("[inner]\nkind = \"a\"\nvalue = 1\n\n[inner.values]\nx = 1\n", 5),
            ("inner = { kind = \"a\", value = 1 }\n\nouter = 1\n", 3),
            ("\n[inner]\nkind = \"b\"\n", 3),
        ] {
            let fault = toml::from_str::<Outer>(text).unwrap_err();
            assert_eq!(line_of(text, &fault), line, "{text}: {fault}");
        }
    }
}
