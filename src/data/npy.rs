//! An array of NumPy, as `np.save` writes it: a header, which is a Python dict in text, and the elements.
//!
//! The text is not evaluated. Of versions 1 to 3 of the format all are read that hold numbers.

use super::input::Input;
use crate::error::{ArrayError, Result};
use std::fmt;

const MAGIC: [u8; 6] = *b"\x93NUMPY";

/// A header is some hundred bytes; NumPy itself reads no more than 10,000 of one.
const MOST_HEADER: u64 = 10_000;

/// More dimensions than NumPy has.
const MOST_DIMENSIONS: usize = 64;

/// The type of an element as a header has it, such as `<i8`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dtype(String);

impl Dtype {
    /// Kind (`u`, `i`, `f`, …), bytes, and whether the first is the most significant. None where it is no plain type.
    pub(super) fn parts(&self) -> Option<(char, usize, bool)> {
        let mut chars = self.0.chars();
        let order = chars.next().filter(|c| matches!(c, '<' | '>' | '|' | '='))?;
        let kind = chars.next().filter(char::is_ascii_alphabetic)?;
        Some((kind, chars.as_str().parse().ok()?, order == '>'))
    }
}

impl fmt::Display for Dtype {
    /// As NumPy prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |kind| match kind {
            'u' => Some("uint"),
            'i' => Some("int"),
            'f' => Some("float"),
            'c' => Some("complex"),
            _ => None,
        };
        match self.parts() {
            Some(('b', 1, _)) => f.write_str("bool"),
            Some((kind, bytes @ 1..=16, _)) if name(kind).is_some() => {
                write!(f, "{}{}", name(kind).unwrap_or_default(), 8 * bytes)
            }
            _ => f.write_str(&self.0),
        }
    }
}

/// An array whose header was read; its elements are next.
pub(super) struct Array {
    pub(super) input: Input,
    pub(super) dtype: Dtype,
    /// Whether the first index is the fastest.
    pub(super) is_fortran: bool,
    pub(super) shape: Vec<u64>,
}

impl Array {
    /// Reads the header.
    pub(super) fn open(mut input: Input) -> Result<Self> {
        let magic: [u8; 6] = input.array("the NumPy header")?;
        let [version, _] = input.array("the NumPy header")?;
        if magic != MAGIC || !(1..=3).contains(&version) {
            let found = if magic == MAGIC { format!("version {version}") } else { "something else".to_owned() };
            return Err(input.unexpected(0, "an array of NumPy, \\x93NUMPY and version 1 to 3", found));
        }
        let length = match version {
            1 => u64::from(u16::from_le_bytes(input.array("the NumPy header")?)),
            _ => u64::from(u32::from_le_bytes(input.array("the NumPy header")?)),
        };
        let start = input.offset();
        if length > MOST_HEADER {
            let expected = format!("a header of at most {MOST_HEADER} bytes");
            return Err(input.unexpected(start, expected, format!("{length}")));
        }
        let text = input.bytes(length, "the NumPy header")?;
        let mut header = HeaderText { text: &text, at: 0 };
        match header.read() {
            Some((dtype, is_fortran, shape)) => Ok(Self { dtype, is_fortran, shape, input }),
            None => {
                let (at, expected) = (start + header.at as u64, "a header of descr, fortran_order and shape");
                Err(input.unexpected(at, expected, "something else"))
            }
        }
    }

    /// Elements, or an error where they are more than a file can hold.
    pub(super) fn elements(&self, what: &'static str) -> Result<u64> {
        let product = self.shape.iter().try_fold(1_u64, |product, &side| product.checked_mul(side));
        product.filter(|elements| *elements > 0).ok_or_else(|| self.of_shape(what, "positive numbers of a data set"))
    }

    /// The fault of a shape.
    pub(super) fn of_shape(&self, what: &'static str, wanted: &'static str) -> crate::error::Error {
        ArrayError::Shape { path: self.input.path().to_owned(), what, shape: self.shape.clone(), wanted }.into()
    }

    /// The fault of a type.
    pub(super) fn of_dtype(&self, what: &'static str, wanted: &'static str) -> crate::error::Error {
        let (path, dtype) = (self.input.path().to_owned(), self.dtype.to_string());
        ArrayError::Dtype { path, what, dtype, wanted }.into()
    }
}

/// What a header's text says, read from front to back.
struct HeaderText<'a> {
    text: &'a [u8],
    at: usize,
}

impl HeaderText<'_> {
    /// `{'descr': '<i8', 'fortran_order': False, 'shape': (3, 4), }`, the keys in any order.
    fn read(&mut self) -> Option<(Dtype, bool, Vec<u64>)> {
        let (mut dtype, mut is_fortran, mut shape) = (None, None, None);
        self.take(b"{")?;
        while self.take(b"}").is_none() {
            let key = self.quoted()?;
            self.take(b":")?;
            match key.as_str() {
                "descr" => dtype = Some(self.descr()?),
                "fortran_order" => {
                    is_fortran = Some(self.take(b"True").is_some() || self.take(b"False").map(|()| false)?)
                }
                "shape" => shape = Some(self.shape()?),
                _ => return None,
            }
            self.take(b",").or_else(|| self.peeks(b"}").then_some(()))?;
        }
        self.skip_space();
        if self.at < self.text.len() { None } else { Some((dtype?, is_fortran?, shape?)) }
    }

    fn skip_space(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    }

    fn peeks(&mut self, word: &[u8]) -> bool {
        self.skip_space();
        self.text[self.at..].starts_with(word)
    }

    fn take(&mut self, word: &[u8]) -> Option<()> {
        self.peeks(word).then(|| self.at += word.len())
    }

    fn quoted(&mut self) -> Option<String> {
        self.skip_space();
        let quote = *self.text.get(self.at).filter(|byte| matches!(byte, b'\'' | b'"'))?;
        let inside = &self.text[self.at + 1..];
        let length = inside.iter().position(|byte| *byte == quote)?;
        self.at += length + 2;
        let text = std::str::from_utf8(&inside[..length]).ok()?;
        (!text.contains(['\\', '\n'])).then(|| text.to_owned())
    }

    /// A type, or a list of named ones, which is none that is read.
    fn descr(&mut self) -> Option<Dtype> {
        if !self.peeks(b"[") {
            return self.quoted().map(Dtype);
        }
        let mut deep = 0_usize;
        loop {
            match self.text.get(self.at)? {
                b'[' => deep += 1,
                b']' => deep -= 1,
                _ => {}
            }
            self.at += 1;
            if deep == 0 {
                return Some(Dtype("of several fields".to_owned()));
            }
        }
    }

    fn shape(&mut self) -> Option<Vec<u64>> {
        let mut shape = Vec::new();
        self.take(b"(")?;
        while self.take(b")").is_none() {
            self.skip_space();
            let digits = self.text[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            let number = std::str::from_utf8(&self.text[self.at..self.at + digits]).ok()?;
            shape.push(number.parse().ok().filter(|_| shape.len() < MOST_DIMENSIONS)?);
            self.at += digits;
            let _ = self.take(b"L"); // Python 2 wrote it
            self.take(b",").or_else(|| self.peeks(b")").then_some(()))?;
        }
        Some(shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(String, bool, Vec<u64>)> {
        let (dtype, is_fortran, shape) = HeaderText { text: text.as_bytes(), at: 0 }.read()?;
        Some((dtype.to_string(), is_fortran, shape))
    }

    #[test]
    fn headers_are_read_as_pythons_dicts() {
        let fine = [
            ("{'descr': '|u1', 'fortran_order': False, 'shape': (3, 28, 28), }  \n", ("uint8", false, vec![3, 28, 28])),
            ("{\"shape\": (7L,), 'descr': '>i8', 'fortran_order': True}\n", ("int64", true, vec![7])),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': ()}", ("float32", false, vec![])),
            ("{'descr': '|b1', 'fortran_order': False, 'shape': (0,)}", ("bool", false, vec![0])),
            (
                "{'descr': [('a', '<i4'), ('b', [('c', '|u1')])], 'fortran_order': False, 'shape': (1,)}",
                ("of several fields", false, vec![1]),
            ),
            ("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", ("|O", false, vec![1])),
        ];
        for (text, (dtype, is_fortran, shape)) in fine {
            assert_eq!(read(text), Some((dtype.to_owned(), is_fortran, shape)), "{text}");
        }
        for broken in [
            "",
            "{}",
            "{'descr': '|u1', 'fortran_order': False}",
            "{'descr': '|u1', 'fortran_order': 0, 'shape': (3,)}",
            "{'descr': '|u1', 'fortran_order': False, 'shape': (3 4)}",
            "{'descr': '|u1', 'fortran_order': False, 'shape': (-3,)}",
            "{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999999999999,)}",
            "{'descr': '|u1', 'fortran_order': False, 'shape': (3,)} and more",
            "{'descr': '|u1', 'fortran_order': False, 'shape': (3,), 'more': 1}",
            "{'descr': [[[, 'fortran_order': False, 'shape': (3,)}",
            "{'descr': '|u1",
        ] {
            assert_eq!(read(broken), None, "{broken}");
        }
    }

    #[test]
    fn types_have_a_kind_a_size_and_an_order() {
        let of = |text: &str| Dtype(text.to_owned()).parts();
        assert_eq!(of("<i8"), Some(('i', 8, false)));
        assert_eq!(of(">u2"), Some(('u', 2, true)));
        assert_eq!([of(""), of("u1"), of("<i"), of("<M8[ns]"), of("é")], [None; 5]);
    }
}
