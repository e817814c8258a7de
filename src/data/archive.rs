//! Archives of data sets, unpacked under limits: files and folders inside the target, no links, no more bytes than are
//! stated or the disk has.

use super::input::Input;
use super::picture::has_extension;
use super::zipped::members;
use crate::error::{ArchiveError, Error, Result};
use flate2::bufread::MultiGzDecoder;
use std::cell::Cell;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;
use tar::EntryType;

/// Bytes that are unpacked at most.
const MOST: u64 = 64 << 30;

/// Files and folders that are unpacked at most.
const MOST_MEMBERS: usize = 4_000_000;

/// Bytes that are left free on the disk.
const SPARE: u64 = 256 << 20;

/// Bytes that a header of a tar file, long names and all, takes at most.
const HEADER: u64 = 1 << 20;

/// What archives are called.
const ENDS: [&str; 4] = [".zip", ".tar", ".tar.gz", ".tgz"];

/// The name of an archive without what makes it one; none of another file.
pub(super) fn stem(path: &Path) -> Option<&str> {
    let name = path.file_name()?.to_str()?;
    ENDS.iter().find_map(|end| {
        let at = name.len().checked_sub(end.len())?;
        (name.is_char_boundary(at) && name[at..].eq_ignore_ascii_case(end)).then(|| &name[..at])
    })
}

/// Unpacks a zip or tar file, gzipped or not, into a folder.
///
/// # Errors
/// [`Error::Data`] of an archive that is damaged, holds links or paths that lead out of it, or is too large, and
/// [`Error::Io`] where a file cannot be written. What was unpacked before stays.
pub fn unpack(archive: &Path, folder: &Path) -> Result<()> {
    let free = fs4::available_space(folder).map_err(|e| Error::io("unpacking into", folder, e))?;
    let most = MOST.min(free.saturating_sub(SPARE));
    let mut unpacking = Unpacking { archive, folder, most, left: most, members: 0 };
    if has_extension(archive, &["zip"]) { unpacking.zip() } else { unpacking.tar() }
}

/// An archive, where it goes, and what may still be unpacked of it.
struct Unpacking<'a> {
    archive: &'a Path,
    folder: &'a Path,
    most: u64,
    left: u64,
    members: usize,
}

impl Unpacking<'_> {
    fn zip(&mut self) -> Result<()> {
        for member in members(self.archive)? {
            if member.is_folder {
                self.create(&member.name)?;
                continue;
            }
            let mut input = member.open()?;
            self.write(&member.name, member.length, |buffer| input.some(buffer, "a file"))?;
        }
        Ok(())
    }

    fn tar(&mut self) -> Result<()> {
        let path = self.archive.to_owned();
        let damaged = move |source| Error::from(ArchiveError::Tar { path: path.clone(), source });
        let allowance = Rc::new(Cell::new(HEADER));
        let mut archive = tar::Archive::new(Metered { tar: open_tar(self.archive)?, left: Rc::clone(&allowance) });
        let mut entries = archive.entries().map_err(&damaged)?;
        loop {
            allowance.set(HEADER);
            let Some(entry) = entries.next() else { break };
            let mut entry = entry.map_err(&damaged)?;
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            allowance.set(u64::MAX);
            let kind = match entry.header().entry_type() {
                EntryType::Directory => {
                    self.create(&name)?;
                    continue;
                }
                EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => None,
                EntryType::XGlobalHeader => continue,
                EntryType::Link | EntryType::Symlink => Some("a link"),
                _ => Some("neither a file nor a folder"),
            };
            if let Some(kind) = kind {
                return Err(self.refused(name, kind));
            }
            self.write(&name, entry.size(), |buffer| read_some(&mut entry, buffer).map_err(&damaged))?;
        }
        // what follows are zeros, and the checksum of a gzipped file
        allowance.set(u64::MAX);
        io::copy(&mut archive.into_inner().take(HEADER), &mut io::sink()).map_err(&damaged)?;
        Ok(())
    }

    fn refused(&self, member: String, kind: &'static str) -> Error {
        ArchiveError::Kind { path: self.archive.to_owned(), member, kind }.into()
    }

    /// Where a member goes.
    fn place(&mut self, member: &str) -> Result<PathBuf> {
        self.members += 1;
        if self.members > MOST_MEMBERS {
            return Err(ArchiveError::Many { path: self.archive.to_owned(), most: MOST_MEMBERS }.into());
        }
        let is_inside = |component: Component<'_>| matches!(component, Component::Normal(_) | Component::CurDir);
        if member.is_empty() || member.contains('\0') || !Path::new(member).components().all(is_inside) {
            let (path, member) = (self.archive.to_owned(), member.to_owned());
            return Err(ArchiveError::Outside { path, member }.into());
        }
        Ok(self.folder.join(member))
    }

    fn create(&mut self, member: &str) -> Result<()> {
        let place = self.place(member)?;
        fs::create_dir_all(&place).map_err(|e| Error::io("creating", &place, e))
    }

    /// Writes a file of so many bytes.
    fn write(&mut self, member: &str, length: u64, mut some: impl FnMut(&mut [u8]) -> Result<usize>) -> Result<()> {
        let place = self.place(member)?;
        if length > self.left {
            let (path, most) = (self.archive.to_owned(), self.most);
            return Err(ArchiveError::Large { path, most, is_disk: most < MOST }.into());
        }
        self.left -= length;
        let failed = |e| Error::io("writing", &place, e);
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        let mut file = File::create(&place).map_err(failed)?;
        let mut buffer = vec![0; 1 << 16];
        let mut written = 0;
        loop {
            let count = some(&mut buffer)?;
            if count == 0 {
                return Ok(());
            }
            written += count as u64;
            if written > length {
                return Err(self.refused(member.to_owned(), "longer than the archive says"));
            }
            file.write_all(&buffer[..count]).map_err(failed)?;
        }
    }
}

/// A tar file, gunzipped if it is gzipped, whatever its name.
fn open_tar(path: &Path) -> Result<Box<dyn Read>> {
    let unreadable = |source| Error::unreadable(path, source);
    let _ = Input::open(path)?; // a pipe would be waited for
    let mut file = BufReader::with_capacity(1 << 16, File::open(path).map_err(unreadable)?);
    let is_gzip = file.fill_buf().map_err(unreadable)?.starts_with(&[0x1f, 0x8b]);
    Ok(if is_gzip { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) })
}

fn read_some(entry: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match entry.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// A tar file of which so many bytes may be read: a header that goes on and on takes no memory.
struct Metered {
    tar: Box<dyn Read>,
    left: Rc<Cell<u64>>,
}

impl Read for Metered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.tar.read(buffer)?;
        match self.left.get().checked_sub(count as u64) {
            Some(left) => self.left.set(left),
            None => return Err(io::Error::new(io::ErrorKind::InvalidData, "a header without an end")),
        }
        Ok(count)
    }
}
