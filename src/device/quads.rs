//! Arrays of four-component vectors, in a buffer or a texture as the profile says: what the hot kernels read and write.

use super::buf::Buf;
use super::live::BlockCount;
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
    Texture { raw: wgpu::Texture, view: wgpu::TextureView },
}

/// What a kernel is bound to.
#[derive(Clone, Debug)]
pub enum Binding {
    /// Words of a buffer.
    Buf(Buf),
    /// A storage texture.
    Texture(wgpu::TextureView),
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
            Home::Texture { view, .. } => Self::Texture(view.clone()),
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
            Binding::Texture(view) => {
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
        assert!(len > 0 && len <= self.len && len.is_multiple_of(4), "{len} of {} words", self.len);
        let home = match &self.home {
            Home::Buffer(buf) => Home::Buffer(buf.prefix(len)),
            texture => texture.clone(),
        };
        Self { home, len, live: self.live.clone() }
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
