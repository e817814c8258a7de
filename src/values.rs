//! The numbers that examples are made of: bytes of pictures, or f32 of anything else.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;

/// What the numbers of a data set are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ValueKind {
    /// Bytes, as pictures have them: 0 to 255.
    #[default]
    Bytes,
    /// f32, finite, of any range.
    Floats,
}

impl fmt::Display for ValueKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bytes => "bytes",
            Self::Floats => "f32",
        })
    }
}

impl ValueKind {
    /// Bytes that a number takes.
    pub const fn size(self) -> usize {
        match self {
            Self::Bytes => 1,
            Self::Floats => 4,
        }
    }

    /// Whether they are bytes, what a file of a run need not say.
    pub(crate) fn is_bytes(&self) -> bool {
        *self == Self::Bytes
    }
}

/// Numbers in memory.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Bytes.
    Bytes(Vec<u8>),
    /// f32.
    Floats(Vec<f32>),
}

/// A view of some of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ValuesRef<'a> {
    /// Bytes.
    Bytes(&'a [u8]),
    /// f32.
    Floats(&'a [f32]),
}

impl Default for Values {
    fn default() -> Self {
        Self::Bytes(Vec::new())
    }
}

impl Values {
    /// All of them.
    pub fn view(&self) -> ValuesRef<'_> {
        match self {
            Self::Bytes(values) => ValuesRef::Bytes(values),
            Self::Floats(values) => ValuesRef::Floats(values),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.view().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What they are.
    pub fn kind(&self) -> ValueKind {
        self.view().kind()
    }

    /// Gives back memory that it does not use.
    pub(crate) fn shrink_to_fit(&mut self) {
        match self {
            Self::Bytes(values) => values.shrink_to_fit(),
            Self::Floats(values) => values.shrink_to_fit(),
        }
    }

    /// The bytes, if they are bytes.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(values) => Some(values),
            Self::Floats(_) => None,
        }
    }
}

impl<'a> ValuesRef<'a> {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Bytes(values) => values.len(),
            Self::Floats(values) => values.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What they are.
    pub fn kind(&self) -> ValueKind {
        match self {
            Self::Bytes(_) => ValueKind::Bytes,
            Self::Floats(_) => ValueKind::Floats,
        }
    }

    /// One of them. Panics where there is none.
    pub fn get(&self, i: usize) -> f64 {
        match self {
            Self::Bytes(values) => f64::from(values[i]),
            Self::Floats(values) => f64::from(values[i]),
        }
    }

    /// Some of them. Panics where they are not there.
    pub fn slice(&self, range: Range<usize>) -> Self {
        match self {
            Self::Bytes(values) => Self::Bytes(&values[range]),
            Self::Floats(values) => Self::Floats(&values[range]),
        }
    }

    /// So many at a time; the last may be fewer.
    pub fn chunks(self, size: usize) -> impl Iterator<Item = Self> {
        (0..self.len()).step_by(size).map(move |start| self.slice(start..self.len().min(start + size)))
    }

    /// The values that are shown black and white: bytes from 0 to the largest (the digits end at 16), f32 of any range.
    pub fn shades(self) -> (f64, f64) {
        let black = match self.kind() {
            ValueKind::Bytes => 0.0,
            ValueKind::Floats => self.iter().fold(f64::INFINITY, f64::min),
        };
        (black, self.iter().fold(f64::NEG_INFINITY, f64::max))
    }

    /// All of them, as f64.
    pub fn iter(self) -> impl Iterator<Item = f64> + 'a {
        (0..self.len()).map(move |i| self.get(i))
    }
}

impl From<Vec<u8>> for Values {
    fn from(values: Vec<u8>) -> Self {
        Self::Bytes(values)
    }
}

impl From<Vec<f32>> for Values {
    fn from(values: Vec<f32>) -> Self {
        Self::Floats(values)
    }
}

impl<'a> From<&'a Values> for ValuesRef<'a> {
    fn from(values: &'a Values) -> Self {
        values.view()
    }
}

impl<'a> From<&'a [u8]> for ValuesRef<'a> {
    fn from(values: &'a [u8]) -> Self {
        Self::Bytes(values)
    }
}

impl<'a> From<&'a Vec<u8>> for ValuesRef<'a> {
    fn from(values: &'a Vec<u8>) -> Self {
        Self::Bytes(values)
    }
}

impl<'a> From<&'a [f32]> for ValuesRef<'a> {
    fn from(values: &'a [f32]) -> Self {
        Self::Floats(values)
    }
}

impl<'a> From<&'a Vec<f32>> for ValuesRef<'a> {
    fn from(values: &'a Vec<f32>) -> Self {
        Self::Floats(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_kind_is_cut_into_parts() {
        for values in [Values::from(vec![1u8, 2, 3, 4, 5]), vec![1f32, 2.0, 3.0, 4.0, 5.0].into()] {
            let chunks: Vec<Vec<f64>> = values.view().chunks(2).map(|chunk| chunk.iter().collect()).collect();
            assert_eq!(chunks, [vec![1.0, 2.0], vec![3.0, 4.0], vec![5.0]]);
            assert_eq!((values.len(), values.view().slice(1..3).get(1)), (5, 3.0));
            assert_eq!(values.view().slice(2..2).is_empty(), Values::default().is_empty());
        }
    }
}
