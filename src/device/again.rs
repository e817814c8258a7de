//! Opening a device again that was lost.

use super::adapter::AdapterChoice;
use super::gpu::Gpu;
use crate::error::{DeviceError, Result};
use std::thread;
use std::time::Duration;

/// How often it is tried, and how long a driver that was reset has between two tries.
const TRIES: u32 = 3;
const WAIT: Duration = Duration::from_secs(1);

/// What is still in a queue is given so long.
const QUEUE: Duration = Duration::from_secs(5);

impl Gpu {
    /// Destroys the device for all who share it, as a driver's reset would: whatever comes next reports the loss.
    pub fn lose(&self) {
        self.device.destroy();
    }

    /// Whether the device is gone. Waits for what was submitted, since a loss is told of when the queue is empty.
    pub fn is_lost(&self) -> bool {
        let poll = wgpu::PollType::Wait { submission_index: None, timeout: Some(QUEUE) };
        self.device.poll(poll).ok(); // what it says is in the faults
        self.faults.are_loss()
    }

    /// The same adapter, opened again with the same profile, tiles, limit of memory and interrupt: the same bits. It is
    /// tried three times.
    ///
    /// # Errors
    /// [`Error::Device`](crate::error::Error::Device) when it does not open.
    pub fn open_again(&self) -> Result<Self> {
        let opened = tries(WAIT, |is_first| {
            if is_first {
                return Self::open_adapter(&self.adapter, self.profile);
            }
            let choice =
                AdapterChoice { backend: Some(self.backend()), adapter: Some(self.info.name.clone()), turn: 0 };
            Self::open_adapter(&choice.select()?, self.profile)
        });
        match opened {
            Ok(gpu) => Ok(Self {
                interrupt: self.interrupt.clone(),
                tuning: self.tuning.clone(),
                submissions: self.submissions.clone(),
                most_at_once: self.most_at_once.clone(),
                ..gpu
            }),
            Err(source) => {
                Err(DeviceError::Gone { adapter: self.info.name.clone(), tries: TRIES, source: Box::new(source) }
                    .into())
            }
        }
    }
}

/// Tries until something opens, and says each time whether it is the first.
fn tries<T>(wait: Duration, mut open: impl FnMut(bool) -> Result<T>) -> Result<T> {
    let mut opened = open(true);
    for _ in 1..TRIES {
        if opened.is_ok() {
            break;
        }
        thread::sleep(wait);
        opened = open(false);
    }
    opened
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_opened_at_the_third_try_or_never() {
        for (opens_at, is_open) in [(1, true), (3, true), (4, false)] {
            let mut count = 0;
            let opened = tries(Duration::ZERO, |is_first| {
                count += 1;
                assert_eq!(is_first, count == 1);
                if count == opens_at { Ok(()) } else { Err(DeviceError::NoAdapter.into()) }
            });
            assert_eq!((opened.is_ok(), count), (is_open, opens_at.min(TRIES)));
        }
    }
}
