//! What files of ours share: writing that a crash cannot leave half done, digests, numbers that JSON does not know.

use crate::error::{Error, Result};
use serde::{Deserialize, Deserializer};
use std::path::Path;

/// Writes `bytes` so that a crash leaves either the old file or the new one.
///
/// # Errors
/// [`Error::Io`] naming the file.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = path.with_extension("partial");
    std::fs::write(&temporary, bytes)
        .and_then(|()| std::fs::rename(&temporary, path))
        .map_err(|e| Error::io("writing", path, e))
}

/// Removes a file, if there is one.
///
/// # Errors
/// [`Error::Io`] naming the file.
pub(crate) fn remove(path: &Path) -> Result<()> {
    if path.exists() {
        std::fs::remove_file(path).map_err(|e| Error::io("removing", path, e))?;
    }
    Ok(())
}

/// A digest as lower-case hexadecimal digits.
pub(crate) fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The line of a fault in a TOML text, from 1.
pub(crate) fn line_of(text: &str, fault: &toml::de::Error) -> usize {
    fault.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count())
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
