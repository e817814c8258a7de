//! Reading a file from front to back, with faults that say where and what.
//!
//! Nothing here allocates after a number found in a file before that number has been held against
//! the file's size; compressed data, whose size is not known beforehand, grows its buffer as bytes arrive.

use crate::error::{Error, MemoryError, Place, Result, SetError, shown};
use flate2::bufread::MultiGzDecoder;
use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

/// Deflate spends at least two bits on a match of 258 bytes, so n bytes never hold more than 1032·n.
const DEFLATE_MAX_EXPANSION: u64 = 1032;

/// How much a buffer for compressed data first holds; it doubles from there.
const FIRST_STEP: usize = 1 << 16;

/// Room for `additional` more elements, or an error instead of an abort.
pub(super) fn reserve<T>(buffer: &mut Vec<T>, additional: usize, what: &str) -> Result<()> {
    buffer.try_reserve_exact(additional).map_err(|source| {
        let bytes = additional.saturating_mul(size_of::<T>());
        MemoryError::Host { what: what.to_owned(), bytes, source }.into()
    })
}

/// Folders that systems put beside other people's files.
const OF_SYSTEMS: [&str; 2] = ["__MACOSX", "@eaDir"];

/// The visible entries of a folder, sorted by name.
pub(super) fn list(dir: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = |source| Error::unreadable(dir, source);
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name();
        if !name.as_encoded_bytes().starts_with(b".") && !OF_SYSTEMS.iter().any(|of_system| name == *of_system) {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

/// An open file, its position, and its path for messages.
pub(super) struct Input {
    path: PathBuf,
    stream: Box<dyn BufRead>,
    offset: u64,
    /// The content is no longer than this; for a plain file it is the exact length.
    bound: u64,
    /// What compressed it: `gzip` or `zip`.
    packed_by: Option<&'static str>,
}

impl Input {
    /// Opens a regular file. Anything else (a folder, a pipe) is refused without touching it.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let metadata = fs::metadata(path).map_err(|source| Error::unreadable(path, source))?;
        if !metadata.is_file() {
            return Err(SetError::NotAFile { path: path.to_owned() }.into());
        }
        let file = File::open(path).map_err(|source| Error::unreadable(path, source))?;
        let stream = Box::new(BufReader::with_capacity(1 << 16, file));
        Ok(Self { path: path.to_owned(), stream, offset: 0, bound: metadata.len(), packed_by: None })
    }

    /// Reads a file that was built into the program.
    pub(super) fn embedded(name: &str, bytes: &'static [u8]) -> Self {
        let bound = bytes.len() as u64;
        Self { path: name.into(), stream: Box::new(bytes), offset: 0, bound, packed_by: None }
    }

    /// A member of a zip file, of so many bytes.
    pub(super) fn stored(path: PathBuf, content: impl Read + 'static, length: u64) -> Self {
        let stream = Box::new(BufReader::with_capacity(1 << 16, content));
        Self { path, stream, offset: 0, bound: length, packed_by: Some("zip") }
    }

    /// A member of a zip file, unpacked from so many bytes.
    pub(super) fn unpacked(path: PathBuf, content: impl Read + 'static, packed: u64) -> Self {
        Self::stored(path, content, packed.saturating_mul(DEFLATE_MAX_EXPANSION))
    }

    /// Decompresses from here on if the content is gzip data. This is told by the first two bytes and
    /// not by the name, since browsers and mirrors add and remove `.gz` as they please.
    pub(super) fn gunzip(mut self) -> Result<Self> {
        let start = self.stream.fill_buf().map_err(|source| Error::unreadable(&self.path, source))?;
        if !start.starts_with(&[0x1f, 0x8b]) {
            return Ok(self);
        }
        let bound = self.bound.saturating_mul(DEFLATE_MAX_EXPANSION);
        let stream = Box::new(BufReader::with_capacity(1 << 16, MultiGzDecoder::new(self.stream)));
        Ok(Self { stream, bound, packed_by: Some("gzip"), ..self })
    }

    /// The file's name for messages.
    pub(super) fn name(&self) -> String {
        shown(&self.path)
    }

    /// Whether the next bytes are these.
    pub(super) fn begins_with(&mut self, bytes: &[u8]) -> bool {
        self.stream.fill_buf().is_ok_and(|next| next.starts_with(bytes))
    }

    /// What the file is called.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes read so far (of the uncompressed content).
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Length of the content in bytes: exact for a plain file, an upper bound for compressed data.
    pub(super) fn bound(&self) -> u64 {
        self.bound
    }

    /// The byte at `offset`, for an error.
    pub(super) fn at(&self, offset: u64) -> Place {
        Place { file: self.path.clone(), offset, is_compressed: self.packed_by.is_some() }
    }

    /// A fault at `offset`: what was expected there, and what was found instead.
    pub(super) fn unexpected(&self, offset: u64, expected: impl Display, found: impl Display) -> Error {
        self.fault(offset, expected, found, None)
    }

    fn fault(&self, offset: u64, expected: impl Display, found: impl Display, source: Option<io::Error>) -> Error {
        let (expected, found) = (expected.to_string(), found.to_string());
        SetError::Unexpected { at: self.at(offset), expected, found, source }.into()
    }

    /// Fills `buffer`, or says that the file ends before `what` does.
    pub(super) fn fill(&mut self, buffer: &mut [u8], what: &str) -> Result<()> {
        let mut filled = 0;
        while filled < buffer.len() {
            filled += match self.some(&mut buffer[filled..], what)? {
                0 => {
                    let expected = format!("{} more bytes of {what}", buffer.len() - filled);
                    return Err(self.unexpected(self.offset, expected, "the end of the file"));
                }
                count => count,
            };
        }
        Ok(())
    }

    /// Reads some bytes, none at the end of the file.
    pub(super) fn some(&mut self, buffer: &mut [u8], what: &str) -> Result<usize> {
        loop {
            match self.stream.read(buffer) {
                Ok(count) => {
                    self.offset += count as u64;
                    return Ok(count);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.unreadable(what, error)),
            }
        }
    }

    /// The next `N` bytes.
    pub(super) fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(&mut bytes, what)?;
        Ok(bytes)
    }

    /// The next `length` bytes, a number that may come from the file itself: memory is taken for no
    /// more than the file can hold, and for compressed data for at most twice what has really arrived.
    pub(super) fn bytes(&mut self, length: u64, what: &str) -> Result<Vec<u8>> {
        let length = self.holds(length, what)?;
        let mut bytes = Vec::new();
        while bytes.len() < length {
            let missing = length - bytes.len();
            let step = if self.packed_by.is_some() { missing.min(bytes.len().max(FIRST_STEP)) } else { missing };
            reserve(&mut bytes, step, &self.name())?;
            let start = bytes.len();
            bytes.resize(start + step, 0);
            self.fill(&mut bytes[start..], what)?;
        }
        Ok(bytes)
    }

    /// Whether the file can hold `length` more bytes; as many.
    pub(super) fn holds(&self, length: u64, what: &str) -> Result<usize> {
        let rest = self.bound - self.offset.min(self.bound);
        match usize::try_from(length) {
            Ok(fitting) if length <= rest => Ok(fitting),
            _ => {
                let most = self.packed_by.map(|by| format!("a {by} file too small for more than"));
                let found = format!("{} {rest}", most.as_deref().unwrap_or("only"));
                let expected = format!("{length} bytes of {what}");
                Err(self.unexpected(self.offset, expected, found))
            }
        }
    }

    /// Checks that the file ends here. For compressed data this also checks the checksum.
    pub(super) fn end(&mut self) -> Result<()> {
        const END: &str = "the end of the file";
        match (self.stream.fill_buf(), self.packed_by) {
            (Ok([]), _) => Ok(()),
            (Ok(_), _) => Err(self.unexpected(self.offset, END, "more bytes")),
            // Its checksum is missing or wrong, or what follows it is no compressed data.
            (Err(source), Some(by)) => {
                Err(self.fault(self.offset, END, format!("damaged {by} data or bytes after it"), Some(source)))
            }
            (Err(source), None) => Err(self.unreadable(END, source)),
        }
    }

    fn unreadable(&self, what: &str, source: io::Error) -> Error {
        let found = match (source.kind(), self.packed_by) {
            (ErrorKind::UnexpectedEof, Some(by)) => format!("{by} data that is cut short"),
            (_, Some(by)) => format!("damaged {by} data"),
            (_, None) => "bytes that cannot be read".to_owned(),
        };
        self.fault(self.offset, what, found, Some(source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_beyond_the_file_is_refused_before_memory_is_taken() {
        let error = Input::embedded("tiny", &[0; 4]).bytes(u64::MAX, "images").unwrap_err();
        let expected = format!("tiny: offset 0: expected {} bytes of images, found only 4", u64::MAX);
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn the_end_is_checked() {
        let mut input = Input::embedded("three", &[1, 2, 3]);
        assert_eq!(input.array::<2>("a pair").unwrap(), [1, 2]);
        assert!(input.end().unwrap_err().to_string().starts_with("three: offset 2: expected the end"));
        assert!(input.array::<2>("a pair").unwrap_err().to_string().contains("offset 3: expected 1 more"));
        assert!(input.end().is_ok());
    }
}
