//! What each dispatch took, where somebody asks.

use super::gpu::Gpu;
use super::lock::lock;
use std::sync::{Arc, Mutex};

/// A dispatch that ran by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DispatchTime {
    /// The kernel's name.
    pub kernel: &'static str,
    /// Workgroups, at most: the device alone may know how many there were.
    pub groups: [usize; 3],
    /// Seconds, by the device's time stamps where it has them, else by the clock.
    pub seconds: f64,
}

/// The times of dispatches since they were asked for. Cloning shares them.
#[derive(Clone, Debug, Default)]
pub(super) struct DispatchTimes(Arc<Mutex<Option<Vec<DispatchTime>>>>);

impl Gpu {
    /// Times every dispatch of a program from now on, by itself: the host waits before and after. Results stay the same
    /// bits.
    pub fn time_dispatches(&self) {
        lock(&self.dispatch_times.0).get_or_insert_default();
    }

    /// Whether dispatches are timed.
    pub(crate) fn times_dispatches(&self) -> bool {
        lock(&self.dispatch_times.0).is_some()
    }

    /// The dispatches that ran since they are timed, or since last asked, in order.
    pub fn take_dispatch_times(&self) -> Vec<DispatchTime> {
        lock(&self.dispatch_times.0).as_mut().map_or(Vec::new(), std::mem::take)
    }

    /// Takes a note of one.
    pub(crate) fn note_dispatch(&self, time: DispatchTime) {
        if let Some(times) = lock(&self.dispatch_times.0).as_mut() {
            times.push(time);
        }
    }
}
