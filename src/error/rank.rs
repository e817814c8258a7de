//! What ends a run of several ranks because of another of them.

use super::text::shown;
use serde::{Deserialize, Serialize};

/// What kind of error it was, where the error itself is in another process: each has its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureKind {
    /// [`Error::Usage`](super::Error::Usage)
    Usage,
    /// [`Error::Data`](super::Error::Data)
    Data,
    /// [`Error::Device`](super::Error::Device)
    Device,
    /// [`Error::OutOfMemory`](super::Error::OutOfMemory)
    OutOfMemory,
    /// [`Error::Diverged`](super::Error::Diverged)
    Diverged,
    /// [`Error::Stopped`](super::Error::Stopped) and [`Error::Interrupted`](super::Error::Interrupted)
    Stopped,
    /// [`Error::Io`](super::Error::Io)
    System,
}

/// Why ranks do not go on together.
#[derive(Debug, thiserror::Error)]
pub enum RankError {
    /// A rank met an error.
    #[error("rank {rank} on {}: {why}", shown(host))]
    Failed {
        /// Which.
        rank: usize,
        /// Its machine.
        host: String,
        /// What its error says.
        why: String,
        /// Of what kind that is.
        failure: FailureKind,
    },
    /// A rank runs another program.
    #[error("rank {rank} on {}: its program is not that of rank 0", shown(host))]
    OtherProgram {
        /// Which.
        rank: usize,
        /// Its machine.
        host: String,
    },
    /// A message that is none.
    #[error("a message between ranks cannot be read: {why}")]
    Message {
        /// What is wrong with it.
        why: String,
    },
    /// Ranks that do not find one another.
    #[error("{ranks} ranks were started, but this one finds {found}")]
    OtherMpi {
        /// How many.
        ranks: usize,
        /// How many this program's MPI knows.
        found: usize,
    },
    /// Ranks that no exchange connects.
    #[error("{ranks} ranks were started, but this program was built without MPI")]
    NoMpi {
        /// How many.
        ranks: usize,
    },
}

impl RankError {
    /// Of what kind it is.
    pub fn failure(&self) -> FailureKind {
        match self {
            Self::Failed { failure, .. } => *failure,
            Self::OtherProgram { .. } | Self::OtherMpi { .. } | Self::NoMpi { .. } => FailureKind::Usage,
            Self::Message { .. } => FailureKind::System,
        }
    }
}
