//! Telling a device to stop in the middle of its work.

use crate::error::{Error, Result};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// Whoever drives the device has so long to come to a good end by himself. After that it takes no more work.
const GRACE: Duration = Duration::from_millis(500);

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

    /// Whether work may go on.
    ///
    /// # Errors
    /// [`Error::Stopped`] where someone asked for an end so long ago that it should have come.
    pub(super) fn check(&self) -> Result<()> {
        let is_overdue = self.0.get().is_some_and(|asked| asked.elapsed() >= GRACE);
        if is_overdue { Err(Error::Stopped) } else { Ok(()) }
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
        assert!(matches!(long_ago.check(), Err(Error::Stopped)) && Interrupt::default().check().is_ok());
    }
}
