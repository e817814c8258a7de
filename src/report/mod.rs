//! What runs leave behind: a folder and the record that sums it up, and the table of many.

mod run_folder;
mod table;

pub use run_folder::{RunFolder, RunRecord};
pub use table::{Options, Reached, Row, Spread, costs_to_reach, table};
