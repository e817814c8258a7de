//! Telling a device to stop in the middle of its work.

use super::gpu::Gpu;
use super::lock::lock;
use crate::error::{Error, Result};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// Whoever drives the device has so long to come to a good end by himself. After that it takes no more work.
const GRACE: Duration = Duration::from_secs(1);

/// A wish that work comes to an end. Cloning shares it: one thread asks, others look.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<OnceLock<Instant>>);

impl Interrupt {
    /// Asks; once is for ever.
    pub fn ask(&self) {
        self.0.get_or_init(Instant::now);
    }

    /// Whether anyone asked.
    pub fn is_asked(&self) -> bool {
        self.0.get().is_some()
    }

    /// Whether someone asked so long ago that the device takes no more work.
    fn is_overdue(&self) -> bool {
        self.0.get().is_some_and(|asked| asked.elapsed() >= GRACE)
    }
}

impl Gpu {
    /// Heeds an interrupt from now on, in place of the one before, for all who share the device. A second after it was
    /// asked for, whatever runs on the device ends with [`Error::Stopped`]: a good end has to be found before.
    pub fn heed(&self, interrupt: &Interrupt) {
        *lock(&self.interrupt) = interrupt.clone();
    }

    /// Whether the device is asked to stop.
    pub fn is_asked_to_stop(&self) -> bool {
        lock(&self.interrupt).is_asked()
    }

    /// Whether work may go on.
    ///
    /// # Errors
    /// [`Error::Stopped`]
    pub(super) fn check_interrupt(&self) -> Result<()> {
        if lock(&self.interrupt).is_overdue() { Err(Error::Stopped) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupt_is_shared_and_has_its_grace() {
        let interrupt = Interrupt::default();
        let other = interrupt.clone();
        assert!(!interrupt.is_asked());
        other.ask();
        let first = interrupt.0.get().copied();
        other.ask();
        assert!(interrupt.is_asked() && interrupt.0.get().copied() == first);
        let long_ago = Interrupt(Arc::new(OnceLock::from(Instant::now().checked_sub(GRACE).unwrap())));
        assert!(long_ago.is_overdue() && !Interrupt::default().is_overdue());
    }
}
