//! Members of zip files: their directory is read by the crate `zip`, their content as any other input.

use super::input::Input;
use crate::error::{ArchiveError, Error, Result};
use flate2::Crc;
use flate2::bufread::DeflateDecoder;
use std::fs::{self, File};
use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use zip::{CompressionMethod, ZipArchive};

/// A file in a zip file.
pub(super) struct Member {
    zip: PathBuf,
    pub(super) name: String,
    pub(super) is_folder: bool,
    start: u64,
    /// Bytes in the archive.
    packed: u64,
    /// What its content has.
    pub(super) length: u64,
    crc: u32,
    is_deflated: bool,
}

/// The members of a zip file, each within the file.
///
/// # Errors
/// [`Error::Data`] of a directory that cannot be read, and of members that are links, encrypted, or compressed
/// otherwise than by deflate.
pub(super) fn members(path: &Path) -> Result<Vec<Member>> {
    let damaged = |source| Error::from(ArchiveError::Zip { path: path.to_owned(), source });
    let length = fs::metadata(path).map_err(|source| Error::unreadable(path, source))?.len();
    let file = File::open(path).map_err(|source| Error::unreadable(path, source))?;
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(damaged)?;
    let mut members = Vec::new();
    for i in 0..archive.len() {
        let entry = archive.by_index_raw(i).map_err(damaged)?;
        let name = entry.name().map_err(damaged)?.into_owned();
        let refused = match entry.compression() {
            _ if entry.is_symlink() => Some("a link"),
            _ if entry.encrypted() => Some("encrypted"),
            CompressionMethod::Stored | CompressionMethod::Deflated => None,
            _ => Some("compressed otherwise than by deflate"),
        };
        if let Some(kind) = refused {
            return Err(ArchiveError::Kind { path: path.to_owned(), member: name, kind }.into());
        }
        let (start, packed) = (entry.data_start().unwrap_or(u64::MAX), entry.compressed_size());
        if start.checked_add(packed).is_none_or(|end| end > length) {
            return Err(damaged(zip::result::ZipError::InvalidArchive("a member reaches beyond the file".into())));
        }
        members.push(Member {
            zip: path.to_owned(),
            is_folder: entry.is_dir(),
            start,
            packed,
            length: entry.size(),
            crc: entry.crc32(),
            is_deflated: entry.compression() == CompressionMethod::Deflated,
            name,
        });
    }
    Ok(members)
}

impl Member {
    /// The zip file and the name, for messages.
    pub(super) fn path(&self) -> PathBuf {
        self.zip.join(&self.name)
    }

    /// Its content, whose checksum is checked at its end.
    ///
    /// # Errors
    /// [`Error::Data`] where the file is gone.
    pub(super) fn open(&self) -> Result<Input> {
        let unreadable = |source| Error::unreadable(&self.zip, source);
        let mut file = File::open(&self.zip).map_err(unreadable)?;
        file.seek(SeekFrom::Start(self.start)).map_err(unreadable)?;
        let packed = BufReader::with_capacity(1 << 16, file).take(self.packed);
        let checked =
            |content: Box<dyn Read>| CheckedContent { content, sum: Crc::new(), member: (self.crc, self.length) };
        Ok(if self.is_deflated {
            Input::unpacked(self.path(), checked(Box::new(DeflateDecoder::new(packed))), self.packed)
        } else {
            Input::stored(self.path(), checked(Box::new(packed)), self.packed)
        })
    }
}

/// Content that ends in an error where it is not what its checksum says.
struct CheckedContent {
    content: Box<dyn Read>,
    sum: Crc,
    /// Checksum and length.
    member: (u32, u64),
}

impl Read for CheckedContent {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.content.read(buffer)?;
        self.sum.update(&buffer[..count]);
        // the sum knows its length modulo 2³²
        let (crc, length) = self.member;
        if count == 0 && !buffer.is_empty() && (self.sum.sum(), self.sum.amount()) != (crc, length as u32) {
            return Err(io::Error::new(ErrorKind::InvalidData, "the checksum is another"));
        }
        Ok(count)
    }
}
