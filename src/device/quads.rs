//! Arrays of four-component vectors, in a buffer or a texture as the profile says: what the hot kernels read and write.

use super::buf::{ALIGNMENT, Buf};
use super::live::BlockCount;
use std::ops::Range;
use std::sync::Arc;

/// Texels of a row: vec4 i is texel (i mod 8192, i / 8192). The side that every adapter offers.
pub const QUADS_WIDTH: usize = 8192;

/// Bytes of a vec4.
pub(super) const QUAD: usize = 16;

/// Words of 32 bits, four by four. Cloning copies the view, not the memory.
#[derive(Clone, Debug)]
pub struct Quads {
    pub(super) home: Home,
    pub(super) len: usize,
    /// How many of its blocks are in use, where the device alone knows.
    pub(super) live: Option<Arc<BlockCount>>,
}

/// Where the words are.
#[derive(Clone, Debug)]
pub(super) enum Home {
    Buffer(Buf),
    /// From the texel of this number on.
    Texture {
        raw: wgpu::Texture,
        view: wgpu::TextureView,
        first: usize,
    },
}

/// What a kernel is bound to.
#[derive(Clone, Debug)]
pub enum Binding {
    /// Words of a buffer.
    Buf(Buf),
    /// A storage texture from a texel on.
    Texture {
        /// All of it.
        view: wgpu::TextureView,
        /// What the kernel adds to its indices.
        first: usize,
    },
}

impl From<Buf> for Binding {
    fn from(buf: Buf) -> Self {
        Self::Buf(buf)
    }
}

impl From<&Buf> for Binding {
    fn from(buf: &Buf) -> Self {
        Self::Buf(buf.clone())
    }
}

impl From<&Quads> for Binding {
    fn from(quads: &Quads) -> Self {
        match &quads.home {
            Home::Buffer(buf) => Self::Buf(buf.clone()),
            Home::Texture { view, first, .. } => Self::Texture { view: view.clone(), first: *first },
        }
    }
}

/// Memory that a driver compiles the same code for as for a binding, and little of it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Blank {
    /// Words of a buffer.
    Words(usize),
    /// Words of a texture.
    Texels { words: usize, is_integer: bool },
}

impl Blank {
    /// That of a binding.
    pub(crate) fn of(binding: &Binding) -> Self {
        match binding {
            Binding::Buf(buf) => Self::Words(buf.len().min(1 << 14)),
            Binding::Texture { view, .. } => {
                let texture = view.texture();
                let is_integer = texture.format() == wgpu::TextureFormat::Rgba32Uint;
                Self::Texels { words: 4 * texture.width() as usize, is_integer }
            }
        }
    }
}

impl Quads {
    /// Length in 32-bit words.
    #[expect(clippy::len_without_is_empty, reason = "a view always holds at least one vec4")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The first `len` words.
    pub fn prefix(&self, len: usize) -> Self {
        self.view(0..len)
    }

    /// The words of `range`, whole vec4s; it must start at a multiple of [`ALIGNMENT`].
    pub fn view(&self, range: Range<usize>) -> Self {
        let len = range.len();
        assert!(len > 0 && range.end <= self.len && len.is_multiple_of(4), "{range:?} of {} words", self.len);
        assert!(range.start.is_multiple_of(ALIGNMENT), "a view at word {} is not aligned", range.start);
        let home = match &self.home {
            Home::Buffer(buf) => Home::Buffer(buf.view(range)),
            Home::Texture { raw, view, first } => {
                Home::Texture { raw: raw.clone(), view: view.clone(), first: first + range.start / 4 }
            }
        };
        Self { home, len, live: self.live.clone() }
    }

    /// The array that this is a view of, and the vec4 of it that this begins with: for kernels that do several views at
    /// once.
    pub fn array(&self) -> (Self, usize) {
        let (home, first) = match &self.home {
            Home::Buffer(buf) => (Home::Buffer(buf.whole()), buf.offset / 4),
            Home::Texture { raw, view, first } => {
                (Home::Texture { raw: raw.clone(), view: view.clone(), first: 0 }, *first)
            }
        };
        let len = match &home {
            Home::Buffer(buf) => buf.len(),
            Home::Texture { raw, .. } => 4 * (raw.width() * raw.height()) as usize,
        };
        (Self { home, len, live: self.live.clone() }, first)
    }

    /// Whether both are views of one array.
    pub fn shares(&self, other: &Self) -> bool {
        match (&self.home, &other.home) {
            (Home::Buffer(a), Home::Buffer(b)) => a.raw == b.raw,
            (Home::Texture { raw: a, .. }, Home::Texture { raw: b, .. }) => a == b,
            _ => false,
        }
    }

    /// As many words as `other` has, of which as many blocks are in use.
    pub fn like(&self, other: &Self) -> Self {
        Self { live: other.live.clone(), ..self.prefix(other.len) }
    }

    /// The same memory, of which as many blocks are in use as `live` says.
    pub fn counted(&self, live: &Arc<BlockCount>) -> Self {
        Self { live: Some(live.clone()), ..self.clone() }
    }
}

/// A texture wider than the rows it needs would leave gaps: every row but the last is full.
const _: () = assert!((QUADS_WIDTH * QUAD).is_multiple_of(wgpu::COPY_BYTES_PER_ROW_ALIGNMENT as usize));
