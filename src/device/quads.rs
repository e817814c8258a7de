//! Arrays of four-component vectors, in a buffer or a texture as the profile says: what the hot kernels read and write.

use super::live::{BlockCount, Grid, GridRequest};
use super::{Buf, Gpu, Storage};
use crate::error::Result;
use bytemuck::Pod;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Texels of a row: vec4 i is texel (i mod 8192, i / 8192). The side that every adapter offers.
pub const QUADS_WIDTH: usize = 8192;

/// Bytes of a vec4.
const QUAD: usize = 16;

/// Words of 32 bits, four by four. Cloning copies the view, not the memory.
#[derive(Clone, Debug)]
pub struct Quads {
    home: Home,
    len: usize,
    /// How many of its blocks are in use, where the device alone knows.
    live: Option<Arc<BlockCount>>,
}

#[derive(Clone, Debug)]
enum Home {
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
pub enum Blank {
    /// Words of a buffer.
    Words(usize),
    /// Words of a texture.
    Texels { words: usize, is_integer: bool },
}

impl Blank {
    /// That of a binding. lavapipe compiles anew where a side of a texture is a power of two and was not, or the other way round.
    pub fn of(binding: &Binding) -> Self {
        match binding {
            Binding::Buf(buf) => Self::Words(buf.len().min(1 << 14)),
            Binding::Texture(view) => {
                let texture = view.texture();
                let rows = if texture.height().is_power_of_two() { 1 } else { 3 };
                let is_integer = texture.format() == wgpu::TextureFormat::Rgba32Uint;
                Self::Texels { words: 4 * rows * texture.width() as usize, is_integer }
            }
        }
    }

    /// Memory of its kind.
    ///
    /// # Errors
    /// As [`Gpu::alloc`].
    pub fn binding(self, gpu: &Gpu) -> Result<Binding> {
        Ok(match self {
            Self::Words(words) => gpu.alloc("blank", words)?.into(),
            Self::Texels { words, is_integer } => (&gpu.alloc_quads("blank", words, is_integer)?).into(),
        })
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

    /// The number that a kernel reads of the blocks in use, `blocks` being all of them.
    ///
    /// # Errors
    /// As [`Gpu::alloc`].
    pub fn block_count(&self, gpu: &Gpu, blocks: usize) -> Result<Buf> {
        self.live.as_ref().map_or_else(|| gpu.uniform(blocks), |live| Ok(live.blocks.clone()))
    }

    /// The grid of a kernel whose workgroups own `per` blocks along `side`; `most` is for all blocks.
    pub fn grid(&self, most: [usize; 3], side: usize, per: usize) -> Grid {
        self.live.as_ref().map_or(Grid::Fixed(most), |live| live.grid(GridRequest { most, side, per }))
    }
}

impl Gpu {
    /// The most words that an array of quads holds.
    pub fn max_quads_words(&self) -> usize {
        match self.profile.storage {
            Storage::Buffer => self.max_binding_words() / 4 * 4,
            Storage::Texture => QUADS_WIDTH * self.limits.max_texture_dimension_2d as usize * 4,
        }
    }

    /// `words` words of device memory, a multiple of four, zero at first; floats, or bytes where `is_integer`.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::error::Error::OutOfMemory) when the device has no room for it.
    pub fn alloc_quads(&self, label: &str, words: usize, is_integer: bool) -> Result<Quads> {
        assert!(words > 0 && words.is_multiple_of(4), "{label}: {words} words are no vec4s");
        if self.profile.storage == Storage::Buffer {
            return Ok(Quads { home: Home::Buffer(self.alloc(label, words)?), len: words, live: None });
        }
        let quads = words / 4;
        let height = quads.div_ceil(QUADS_WIDTH);
        if words > self.max_quads_words() {
            return Err(self.no_memory(label, 4 * words as u64, Some(4 * self.max_quads_words() as u64)));
        }
        let scope = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let raw = self.device.create_texture(&wgpu::TextureDescriptor {
            label: Some(label),
            size: wgpu::Extent3d {
                width: quads.min(QUADS_WIDTH) as u32,
                height: height as u32,
                depth_or_array_layers: 1,
            },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: if is_integer { wgpu::TextureFormat::Rgba32Uint } else { wgpu::TextureFormat::Rgba32Float },
            usage: wgpu::TextureUsages::STORAGE_BINDING | wgpu::TextureUsages::COPY_DST | wgpu::TextureUsages::COPY_SRC,
            view_formats: &[],
        });
        if pollster::block_on(scope.pop()).is_some() {
            return Err(self.no_memory(label, 4 * words as u64, None));
        }
        self.check()?;
        self.taken.fetch_add((16 * quads.min(QUADS_WIDTH) * height) as u64, Ordering::Relaxed);
        let view = raw.create_view(&wgpu::TextureViewDescriptor::default());
        Ok(Quads { home: Home::Texture { raw, view }, len: words, live: None })
    }

    /// Quads holding `data` (4-byte elements, a multiple of four).
    ///
    /// # Errors
    /// As [`Gpu::alloc_quads`].
    pub fn upload_quads<T: Pod>(&self, label: &str, data: &[T], is_integer: bool) -> Result<Quads> {
        let bytes: &[u8] = bytemuck::cast_slice(data);
        let quads = self.alloc_quads(label, bytes.len() / 4, is_integer)?;
        match &quads.home {
            Home::Buffer(buf) => self.write(buf, data),
            Home::Texture { raw, .. } => {
                let row = raw.width() as usize * QUAD;
                // Whole rows in pieces of at most 32 MiB, so that the copies on the way stay small; then what remains of a row.
                let whole = bytes.len() / row * row;
                for (i, piece) in bytes[..whole].chunks(row * 256).enumerate() {
                    self.write_rows(raw, 256 * i, raw.width(), piece);
                }
                if whole < bytes.len() {
                    self.write_rows(raw, whole / row, ((bytes.len() - whole) / QUAD) as u32, &bytes[whole..]);
                }
            }
        }
        Ok(quads)
    }

    fn write_rows(&self, texture: &wgpu::Texture, first: usize, width: u32, bytes: &[u8]) {
        let row = width * QUAD as u32;
        let mut to = texture.as_image_copy();
        to.origin.y = first as u32;
        let layout = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(row), rows_per_image: None };
        let height = bytes.len() as u32 / row;
        self.queue.write_texture(to, bytes, layout, wgpu::Extent3d { width, height, depth_or_array_layers: 1 });
        self.queue.submit([]);
    }

    /// Waits for everything submitted and returns the contents of `quads`.
    ///
    /// # Errors
    /// As [`Gpu::read`].
    pub fn read_quads<T: Pod>(&self, quads: &Quads) -> Result<Vec<T>> {
        let raw = match &quads.home {
            Home::Buffer(buf) => return self.read(buf),
            Home::Texture { raw, .. } => raw,
        };
        let row = (raw.width() as usize * QUAD).next_multiple_of(wgpu::COPY_BYTES_PER_ROW_ALIGNMENT as usize);
        let height = (quads.len / 4).div_ceil(raw.width() as usize);
        let staging = self.alloc("texture.staging", row * height / 4)?;
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.copy_texture_to_buffer(
            raw.as_image_copy(),
            wgpu::TexelCopyBufferInfo {
                buffer: &staging.raw,
                layout: wgpu::TexelCopyBufferLayout {
                    offset: 0,
                    bytes_per_row: Some(row as u32),
                    rows_per_image: None,
                },
            },
            wgpu::Extent3d { width: raw.width(), height: height as u32, depth_or_array_layers: 1 },
        );
        self.queue.submit([encoder.finish()]);
        let mut data: Vec<T> = self.read(&staging)?;
        data.truncate(quads.len); // only a texture of one row has padded rows
        Ok(data)
    }
}

/// A texture wider than the rows it needs would leave gaps: every row but the last is full.
const _: () = assert!((QUADS_WIDTH * QUAD).is_multiple_of(wgpu::COPY_BYTES_PER_ROW_ALIGNMENT as usize));
