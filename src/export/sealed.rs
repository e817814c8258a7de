//! Safetensors files of ours: f32 tensors, and in the metadata a JSON document that names the SHA-256 of the file, its
//! own 64 digits taken as zeros. A file with one bit that was not written is refused.

use crate::error::{Error, Result, RunError};
use crate::files::{hex, read_regular};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::Path;

/// What stands for the digits while they are not known.
const ZEROS: [u8; 64] = [b'0'; 64];

/// The document as it is written.
#[derive(Serialize)]
struct Sealed<'a, T> {
    sha256: &'a str,
    #[serde(flatten)]
    content: &'a T,
}

/// What is read of it here. The rest is the caller's.
#[derive(Deserialize)]
struct Seal {
    sha256: Option<String>,
}

/// The bytes of a file of flat vectors or tensors, with a document of `content` under `key` in its metadata.
pub(crate) fn to_safetensors<T: Serialize>(
    tensors: &[(&str, Vec<usize>, &[f32])],
    key: &str,
    content: &T,
) -> Result<Vec<u8>> {
    let views: Vec<(&str, TensorView<'_>)> = tensors
        .iter()
        .map(|(name, dims, values)| {
            let view = TensorView::new(Dtype::F32, dims.clone(), bytemuck::cast_slice(values));
            view.map(|view| (*name, view)).map_err(|source| RunError::Tensors { source }.into())
        })
        .collect::<Result<_>>()?;
    let sha256 = std::str::from_utf8(&ZEROS).expect("ASCII");
    let document = serde_json::to_string(&Sealed { sha256, content }).expect("plain data");
    let metadata = HashMap::from([(key.to_owned(), document)]);
    let mut bytes = safetensors::serialize(views, Some(metadata)).map_err(|source| RunError::Tensors { source })?;
    let at = place(&bytes, &ZEROS).expect("the document holds them");
    let digits = digest(&bytes, at);
    bytes[at..][..ZEROS.len()].copy_from_slice(digits.as_bytes());
    Ok(bytes)
}

/// The f32 tensors of a file, and the document under `key`.
pub(crate) fn from_safetensors(path: &Path, key: &str) -> Result<(HashMap<String, Vec<f32>>, String)> {
    let bytes = read_regular(path, u64::MAX).map_err(|e| Error::unreadable(path, e))?;
    from_bytes(&bytes, path, key)
}

/// The same of the bytes of one, which messages call by a path.
pub(super) fn from_bytes(bytes: &[u8], path: &Path, key: &str) -> Result<(HashMap<String, Vec<f32>>, String)> {
    let unparsed = |source| RunError::NotSafetensors { path: path.to_owned(), source };
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(unparsed)?;
    let document = header.metadata().as_ref().and_then(|metadata| metadata.get(key)).cloned();
    let document = document.ok_or_else(|| RunError::NoMetadata { path: path.to_owned(), key: key.to_owned() })?;
    check(path, bytes, &document)?;
    let file = SafeTensors::deserialize(bytes).map_err(unparsed)?;
    let tensors = file.tensors().into_iter().map(|(name, view)| match view.dtype() {
        Dtype::F32 => Ok((name, bytemuck::pod_collect_to_vec(view.data()))),
        found => Err(RunError::ElementType { path: path.to_owned(), tensor: name, found }.into()),
    });
    Ok((tensors.collect::<Result<_>>()?, document))
}

/// Whether the file is what its document says.
fn check(path: &Path, bytes: &[u8], document: &str) -> Result<()> {
    let seal: Seal = serde_json::from_str(document).map_err(|source| RunError::Record {
        path: path.to_owned(),
        line: None,
        source,
    })?;
    let Some(sha256) = seal.sha256 else { return Err(RunError::NotSealed { path: path.to_owned() }.into()) };
    let at =
        Some(&sha256).filter(|digits| digits.len() == ZEROS.len()).and_then(|digits| place(bytes, digits.as_bytes()));
    match at {
        Some(at) if digest(bytes, at) == sha256 => Ok(()),
        _ => Err(RunError::Damaged { path: path.to_owned() }.into()),
    }
}

/// Where these digits are. The document is the first thing in a file, and they the first thing in the document.
fn place(bytes: &[u8], digits: &[u8]) -> Option<usize> {
    bytes.windows(digits.len()).position(|window| window == digits)
}

/// The digest of a file whose digits, from `at` on, are taken as zeros.
fn digest(bytes: &[u8], at: usize) -> String {
    let digest = Sha256::new().chain_update(&bytes[..at]).chain_update(ZEROS);
    hex(&digest.chain_update(&bytes[at + ZEROS.len()..]).finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "a key";

    /// A small file, in a folder of its own.
    fn file() -> (tempfile::TempDir, std::path::PathBuf, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        let content = HashMap::from([("name", "\"\\ é \n")]);
        let tensors = [("b", vec![2, 1], &[1.5, f32::NAN][..]), ("a", vec![0], &[][..])];
        let bytes = to_safetensors(&tensors, KEY, &content).unwrap();
        std::fs::write(&path, &bytes).unwrap();
        (folder, path, bytes)
    }

    #[test]
    fn what_was_written_is_read() {
        let (_folder, path, _) = file();
        let (tensors, document) = from_safetensors(&path, KEY).unwrap();
        assert_eq!((tensors["a"].len(), tensors["b"][0]), (0, 1.5));
        let document: HashMap<String, String> = serde_json::from_str(&document).unwrap();
        assert_eq!(document["name"], "\"\\ é \n");
    }

    #[test]
    fn every_flipped_bit_is_refused() {
        let (_folder, path, bytes) = file();
        for bit in 0..8 * bytes.len() {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, flipped).unwrap();
            let why = from_safetensors(&path, KEY).expect_err(&format!("bit {} of byte {}", bit % 8, bit / 8));
            assert!(matches!(&why, Error::Data(_)) && why.to_string().contains("a.safetensors"), "{why}");
        }
    }

    #[test]
    fn so_is_a_file_without_a_seal_or_with_another() {
        let (_folder, path, bytes) = file();
        let other = |document: &str| {
            let data = TensorView::new(Dtype::F32, vec![0], &[]).unwrap();
            let metadata = HashMap::from([(KEY.to_owned(), document.to_owned())]);
            safetensors::serialize([("a", data)], Some(metadata)).unwrap()
        };
        let cut = bytes[..bytes.len() - 3].to_vec();
        let longer = [&bytes[..], &[0]].concat();
        let said = |bytes: Vec<u8>| {
            std::fs::write(&path, bytes).unwrap();
            from_safetensors(&path, KEY).unwrap_err().to_string()
        };
        assert!(said(other("{}")).contains("no SHA-256"));
        for digits in ["", "0", &"0".repeat(64)] {
            assert!(said(other(&format!("{{\"sha256\":\"{digits}\"}}"))).contains("damaged"), "{digits}");
        }
        for bytes in [cut, longer, Vec::new()] {
            assert!(said(bytes).contains("a.safetensors"));
        }
    }
}
