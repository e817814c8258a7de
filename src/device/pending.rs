//! Commands that are not submitted yet: several short programs share a submission, which costs the host and a GPU's
//! driver as much as dozens of dispatches.

use super::buf::Buf;
use std::collections::HashSet;
use std::sync::{Arc, Mutex};

/// Commands in the order in which they were recorded.
#[derive(Default)]
pub(super) struct Commands {
    pub encoder: Option<wgpu::CommandEncoder>,
    pub seconds: f64,
    /// How many seconds the next submission may have.
    pub allowance: f64,
    pub buffers: Vec<Arc<HashSet<wgpu::Buffer>>>,
    pub copied: Vec<wgpu::Buffer>,
    pub kernels: Vec<&'static str>,
}

/// The commands of a device that wait. Cloning shares them.
pub(super) type Pending = Arc<Mutex<Commands>>;

impl Commands {
    /// Whether a buffer has a part in what waits: the host must not overwrite it before.
    pub(super) fn uses(&self, buffer: &wgpu::Buffer) -> bool {
        self.copied.contains(buffer) || self.buffers.iter().any(|buffers| buffers.contains(buffer))
    }

    /// Appends a copy; something waits already.
    pub(super) fn copy(&mut self, from: &Buf, to: &Buf) {
        let encoder = self.encoder.as_mut().expect("something waits");
        from.record_copy(to, encoder);
        self.copied.extend([from.raw.clone(), to.raw.clone()]);
    }
}
