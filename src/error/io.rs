//! Files of ours that cannot be written.

use super::text::{BoxError, shown};
use std::path::PathBuf;

/// What cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum IoError {
    /// A file or folder.
    #[error("{doing} {} failed", shown(path))]
    File {
        /// What was being done to it: creating, writing, removing, starting.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file of a published data set.
    #[error("fetching {} failed: {}", shown(path), shown(faults.join("; ")))]
    Fetch {
        /// Where it should be.
        path: PathBuf,
        /// What was wrong with each address.
        faults: Vec<String>,
        /// All files that are missing.
        missing: Vec<PathBuf>,
    },
    /// A chart.
    #[error("drawing a chart failed")]
    Chart {
        /// What the drawing library says.
        source: BoxError,
    },
    /// An image of a page.
    #[error("encoding an image failed")]
    Image {
        /// What the encoder says.
        source: image::ImageError,
    },
}
