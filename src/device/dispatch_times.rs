//! What each dispatch took, where somebody asks.

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
pub(super) struct DispatchTimes(pub(super) Arc<Mutex<Option<Vec<DispatchTime>>>>);
