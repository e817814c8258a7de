//! What runs leave behind: a folder and the record that sums it up, the table of many, and the page about some.

mod chart;
mod class_table;
mod curves;
mod evaluation;
mod failure;
mod headline;
mod history;
mod labelled;
mod network;
mod page;
mod picture;
mod plots;
mod sentence;
mod table;

pub use chart::{Axis, Chart, Mark, Scale, Series};
pub use class_table::ClassExample;
pub use curves::charts;
pub use evaluation::{TestEvaluation, Worst};
pub use failure::{Failure, failures};
pub use history::History;
pub use labelled::Labelled;
pub use network::NetworkDrawing;
pub use page::{is_page, page};
pub use picture::{example_image, example_png};
pub use sentence::spoken;
pub use table::{Reached, Row, RowOptions, Spread, costs_to_reach, table};
