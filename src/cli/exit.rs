//! How the process ends.

use super::advice;
use super::output::say;
use super::signals::{self, STOPPED};
use crate::error::{Error, FailureKind};
use std::process::ExitCode;

/// The exit code of a run that diverged.
pub(super) const DIVERGED: u8 = 6;

/// An error in one line: what, where, why, and what to do about it.
pub fn describe(error: &anyhow::Error) -> String {
    advice::line(error.as_ref())
}

/// Says what went wrong, and with which code the process ends.
pub fn fail(error: &anyhow::Error) -> ExitCode {
    say!("error: {}", describe(error));
    exit_code(error)
}

/// Ends a process that was told to stop, and has saved what there is. Nobody waits for what the device still has to do,
/// or for the kernels that threads compile, as dropping it would.
pub(super) fn leave(stopped: &Error) -> ! {
    say!("error: {}", advice::line(stopped));
    signals::end()
}

/// The documented exit code of an error.
pub fn exit_code(error: &anyhow::Error) -> ExitCode {
    if let Some(ChildFailure { code: Some(code @ (2..=6 | 130)), .. }) = error.downcast_ref() {
        return ExitCode::from(*code as u8);
    }
    ExitCode::from(error.downcast_ref().map_or(1, code_of))
}

/// The same as a number.
pub(super) fn code_of(error: &Error) -> u8 {
    match error.failure() {
        FailureKind::Usage => 2,
        FailureKind::Data => 3,
        FailureKind::Device => 4,
        FailureKind::OutOfMemory => 5,
        FailureKind::Diverged => DIVERGED,
        FailureKind::Stopped => STOPPED,
        FailureKind::System => 1,
    }
}

/// A process of ours that failed, and what it said. This one ends with the same code.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(super) struct ChildFailure {
    /// None where a signal ended it.
    pub code: Option<i32>,
    /// With what to do about it, as it said it.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{DeviceError, MemoryError};
    use std::path::Path;

    #[test]
    fn each_kind_of_error_has_its_exit_code() {
        let (tensor, stage, path) = ("the loss".to_owned(), "subset".to_owned(), Path::new("x"));
        let denied = || std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        let kinds: [(anyhow::Error, u8); 9] = [
            (Error::usage("why").into(), 2),
            (Error::unreadable(path, denied()).into(), 3),
            (Error::from(DeviceError::NoAdapter).into(), 4),
            (Error::from(MemoryError::Device { adapter: "a".to_owned() }).into(), 5),
            (
                Error::Diverged { tensor, iteration: 1, stage: stage.clone(), learning_rate: None, weight_decay: 0.0 }
                    .into(),
                6,
            ),
            (Error::Stopped.into(), 130),
            (Error::Interrupted { iteration: 1, stage }.into(), 130),
            (Error::io("writing", path, denied()).into(), 1),
            (anyhow::anyhow!("anything else"), 1),
        ];
        for (error, code) in kinds {
            assert_eq!(exit_code(&error), ExitCode::from(code), "{error:?}");
        }
    }

    #[test]
    fn a_child_passes_its_exit_code_on() {
        for code in [1, 2, 3, 4, 5, 6, 130] {
            let error = ChildFailure { code: Some(code), message: "why".to_owned() }.into();
            assert_eq!(exit_code(&error), ExitCode::from(code as u8));
            assert_eq!(describe(&error), "why");
        }
        for code in [None, Some(101), Some(0), Some(-1)] {
            assert_eq!(exit_code(&ChildFailure { code, message: String::new() }.into()), ExitCode::from(1), "{code:?}");
        }
    }
}
