//! What happens to a run's device.

use std::fmt;

/// What happened to the device of a run, which goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incident {
    /// The device was lost and opened again. The run goes on from its last state, to the same bits.
    Lost {
        /// What was said of it.
        why: String,
    },
    /// The device had too little memory. The run goes on in smaller chunks.
    Memory {
        /// What was said of it.
        why: String,
        /// Examples of a chunk before and from now on.
        chunk: [usize; 2],
    },
}

impl fmt::Display for Incident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost { why } => write!(f, "{why}; it is open again, and the run goes on from its last state"),
            Self::Memory { why, chunk: [before, after] } => write!(
                f,
                "{why}; the run goes on in chunks of {after} examples in place of {before}, whose sums may round to \
                 other bits"
            ),
        }
    }
}
