//! The bytes of a pickle, read from front to back, and what is wrong with them.

/// What is wrong with a pickle.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PickleFault {
    /// Where, in bytes.
    pub(super) offset: usize,
    pub(super) expected: &'static str,
    pub(super) found: String,
}

/// A part of reading a pickle.
pub(super) type PickleStep<T = ()> = Result<T, PickleFault>;

/// The bytes, and how many were read.
pub(super) struct PickleBytes<'a> {
    bytes: &'a [u8],
    pub(super) at: usize,
}

impl<'a> PickleBytes<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// All of them.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn fault(&self, offset: usize, expected: &'static str) -> PickleFault {
        let found = self.bytes.get(offset).map_or("the end of the file".to_owned(), |byte| format!("byte {byte:02x}"));
        PickleFault { offset, expected, found }
    }

    pub(super) fn take(&mut self, count: usize) -> PickleStep<&'a [u8]> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.bytes.len());
        let Some(end) = end else {
            let found = format!("only {}", self.bytes.len() - self.at);
            return Err(PickleFault { offset: self.at, expected: "as many bytes as an operation has", found });
        };
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    pub(super) fn byte(&mut self) -> PickleStep<u8> {
        Ok(self.take(1)?[0])
    }

    /// A number of so many bytes, the least first.
    pub(super) fn number(&mut self, bytes: usize) -> PickleStep<u64> {
        Ok(self.take(bytes)?.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    pub(super) fn size(&mut self, bytes: usize) -> PickleStep<usize> {
        Ok(usize::try_from(self.number(bytes)?).unwrap_or(usize::MAX))
    }

    pub(super) fn line(&mut self) -> PickleStep<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let Some(length) = rest.iter().position(|byte| *byte == b'\n') else {
            return Err(self.fault(self.bytes.len(), "the end of a line"));
        };
        let line = self.take(length)?;
        self.at += 1;
        Ok(line)
    }
}
