//! Fetching a file: mirrors in their order, from where an earlier try ended, and checked.

use super::published::RemoteFile;
use crate::error::{Error, Result, one_line};
use crate::files::{hex, remove};
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use ureq::http::StatusCode;
use ureq::{Agent, Proxy};

/// Tries of one mirror, of which each goes on where the last was cut off.
const TRIES: usize = 4;

/// Nothing hangs: the most that a connection, and then each read, may take.
const CONNECT: Duration = Duration::from_secs(15);
const READ: Duration = Duration::from_secs(30);

/// What fetches, with limits on time, through a proxy where there is one.
pub(super) fn agent(proxy: Option<Proxy>) -> Agent {
    Agent::config_builder()
        .proxy(proxy)
        .timeout_resolve(Some(CONNECT))
        .timeout_connect(Some(CONNECT))
        .timeout_recv_response(Some(READ))
        .timeout_per_read(Some(READ))
        .user_agent(concat!("gpu-subset/", env!("CARGO_PKG_VERSION")))
        .build()
        .into()
}

/// How fetching a file ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fetched {
    /// It was there.
    Already,
    /// From this address.
    From(String),
    /// What was wrong with each mirror.
    Not(Vec<String>),
}

/// Why a transfer ended before the file did.
enum Transfer {
    /// The mirror has no such file, or another.
    Refused(String),
    /// It was cut off.
    CutOff(String),
    /// A file of ours cannot be written.
    Local(Error),
}

/// Fetches a file into a folder, unless it is there. What has arrived is in `NAME.partial` until it is whole and right;
/// `progress` is told how many bytes there are.
///
/// # Errors
/// [`Error::Io`] where a file cannot be written, and [`Error::Data`] where one cannot be read.
pub(super) fn fetch(
    agent: &Agent,
    file: &RemoteFile,
    mirrors: &[String],
    folder: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<Fetched> {
    let path = folder.join(file.name);
    if length(&path) == Some(file.bytes) && sha256(&path)? == file.sha256 {
        return Ok(Fetched::Already);
    }
    let partial = folder.join(format!("{}.partial", file.name));
    let mut faults = Vec::new();
    for mirror in mirrors {
        let address = format!("{}/{}", mirror.trim_end_matches('/'), file.name);
        match from_mirror(agent, file, &address, &partial, progress)? {
            None => {
                fs::rename(&partial, &path).map_err(|e| Error::io("writing", &path, e))?;
                return Ok(Fetched::From(address));
            }
            Some(fault) => faults.push(format!("{address}: {fault}")),
        }
    }
    Ok(Fetched::Not(faults))
}

/// The whole file, right; or what is wrong.
fn from_mirror(
    agent: &Agent,
    file: &RemoteFile,
    address: &str,
    partial: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<Option<String>> {
    let mut fault = String::new();
    for _ in 0..TRIES {
        let before = length(partial);
        match transfer(agent, file, address, partial, progress) {
            Ok(()) => {
                let found = sha256(partial)?;
                if found == file.sha256 {
                    return Ok(None);
                }
                remove(partial)?;
                // what an earlier try had brought may have been wrong already
                fault = format!("SHA-256 {found} in place of {}", file.sha256);
                if before.is_none() {
                    break;
                }
            }
            Err(Transfer::Refused(why)) => return Ok(Some(why)),
            Err(Transfer::CutOff(why)) => {
                let has_grown = length(partial) > before;
                fault = why;
                if !has_grown {
                    break;
                }
            }
            Err(Transfer::Local(error)) => return Err(error),
        }
    }
    Ok(Some(fault))
}

/// Appends what is missing of a file to `partial`.
fn transfer(
    agent: &Agent,
    file: &RemoteFile,
    address: &str,
    partial: &Path,
    progress: &mut dyn FnMut(u64),
) -> std::result::Result<(), Transfer> {
    let local = |error| Transfer::Local(Error::io("writing", partial, error));
    let mut have = length(partial).unwrap_or(0);
    if have > file.bytes {
        remove(partial).map_err(Transfer::Local)?;
        have = 0;
    }
    if have == file.bytes {
        return Ok(());
    }
    let mut request = agent.get(address);
    if have > 0 {
        request = request.header("Range", format!("bytes={have}-"));
    }
    let mut response = request.call().map_err(|error| match error {
        ureq::Error::StatusCode(code) => Transfer::Refused(format!("HTTP status {code}")),
        other => Transfer::CutOff(one_line(&other.to_string())),
    })?;
    let range = response.headers().get("Content-Range").and_then(|range| range.to_str().ok());
    let goes_on = response.status() == StatusCode::PARTIAL_CONTENT
        && range.is_some_and(|range| range.starts_with(&format!("bytes {have}-")));
    if response.status() == StatusCode::PARTIAL_CONTENT && !goes_on {
        return Err(Transfer::Refused("another part of the file than was asked for".to_owned()));
    }
    let mut have = if goes_on { have } else { 0 };
    let announced = response.body().content_length();
    if announced.is_some_and(|announced| announced != file.bytes - have) {
        let bytes = announced.map_or(0, |announced| have.saturating_add(announced));
        return Err(Transfer::Refused(format!("a file of {bytes} bytes in place of {}", file.bytes)));
    }
    let mut options = OpenOptions::new();
    let options = if goes_on { options.append(true) } else { options.write(true).truncate(true).create(true) };
    let mut to = options.open(partial).map_err(local)?;
    let mut reader = response.body_mut().as_reader();
    let mut buffer = vec![0; 1 << 16];
    while have < file.bytes {
        progress(have);
        let count = match reader.read(&mut buffer) {
            Ok(0) => return Err(Transfer::CutOff(format!("cut off after {have} of {} bytes", file.bytes))),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                let why = one_line(&error.to_string());
                return Err(Transfer::CutOff(format!("cut off after {have} of {} bytes: {why}", file.bytes)));
            }
        };
        // more than there should be is a wrong file, which its digest tells
        let wanted = count.min(usize::try_from(file.bytes - have).unwrap_or(count));
        to.write_all(&buffer[..wanted]).map_err(local)?;
        have += wanted as u64;
    }
    progress(have);
    to.sync_all().map_err(local)
}

/// Length of a file, where there is one.
pub(super) fn length(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().filter(fs::Metadata::is_file).map(|metadata| metadata.len())
}

/// SHA-256 of a file's content.
fn sha256(path: &Path) -> Result<String> {
    let unreadable = |source| Error::unreadable(path, source);
    let mut file = File::open(path).map_err(unreadable)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).map_err(unreadable)? {
            0 => return Ok(hex(&hasher.finalize())),
            count => hasher.update(&buffer[..count]),
        }
    }
}

/// Those that are missing or wrong, for whoever has to bring them by hand.
pub(super) fn missing(files: &[RemoteFile], folder: &Path) -> Vec<PathBuf> {
    let is_missing = |file: &&RemoteFile| length(&folder.join(file.name)) != Some(file.bytes);
    files.iter().filter(is_missing).map(|file| folder.join(file.name)).collect()
}

#[cfg(test)]
#[path = "download_tests.rs"]
mod tests;
