//! How the process ends.

use crate::error::Error;
use std::process::ExitCode;

/// The documented exit code of an error.
pub fn exit_code(error: &anyhow::Error) -> ExitCode {
    ExitCode::from(match error.downcast_ref::<Error>() {
        Some(Error::Usage(_)) => 2,
        Some(Error::Data(_)) => 3,
        Some(Error::Device(_)) => 4,
        Some(Error::OutOfMemory(_)) => 5,
        Some(Error::Diverged(_)) => 6,
        Some(Error::Interrupted(_)) => 130,
        Some(Error::Io(_)) | None => 1,
    })
}

/// The error of a process of ours that ended with this code: the inverse of [`exit_code`].
pub(super) fn error_of(code: Option<i32>, message: String) -> Error {
    match code {
        Some(2) => Error::Usage(message),
        Some(3) => Error::Data(message),
        Some(4) => Error::Device(message),
        Some(5) => Error::OutOfMemory(message),
        Some(6) => Error::Diverged(message),
        Some(130) => Error::Interrupted(message),
        _ => Error::Io(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_code_and_its_error_are_inverse() {
        for code in [1, 2, 3, 4, 5, 6, 130] {
            let error = error_of(Some(code), "why".to_owned());
            assert_eq!(format!("{:?}", exit_code(&error.into())), format!("{:?}", ExitCode::from(code as u8)));
        }
    }
}
