//! The part of Python's pickles that CIFAR's files are made of. Nothing in them is executed: an operation that builds
//! anything else than numbers, strings, lists, dicts and arrays of NumPy is a fault.
//!
//! Strings are parts of the file in memory, and what is built has a bounded number of pieces.

use super::pickle_bytes::{PickleBytes, PickleFault, PickleStep};
use std::collections::HashMap;

/// What a pickle of protocol 2 or later begins with.
pub(super) const PROTOCOL: u8 = 0x80;

/// More values than this no file of CIFAR has.
const MOST_VALUES: usize = 200_000;

/// What a value is; those that are larger are elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pickled<'a> {
    Nothing,
    Truth(bool),
    Integer(i64),
    /// Bytes, or a text in UTF-8.
    Bytes(&'a [u8]),
    /// A list or a tuple.
    List(usize),
    Dict(usize),
    Array(usize),
    Dtype(usize),
    /// Bytes that were written as a text of Latin-1.
    Latin(usize),
    Named(NamedFunction),
}

/// What a pickle may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NamedFunction {
    Reconstruct,
    Ndarray,
    Dtype,
    Encode,
}

/// An array of NumPy as its state says.
#[derive(Clone, Copy, Debug)]
struct ArrayState<'a> {
    shape: Pickled<'a>,
    dtype: Pickled<'a>,
    is_fortran: bool,
    content: Pickled<'a>,
}

/// A pickle that was read.
pub(super) struct Pickle<'a> {
    bytes: PickleBytes<'a>,
    stack: Vec<Pickled<'a>>,
    marks: Vec<usize>,
    memo: HashMap<usize, Pickled<'a>>,
    /// Values that were made.
    made: usize,
    lists: Vec<Vec<Pickled<'a>>>,
    dicts: Vec<Vec<[Pickled<'a>; 2]>>,
    arrays: Vec<Option<ArrayState<'a>>>,
    /// Names of types.
    dtypes: Vec<&'a [u8]>,
    latin: Vec<Vec<u8>>,
}

impl<'a> Pickle<'a> {
    /// Reads a pickle, which is a dict.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, PickleFault> {
        let mut pickle = Self {
            bytes: PickleBytes::new(bytes),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            made: 0,
            lists: Vec::new(),
            dicts: Vec::new(),
            arrays: Vec::new(),
            dtypes: Vec::new(),
            latin: Vec::new(),
        };
        if bytes.first() != Some(&PROTOCOL) {
            return Err(pickle.bytes.fault(0, "a pickle of protocol 2 or later"));
        }
        loop {
            let start = pickle.bytes.at;
            let operation = pickle.bytes.byte()?;
            if operation == b'.' {
                break;
            }
            if !(pickle.simple(operation)? || pickle.text(operation)? || pickle.built(operation)?) {
                return Err(pickle.bytes.fault(start, "an operation that files of CIFAR have"));
            }
        }
        match (&pickle.stack[..], pickle.bytes.at == bytes.len()) {
            ([Pickled::Dict(_)], true) => Ok(pickle),
            (_, true) => Err(pickle.bytes.fault(0, "a pickle of a dict")),
            (_, false) => Err(pickle.bytes.fault(pickle.bytes.at, "the end of the file")),
        }
    }

    fn count(&mut self) -> PickleStep {
        self.made += 1;
        if self.made > MOST_VALUES {
            return Err(self.bytes.fault(self.bytes.at, "no more values than files of CIFAR have"));
        }
        Ok(())
    }

    fn push(&mut self, value: Pickled<'a>) -> PickleStep<bool> {
        self.count()?;
        self.stack.push(value);
        Ok(true)
    }

    fn pop(&mut self) -> PickleStep<Pickled<'a>> {
        let bottom = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= bottom {
            return Err(self.bytes.fault(self.bytes.at - 1, "a value for an operation"));
        }
        Ok(self.stack.pop().unwrap_or(Pickled::Nothing))
    }

    fn pop_mark(&mut self) -> PickleStep<Vec<Pickled<'a>>> {
        match self.marks.pop() {
            Some(mark) => Ok(self.stack.split_off(mark)),
            None => Err(self.bytes.fault(self.bytes.at - 1, "a mark for an operation")),
        }
    }

    fn last(&self) -> PickleStep<Pickled<'a>> {
        let bottom = self.marks.last().copied().unwrap_or(0);
        let last = self.stack.get(bottom..).and_then(<[_]>::last);
        last.copied().ok_or_else(|| self.bytes.fault(self.bytes.at - 1, "a value for an operation"))
    }

    fn remember(&mut self, place: usize) -> PickleStep<bool> {
        let last = self.last()?;
        self.memo.insert(place, last);
        if self.memo.len() > MOST_VALUES {
            return Err(self.bytes.fault(self.bytes.at, "no more values than files of CIFAR have"));
        }
        Ok(true)
    }

    fn recall(&mut self, place: usize) -> PickleStep<bool> {
        match self.memo.get(&place) {
            Some(value) => self.push(*value),
            None => Err(self.bytes.fault(self.bytes.at - 1, "a value that was remembered")),
        }
    }

    /// Numbers, and what orders the stack; false of another operation.
    fn simple(&mut self, operation: u8) -> PickleStep<bool> {
        let value = match operation {
            PROTOCOL => return self.bytes.byte().map(|_| true), // PROTO
            0x95 => return self.bytes.take(8).map(|_| true),    // FRAME
            b'(' => {
                self.count()?;
                self.marks.push(self.stack.len());
                return Ok(true);
            }
            b'q' => {
                let place = self.bytes.size(1)?;
                return self.remember(place);
            }
            b'r' => {
                let place = self.bytes.size(4)?;
                return self.remember(place);
            }
            0x94 => return self.remember(self.memo.len()), // MEMOIZE
            b'h' => {
                let place = self.bytes.size(1)?;
                return self.recall(place);
            }
            b'j' => {
                let place = self.bytes.size(4)?;
                return self.recall(place);
            }
            b'N' => Pickled::Nothing,
            0x88 => Pickled::Truth(true),
            0x89 => Pickled::Truth(false),
            b'K' => Pickled::Integer(i64::from(self.bytes.byte()?)),
            b'M' => Pickled::Integer(self.bytes.number(2)? as i64),
            b'J' => Pickled::Integer(i64::from(self.bytes.number(4)? as u32 as i32)),
            _ => return Ok(false),
        };
        self.push(value)
    }

    /// Strings, and names of functions; false of another operation.
    fn text(&mut self, operation: u8) -> PickleStep<bool> {
        let bytes_of_length = match operation {
            b'U' | b'C' | 0x8c => 1,
            b'T' | b'B' | b'X' => 4,
            0x8d | 0x8e => 8,
            b'c' => {
                let start = self.bytes.at;
                let (module, name) = (self.bytes.line()?, self.bytes.line()?);
                return self.named(start, module, name);
            }
            0x93 => {
                // STACK_GLOBAL
                let (name, module) = (self.pop()?, self.pop()?);
                let (Pickled::Bytes(module), Pickled::Bytes(name)) = (module, name) else {
                    return Err(self.bytes.fault(self.bytes.at - 1, "the name of a function"));
                };
                return self.named(self.bytes.at - 1, module, name);
            }
            _ => return Ok(false),
        };
        let length = self.bytes.size(bytes_of_length)?;
        let text = self.bytes.take(length)?;
        self.push(Pickled::Bytes(text))
    }

    fn named(&mut self, start: usize, module: &[u8], name: &[u8]) -> PickleStep<bool> {
        let function = match (module, name) {
            (b"numpy.core.multiarray" | b"numpy._core.multiarray", b"_reconstruct") => NamedFunction::Reconstruct,
            (b"numpy", b"ndarray") => NamedFunction::Ndarray,
            (b"numpy", b"dtype") => NamedFunction::Dtype,
            (b"_codecs", b"encode") => NamedFunction::Encode,
            _ => {
                let [module, name] = [module, name].map(String::from_utf8_lossy);
                let found = format!("{module}.{name}, which is not called").replace(char::is_control, "\u{fffd}");
                return Err(PickleFault { offset: start, expected: "arrays, lists and strings alone", found });
            }
        };
        self.push(Pickled::Named(function))
    }

    /// Lists, dicts and arrays; false of another operation.
    fn built(&mut self, operation: u8) -> PickleStep<bool> {
        match operation {
            b']' | b')' => self.push_list(Vec::new()),
            b'}' => {
                self.dicts.push(Vec::new());
                self.push(Pickled::Dict(self.dicts.len() - 1))
            }
            b't' => {
                let values = self.pop_mark()?;
                self.push_list(values)
            }
            0x85..=0x87 => {
                let mut values = Vec::new();
                for _ in 0..=operation - 0x85 {
                    values.insert(0, self.pop()?);
                }
                self.push_list(values)
            }
            b'a' => {
                let value = self.pop()?;
                self.append(vec![value])
            }
            b'e' => {
                let values = self.pop_mark()?;
                self.append(values)
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.insert(&[key, value])
            }
            b'u' => {
                let values = self.pop_mark()?;
                self.insert(&values)
            }
            b'R' => self.call(),
            b'b' => self.set_state(),
            _ => Ok(false),
        }
    }

    fn push_list(&mut self, values: Vec<Pickled<'a>>) -> PickleStep<bool> {
        self.lists.push(values);
        self.push(Pickled::List(self.lists.len() - 1))
    }

    fn append(&mut self, values: Vec<Pickled<'a>>) -> PickleStep<bool> {
        match self.last()? {
            Pickled::List(list) => self.lists[list].extend(values),
            _ => return Err(self.bytes.fault(self.bytes.at - 1, "a list to append to")),
        }
        Ok(true)
    }

    fn insert(&mut self, values: &[Pickled<'a>]) -> PickleStep<bool> {
        match self.last()? {
            Pickled::Dict(dict) => self.dicts[dict].extend(values.chunks_exact(2).map(|pair| [pair[0], pair[1]])),
            _ => return Err(self.bytes.fault(self.bytes.at - 1, "a dict to insert into")),
        }
        Ok(true)
    }

    fn call(&mut self) -> PickleStep<bool> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let arguments = match arguments {
            Pickled::List(list) => self.lists[list].clone(),
            _ => Vec::new(),
        };
        let value = match (function, &arguments[..]) {
            (Pickled::Named(NamedFunction::Reconstruct), [Pickled::Named(NamedFunction::Ndarray), ..]) => {
                self.arrays.push(None);
                Pickled::Array(self.arrays.len() - 1)
            }
            (Pickled::Named(NamedFunction::Dtype), [Pickled::Bytes(name), ..]) => {
                self.dtypes.push(name);
                Pickled::Dtype(self.dtypes.len() - 1)
            }
            (Pickled::Named(NamedFunction::Encode), [Pickled::Bytes(text), Pickled::Bytes(b"latin1")]) => {
                let held: usize = self.latin.iter().map(Vec::len).sum();
                let decoded = latin_of(text).filter(|_| held + text.len() <= self.bytes.len());
                let decoded = decoded.ok_or_else(|| self.bytes.fault(self.bytes.at - 1, "a text of Latin-1"))?;
                self.latin.push(decoded);
                Pickled::Latin(self.latin.len() - 1)
            }
            _ => return Err(self.bytes.fault(self.bytes.at - 1, "a call that makes an array")),
        };
        self.push(value)
    }

    fn set_state(&mut self) -> PickleStep<bool> {
        let state = match self.pop()? {
            Pickled::List(list) => self.lists[list].clone(),
            _ => Vec::new(),
        };
        match (self.last()?, &state[..]) {
            (Pickled::Array(array), &[_, shape, dtype, Pickled::Truth(is_fortran), content]) => {
                self.arrays[array] = Some(ArrayState { shape, dtype, is_fortran, content });
                Ok(true)
            }
            // the order of its bytes, of which a type that is read has one
            (Pickled::Dtype(_), [Pickled::Integer(_), ..]) => Ok(true),
            _ => Err(self.bytes.fault(self.bytes.at - 1, "the state of an array")),
        }
    }

    /// The value of a key of the dict.
    pub(super) fn entry(&self, key: &str) -> Option<Pickled<'a>> {
        let Some(Pickled::Dict(dict)) = self.stack.first() else { return None };
        let is_key = |entry: &&[Pickled<'a>; 2]| self.bytes_of(&entry[0]) == Some(key.as_bytes());
        self.dicts[*dict].iter().find(is_key).map(|entry| entry[1])
    }

    /// A string's bytes.
    pub(super) fn bytes_of(&self, value: &Pickled<'a>) -> Option<&[u8]> {
        match value {
            Pickled::Bytes(bytes) => Some(bytes),
            Pickled::Latin(i) => self.latin.get(*i).map(Vec::as_slice),
            _ => None,
        }
    }

    /// What is in a list or a tuple.
    pub(super) fn list(&self, value: Pickled<'a>) -> Option<&[Pickled<'a>]> {
        match value {
            Pickled::List(i) => self.lists.get(i).map(Vec::as_slice),
            _ => None,
        }
    }

    /// The rows of an array of bytes, or of bytes alone, of so many columns; none of another array.
    pub(super) fn rows(&self, value: Pickled<'a>, columns: usize) -> Option<&[u8]> {
        let Pickled::Array(i) = value else {
            return self.bytes_of(&value).filter(|bytes| bytes.len() % columns == 0);
        };
        let ArrayState { shape, dtype, is_fortran, content } = (*self.arrays.get(i)?)?;
        let (Pickled::Dtype(dtype), content) = (dtype, self.bytes_of(&content)?) else { return None };
        let is_of_bytes = matches!(*self.dtypes.get(dtype)?, b"u1" | b"|u1");
        let sides = [content.len() / columns, columns].map(|side| Pickled::Integer(side as i64));
        let is_table = self.list(shape) == Some(&sides[..]) && content.len() % columns == 0;
        (is_of_bytes && is_table && !is_fortran).then_some(content)
    }
}

/// The bytes of a text of Latin-1 that is written in UTF-8.
fn latin_of(text: &[u8]) -> Option<Vec<u8>> {
    std::str::from_utf8(text).ok()?.chars().map(|c| u8::try_from(c).ok()).collect()
}
