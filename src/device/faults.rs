//! What a driver reports against us.

use super::lock::lock;
use crate::error::{DeviceError, MemoryError, Result, one_line};
use std::sync::{Arc, Mutex};

/// The first thing the driver reported, kept until somebody asks. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults(Arc<Mutex<Option<Fault>>>);

#[derive(Clone, Debug)]
enum Fault {
    Lost(String),
    OutOfMemory,
    Rejected(String),
}

impl Faults {
    /// Those of a device from now on.
    pub(super) fn of(device: &wgpu::Device) -> Self {
        let faults = Self::default();
        let (on_error, on_lost) = (faults.clone(), faults.clone());
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            let fault = match error {
                wgpu::Error::OutOfMemory { .. } => Fault::OutOfMemory,
                wgpu::Error::Validation { description, .. } | wgpu::Error::Internal { description, .. } => {
                    tracing::error!("{}", one_line(&description));
                    Fault::Rejected(one_line(&description))
                }
            };
            lock(&on_error.0).get_or_insert(fault);
        }));
        device.set_device_lost_callback(move |reason, message| {
            // Loss explains whatever the driver complained of before it.
            *lock(&on_lost.0) = Some(Fault::Lost(one_line(&format!("{reason:?} {message}"))));
        });
        faults
    }

    /// Whether the device is gone.
    pub(super) fn are_loss(&self) -> bool {
        matches!(*lock(&self.0), Some(Fault::Lost(_)))
    }

    /// The first as an error that names the adapter.
    ///
    /// # Errors
    /// As [`Gpu::check`](crate::device::Gpu::check).
    pub(super) fn check(&self, adapter: &str) -> Result<()> {
        let adapter = adapter.to_owned();
        match lock(&self.0).clone() {
            None => Ok(()),
            Some(Fault::Lost(why)) => Err(DeviceError::Lost { adapter, why }.into()),
            Some(Fault::OutOfMemory) => Err(MemoryError::Device { adapter }.into()),
            Some(Fault::Rejected(why)) => Err(DeviceError::Rejected { adapter, why }.into()),
        }
    }
}
