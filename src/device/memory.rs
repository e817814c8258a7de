//! Taking memory of a device, and moving words to it and within it.

use super::buf::Buf;
use super::gpu::Gpu;
use super::lock::lock;
use crate::error::{Error, MemoryError, Result};
use bytemuck::Pod;
use std::sync::atomic::Ordering;

impl Gpu {
    /// Bytes of device memory taken so far, what was given back included.
    pub fn taken_bytes(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Refuses allocations of more bytes, as a device does that has no room for them: for tests of what follows.
    pub fn refuse_beyond(&self, bytes: u64) {
        self.most_at_once.store(bytes, Ordering::Relaxed);
    }

    /// Whether so many bytes are refused.
    pub(super) fn refuses(&self, bytes: u64) -> bool {
        bytes > self.most_at_once.load(Ordering::Relaxed)
    }

    /// Largest view that a kernel can bind, in 32-bit words.
    pub fn max_binding_words(&self) -> usize {
        (self.limits.max_storage_buffer_binding_size.min(self.limits.max_buffer_size) / 4) as usize
    }

    /// `len` words of device memory, zero at first.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] when the device has no room for it.
    pub fn alloc(&self, label: &str, len: usize) -> Result<Buf> {
        assert!(len > 0, "{label}: a buffer holds at least one word");
        let bytes = 4 * len.next_multiple_of(4) as u64; // whole vec4s
        let limit = self.limits.max_buffer_size;
        if bytes > limit {
            return Err(self.no_memory(label, bytes, Some(limit)));
        }
        let scope = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let raw = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size: bytes,
            usage: wgpu::BufferUsages::STORAGE
                | wgpu::BufferUsages::UNIFORM
                | wgpu::BufferUsages::INDIRECT
                | wgpu::BufferUsages::COPY_SRC
                | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        if pollster::block_on(scope.pop()).is_some() || self.refuses(bytes) {
            return Err(self.no_memory(label, bytes, None));
        }
        self.check()?;
        self.taken.fetch_add(bytes, Ordering::Relaxed);
        Ok(Buf::of(raw, len))
    }

    /// Words of device memory holding `data` (4-byte elements).
    ///
    /// # Errors
    /// As [`Gpu::alloc`].
    pub fn upload<T: Pod>(&self, label: &str, data: &[T]) -> Result<Buf> {
        let buf = self.alloc(label, size_of_val(data) / 4)?;
        self.write(&buf, data);
        Ok(buf)
    }

    /// A number that a kernel reads as a uniform, so that it needs no pipeline of its own. Equal numbers share their
    /// memory.
    ///
    /// # Errors
    /// As [`Gpu::alloc`].
    pub fn uniform(&self, value: usize) -> Result<Buf> {
        let value = u32::try_from(value).expect("counts on a device are 32 bits wide");
        if let Some(buf) = lock(&self.numbers).get(&value) {
            return Ok(buf.clone());
        }
        let buf = self.upload("number", &[value; 4])?;
        lock(&self.numbers).insert(value, buf.clone());
        Ok(buf)
    }

    /// Overwrites the start of `buf` with `data`, before whatever is submitted next.
    pub fn write<T: Pod>(&self, buf: &Buf, data: &[T]) {
        assert!(size_of_val(data) <= 4 * buf.len(), "{} bytes into {} words", size_of_val(data), buf.len());
        self.flush_uses_of(buf);
        self.queue.write_buffer(&buf.raw, buf.bytes().start, bytemuck::cast_slice(data));
    }

    /// So many bytes are not to be had; `limit` is the most that are at once, where that is why.
    pub(super) fn no_memory(&self, what: &str, bytes: u64, limit: Option<u64>) -> Error {
        let adapter = self.info.name.clone();
        MemoryError::Allocation { what: what.to_owned(), bytes, limit, adapter }.into()
    }
}
