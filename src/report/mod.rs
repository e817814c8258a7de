//! What a run leaves behind: its folder and the record that sums it up.

mod run_folder;

pub use run_folder::{RunFolder, RunRecord};
