//! A node and its attributes.

use crate::error::OnnxError;
use crate::export::proto::{AttributeProto, NodeProto};

/// A node as it is read.
#[derive(Clone, Copy)]
pub(super) struct OnnxNode<'a>(pub &'a NodeProto);

impl<'a> OnnxNode<'a> {
    /// What it does.
    pub(super) fn kind(self) -> &'a str {
        &self.0.op_type
    }

    /// What it cannot be read for.
    pub(super) fn fault(self, why: impl Into<String>) -> OnnxError {
        let named = (!self.0.name.is_empty()).then(|| self.0.name.clone());
        let node = named.or_else(|| self.0.output.first().cloned()).unwrap_or_default();
        OnnxError::Node { node, kind: self.0.op_type.clone(), why: why.into() }
    }

    /// The name of input i, where it has one.
    pub(super) fn input(self, i: usize) -> Option<&'a str> {
        self.0.input.get(i).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// Its inputs that have names.
    pub(super) fn inputs(self) -> impl Iterator<Item = &'a str> {
        self.0.input.iter().map(String::as_str).filter(|name| !name.is_empty())
    }

    pub(super) fn attribute(self, name: &str) -> Option<&'a AttributeProto> {
        self.0.attribute.iter().find(|attribute| attribute.name == name)
    }

    pub(super) fn integer(self, name: &str, usual: i64) -> i64 {
        self.attribute(name).map_or(usual, |attribute| attribute.i)
    }

    pub(super) fn float(self, name: &str, usual: f32) -> f32 {
        self.attribute(name).map_or(usual, |attribute| attribute.f)
    }

    pub(super) fn integers(self, name: &str) -> Option<&'a [i64]> {
        self.attribute(name).map(|attribute| attribute.ints.as_slice())
    }

    /// Refuses another number than this.
    pub(super) fn expect(self, name: &str, usual: i64, only: i64) -> Result<(), OnnxError> {
        match self.integer(name, usual) {
            found if found == only => Ok(()),
            found => Err(self.fault(format!("{name} = {found}, and layers have {only} alone"))),
        }
    }

    /// A size that is the same in all directions.
    pub(super) fn same(self, name: &str, sizes: &[i64]) -> Result<usize, OnnxError> {
        let whole = sizes.first().copied().and_then(|size| usize::try_from(size).ok());
        match whole.filter(|_| sizes.iter().all(|size| *size == sizes[0])) {
            Some(size) => Ok(size),
            None => Err(self.fault(format!("{name} = {sizes:?}, and layers have the same in all directions"))),
        }
    }

    /// Zeros around each side of a window of this size and step.
    pub(super) fn padding(self, size: usize, stride: usize) -> Result<usize, OnnxError> {
        let automatic = self.attribute("auto_pad").map(|attribute| attribute.s.as_slice());
        match automatic {
            None | Some(b"" | b"NOTSET") => self.integers("pads").map_or(Ok(0), |pads| self.same("pads", pads)),
            Some(b"VALID") => Ok(0),
            Some(b"SAME_UPPER" | b"SAME_LOWER") if size % 2 == 1 && stride == 1 => Ok(size / 2),
            Some(other) => {
                let other = String::from_utf8_lossy(other).into_owned();
                Err(self.fault(format!("auto_pad = {other}, and layers have the same padding on all sides")))
            }
        }
    }
}
