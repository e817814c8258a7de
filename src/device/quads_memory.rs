//! Taking memory for arrays of vec4, filling and reading it; and what else of them needs a device.

use super::buf::{ALIGNMENT, Buf};
use super::gpu::Gpu;
use super::live::{BlockCount, GRID_WORDS, Grid, GridRequest};
use super::lock::lock;
use super::profile::Storage;
use super::quads::{Binding, Blank, Home, QUAD, QUADS_WIDTH, Quads};
use crate::error::Result;
use bytemuck::Pod;
use std::sync::atomic::Ordering;

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
        let [width, height] = sides(quads, self.limits.max_texture_dimension_2d as usize);
        if words > self.max_quads_words() {
            return Err(self.no_memory(label, 4 * words as u64, Some(4 * self.max_quads_words() as u64)));
        }
        let scope = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let raw = self.device.create_texture(&wgpu::TextureDescriptor {
            label: Some(label),
            size: wgpu::Extent3d { width: width as u32, height: height as u32, depth_or_array_layers: 1 },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: if is_integer { wgpu::TextureFormat::Rgba32Uint } else { wgpu::TextureFormat::Rgba32Float },
            usage: wgpu::TextureUsages::STORAGE_BINDING | wgpu::TextureUsages::COPY_DST | wgpu::TextureUsages::COPY_SRC,
            view_formats: &[],
        });
        if pollster::block_on(scope.pop()).is_some() || self.refuses(4 * words as u64) {
            return Err(self.no_memory(label, 4 * words as u64, None));
        }
        self.check()?;
        self.taken.fetch_add((QUAD * width * height) as u64, Ordering::Relaxed);
        let view = raw.create_view(&wgpu::TextureViewDescriptor::default());
        Ok(Quads { home: Home::Texture { raw, view, first: 0 }, len: words, live: None })
    }

    /// Quads of so many words each, as many of them views of one array as it holds.
    ///
    /// # Errors
    /// As [`Gpu::alloc_quads`].
    pub fn alloc_quads_together(&self, label: &str, lens: &[usize]) -> Result<Vec<Quads>> {
        let (mut together, mut rest) = (Vec::with_capacity(lens.len()), lens);
        while !rest.is_empty() {
            let mut end = 0;
            let fits = |len: &&usize| {
                end += len.next_multiple_of(ALIGNMENT);
                end <= self.max_quads_words()
            };
            let count = rest.iter().take_while(fits).count().max(1); // one that is too large says so
            let (these, others) = rest.split_at(count);
            let words = |lens: &[usize]| lens.iter().map(|len| len.next_multiple_of(ALIGNMENT)).sum::<usize>();
            let (last, before) = these.split_last().expect("one at least");
            let array = self.alloc_quads(label, words(before) + last, false)?;
            together.extend((0..count).map(|i| array.view(words(&these[..i])..words(&these[..i]) + these[i])));
            rest = others;
        }
        Ok(together)
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
                // Whole rows in pieces of at most 32 MiB, so that the copies on the way stay small; then what remains
                // of a row.
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
        let (raw, first) = match &quads.home {
            Home::Buffer(buf) => return self.read(buf),
            Home::Texture { raw, first, .. } => (raw, *first),
        };
        let width = raw.width() as usize;
        let row = (width * QUAD).next_multiple_of(wgpu::COPY_BYTES_PER_ROW_ALIGNMENT as usize);
        let (top, bottom) = (first / width, (first + quads.len / 4).div_ceil(width));
        let height = bottom - top;
        let staging = self.alloc("texture.staging", row * height / 4)?;
        self.flush()?;
        let mut from = raw.as_image_copy();
        from.origin.y = top as u32;
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.copy_texture_to_buffer(
            from,
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
        data.drain(..4 * (first - top * width));
        data.truncate(quads.len); // only a texture of one row has padded rows
        Ok(data)
    }

    /// What a kernel is bound to where its specialisation writes nothing: quads, and a vec4 of words.
    ///
    /// # Errors
    /// As [`Gpu::alloc`].
    pub fn placeholder(&self) -> Result<(Quads, Buf)> {
        if let Some(unused) = lock(&self.unused).as_ref() {
            return Ok(unused.clone());
        }
        let unused = (self.alloc_quads("unused", 4, false)?, self.alloc("unused", 4)?);
        Ok(lock(&self.unused).insert(unused).clone())
    }
}

/// Width and height of a texture for so many quads. lavapipe compiles a kernel anew where a side of a texture is a
/// power of two and was not, or the other way round: a width always is, a height never, but where it is the `highest`.
fn sides(quads: usize, highest: usize) -> [usize; 2] {
    let height = quads.div_ceil(QUADS_WIDTH);
    let height = if height.is_power_of_two() { (height + 1).max(3).min(highest) } else { height };
    [quads.next_power_of_two().min(QUADS_WIDTH), height]
}

impl Quads {
    /// The number that a kernel reads of the blocks in use, `blocks` being all of them.
    ///
    /// # Errors
    /// As [`Gpu::alloc`].
    pub fn block_count(&self, gpu: &Gpu, blocks: usize) -> Result<Buf> {
        self.live.as_ref().map_or_else(|| gpu.uniform(blocks), |live| Ok(live.blocks.clone()))
    }

    /// The grid of a kernel whose workgroups own `per` blocks along `side`; `most` is for all blocks.
    ///
    /// # Errors
    /// As [`Gpu::alloc`].
    pub fn grid(&self, gpu: &Gpu, most: [usize; 3], side: usize, per: usize) -> Result<Grid> {
        let Some(live) = &self.live else { return Ok(Grid::Fixed(most)) };
        live.grid(GridRequest { most, side, per }, || gpu.alloc("live.arguments", GRID_WORDS))
    }
}

impl BlockCount {
    /// With the count 0.
    ///
    /// # Errors
    /// As [`Gpu::alloc`].
    pub fn new(gpu: &Gpu) -> Result<Self> {
        Ok(Self::of(gpu.alloc("live.blocks", 1)?))
    }
}

impl Blank {
    /// Memory of its kind.
    ///
    /// # Errors
    /// As [`Gpu::alloc`].
    pub(crate) fn binding(self, gpu: &Gpu) -> Result<Binding> {
        Ok(match self {
            Self::Words(words) => gpu.alloc("blank", words)?.into(),
            Self::Texels { words, is_integer } => (&gpu.alloc_quads("blank", words, is_integer)?).into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_width_is_a_power_of_two_and_a_height_is_not() {
        for quads in (1..100).chain((1..300).flat_map(|rows| [rows * QUADS_WIDTH, rows * QUADS_WIDTH + 1])) {
            let [width, height] = sides(quads, 16_384);
            assert!(width.is_power_of_two() && !height.is_power_of_two() && width * height >= quads, "{quads}");
        }
        assert_eq!(sides(4 * QUADS_WIDTH, 4), [QUADS_WIDTH, 4], "there is no more");
        assert_eq!(sides(3 * QUADS_WIDTH, 4), [QUADS_WIDTH, 3]);
    }
}
