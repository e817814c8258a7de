//! What the device wrote, on the host.

use super::buf::Buf;
use super::gpu::Gpu;
use crate::error::{DeviceError, Result};
use bytemuck::Pod;

/// Memory that the device writes and the host reads.
#[derive(Debug)]
pub struct Reader {
    staging: Buf,
}

impl Reader {
    /// Where to copy what is to be read.
    pub fn staging(&self) -> &Buf {
        &self.staging
    }

    /// Waits for everything submitted and returns what was copied.
    ///
    /// # Errors
    /// [`Error::Device`](crate::error::Error::Device) or [`Error::OutOfMemory`](crate::error::Error::OutOfMemory)
    /// when the device failed at anything since the last call.
    pub fn collect<T: Pod>(&self, gpu: &Gpu) -> Result<Vec<T>> {
        gpu.flush()?; // with the copy to it
        self.staging.raw.map_async(wgpu::MapMode::Read, .., |_| {}); // a failure shows in get_mapped_range below
        if let Err(error) = gpu.wait() {
            self.staging.raw.unmap(); // or it could not be mapped again
            return Err(error);
        }
        let mapped = self.staging.raw.get_mapped_range(..);
        let mapped = mapped
            .map_err(|source| DeviceError::Unread { adapter: gpu.info.name.clone(), source: Box::new(source) })?;
        let data = bytemuck::pod_collect_to_vec(&mapped);
        drop(mapped);
        self.staging.raw.unmap();
        Ok(data)
    }
}

impl Gpu {
    /// Memory through which a view of `len` words reaches the host, again and again.
    ///
    /// # Errors
    /// What the device reports.
    pub fn reader(&self, len: usize) -> Result<Reader> {
        let raw = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("staging"),
            size: 4 * len as u64,
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        self.check()?;
        Ok(Reader { staging: Buf::of(raw, len) })
    }

    /// Waits for everything submitted and returns the contents of `buf`.
    ///
    /// # Errors
    /// [`Error::Device`](crate::error::Error::Device) or [`Error::OutOfMemory`](crate::error::Error::OutOfMemory)
    /// when the device failed at anything since the last call.
    pub fn read<T: Pod>(&self, buf: &Buf) -> Result<Vec<T>> {
        let reader = self.reader(buf.len())?;
        self.copy(buf, &reader.staging);
        reader.collect(self)
    }
}
