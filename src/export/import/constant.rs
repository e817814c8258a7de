//! Constants of a graph: initialisers, and what nodes make of them.

use crate::error::OnnxError;
use crate::export::proto::{DOUBLE, EXTERNAL, FLOAT, INT32, INT64, TensorProto};
use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

/// A tensor has no more dimensions.
pub(super) const MOST_DIMS: usize = 16;

/// A tensor that does not depend on the input. Copies share their values.
#[derive(Clone, Debug)]
pub(super) struct Constant {
    pub dims: Vec<usize>,
    pub values: Entries,
    /// Whether it is the transpose of what its values say, of two dimensions; `dims` are those of the transpose.
    pub is_transposed: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Entries {
    Floats(Rc<[f32]>),
    Integers(Rc<[i64]>),
}

impl Constant {
    pub(super) fn integers(values: &[i64], dims: Vec<usize>) -> Self {
        Self { dims, values: Entries::Integers(values.into()), is_transposed: false }
    }

    /// A list of numbers.
    pub(super) fn floats(values: &[f32]) -> Self {
        Self { dims: vec![values.len()], values: Entries::Floats(values.into()), is_transposed: false }
    }

    pub(super) fn len(&self) -> usize {
        match &self.values {
            Entries::Floats(values) => values.len(),
            Entries::Integers(values) => values.len(),
        }
    }

    /// The same values in other dimensions.
    pub(super) fn with_dims(&self, dims: Vec<usize>) -> Self {
        Self { dims, ..self.clone() }
    }

    /// Its values where they are real numbers.
    pub(super) fn as_floats(&self) -> Option<&[f32]> {
        match &self.values {
            Entries::Floats(values) => Some(values),
            Entries::Integers(_) => None,
        }
    }

    /// Its values where they are whole numbers.
    pub(super) fn as_integers(&self) -> Option<&[i64]> {
        match &self.values {
            Entries::Integers(values) => Some(values),
            Entries::Floats(_) => None,
        }
    }

    /// Reads one; what it has in a file beside it is in `folder`.
    pub(super) fn read(proto: &TensorProto, folder: &Path) -> Result<Self, OnnxError> {
        let fault = |why: String| OnnxError::Constant { name: proto.name.clone(), why };
        let few = Some(&proto.dims).filter(|dims| dims.len() <= MOST_DIMS);
        let dims = few.and_then(|dims| dims.iter().map(|&n| usize::try_from(n).ok()).collect::<Option<Vec<_>>>());
        let counted = dims.and_then(|dims| Some((dims.iter().try_fold(1usize, |all, &n| all.checked_mul(n))?, dims)));
        let (len, dims) = counted.ok_or_else(|| fault("dimensions that are none".to_owned()))?;
        let raw = |size: usize| match proto.data_location == EXTERNAL {
            true => beside(proto, folder, len.saturating_mul(size)).map(Some).map_err(fault),
            false => Ok((!proto.raw_data.is_empty()).then(|| proto.raw_data.clone())),
        };
        let values = match proto.data_type {
            FLOAT => Entries::Floats(match raw(4)? {
                Some(raw) => chunks(&raw).map(f32::from_le_bytes).collect(),
                None => proto.float_data.as_slice().into(),
            }),
            DOUBLE => Entries::Floats(match raw(8)? {
                Some(raw) => chunks(&raw).map(|x| f64::from_le_bytes(x) as f32).collect(),
                None => proto.double_data.iter().map(|&x| x as f32).collect(),
            }),
            INT64 => Entries::Integers(match raw(8)? {
                Some(raw) => chunks(&raw).map(i64::from_le_bytes).collect(),
                None => proto.int64_data.as_slice().into(),
            }),
            INT32 => Entries::Integers(match raw(4)? {
                Some(raw) => chunks(&raw).map(|n| i32::from_le_bytes(n).into()).collect(),
                None => proto.int32_data.iter().map(|&n| n.into()).collect(),
            }),
            other => {
                return Err(fault(format!("numbers of type {other}, and those that are read are f32, f64, i32, i64")));
            }
        };
        let found = Self { dims, values, is_transposed: false };
        if found.len() != len {
            return Err(fault(format!("{} values where its dimensions say {len}", found.len())));
        }
        Ok(found)
    }
}

/// Numbers of so many bytes, little-endian; what is left over is none.
fn chunks<const SIZE: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; SIZE]> {
    bytes.chunks_exact(SIZE).map(|chunk| chunk.try_into().expect("chunks of this size"))
}

/// How long the files are, all together, that constants name beside the model.
pub(super) fn length_beside(constants: &[TensorProto], folder: &Path) -> usize {
    let named: HashSet<PathBuf> = constants.iter().filter_map(|proto| name_beside(proto).ok()).collect();
    let lengths = named.iter().filter_map(|name| folder.join(name).metadata().ok()).map(|file| file.len() as usize);
    lengths.fold(0, usize::saturating_add)
}

/// The name of the file beside the model that a constant names.
fn name_beside(proto: &TensorProto) -> Result<PathBuf, String> {
    let name = entry(proto, "location").map(PathBuf::from).ok_or("in a file that it does not name")?;
    match name.components().all(|part| matches!(part, Component::Normal(_))) {
        true => Ok(name),
        false => Err(format!("in {}, which is not beside the model", name.display())),
    }
}

fn entry<'a>(proto: &'a TensorProto, key: &str) -> Option<&'a str> {
    proto.external_data.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str())
}

/// So many bytes of the file beside the model that a constant names.
fn beside(proto: &TensorProto, folder: &Path, len: usize) -> Result<Vec<u8>, String> {
    let name = name_beside(proto)?;
    let offset: u64 =
        entry(proto, "offset").map_or(Ok(0), str::parse).map_err(|_| "at a place in a file that is none")?;
    let why = |e: std::io::Error| format!("{}, a file beside the model: {e}", name.display());
    let path = folder.join(&name);
    let metadata = path.metadata().map_err(why)?;
    // before memory is taken for it
    if !metadata.is_file() || offset.checked_add(len as u64).is_none_or(|end| end > metadata.len()) {
        return Err(format!("{}, a file beside the model, does not hold its {len} bytes", name.display()));
    }
    let (mut file, mut bytes) = (File::open(&path).map_err(why)?, Vec::new());
    file.seek(SeekFrom::Start(offset)).map_err(why)?;
    file.take(len as u64).read_to_end(&mut bytes).map_err(why)?;
    Ok(bytes)
}
