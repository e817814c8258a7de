//! Views into device memory.

use std::ops::Range;

/// Views start at multiples of this many 32-bit words: 256 bytes, the coarsest offset alignment WebGPU allows.
pub const ALIGNMENT: usize = 64;

/// A view of 32-bit words in device memory. Cloning copies the view, not the memory.
#[derive(Clone, Debug)]
pub struct Buf {
    pub(crate) raw: wgpu::Buffer,
    pub(crate) offset: usize,
    len: usize,
}

impl Buf {
    /// The first `len` words of a buffer.
    pub(super) fn of(raw: wgpu::Buffer, len: usize) -> Self {
        Self { raw, offset: 0, len }
    }

    /// Length in 32-bit words.
    #[expect(clippy::len_without_is_empty, reason = "a view always holds at least one word")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The words of `range` of this view; it must start at a multiple of [`ALIGNMENT`].
    pub fn view(&self, range: Range<usize>) -> Self {
        assert!(range.start < range.end && range.end <= self.len, "view {range:?} of {} words", self.len);
        assert!(range.start.is_multiple_of(ALIGNMENT), "a view at word {} is not aligned", range.start);
        Self { raw: self.raw.clone(), offset: self.offset + range.start, len: range.len() }
    }

    /// All words of the buffer that this is a view of.
    pub(super) fn whole(&self) -> Self {
        Self { raw: self.raw.clone(), offset: 0, len: (self.raw.size() / 4) as usize }
    }

    /// Whether both are the same words.
    pub fn is(&self, other: &Self) -> bool {
        self.raw == other.raw && (self.offset, self.len) == (other.offset, other.len)
    }

    /// The first `len` words of this view.
    pub fn prefix(&self, len: usize) -> Self {
        self.view(0..len)
    }

    /// One word, to copy from or to: kernels bind only what is aligned.
    pub fn word(&self, at: usize) -> Self {
        assert!(at < self.len, "word {at} of {}", self.len);
        Self { raw: self.raw.clone(), offset: self.offset + at, len: 1 }
    }

    pub(crate) fn record_copy(&self, to: &Self, encoder: &mut wgpu::CommandEncoder) {
        assert_eq!(self.len, to.len, "copy between views of different lengths");
        let range = self.bytes();
        encoder.copy_buffer_to_buffer(&self.raw, range.start, &to.raw, to.bytes().start, range.end - range.start);
    }

    pub(crate) fn bytes(&self) -> Range<u64> {
        4 * self.offset as u64..4 * (self.offset + self.len) as u64
    }
}
