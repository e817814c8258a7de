//! What runs leave behind: a folder and the record that sums it up, the table of many, and the page about some.

mod chart;
mod curves;
mod evaluation;
mod failure;
mod headline;
mod history;
mod metrics;
mod page;
mod picture;
mod plots;
mod predictions;
mod table;

pub use chart::{Axis, Chart, Mark, Scale, Series};
pub use curves::charts;
pub use evaluation::{Labelled, TestEvaluation, Worst};
pub use failure::{Failure, failures};
pub use history::History;
pub use metrics::{ClassMetrics, Metrics};
pub use page::{is_page, page};
pub use picture::example_png;
pub use predictions::{Confusion, Mistake, mean_cross_entropy, worst_mistakes};
pub use table::{Reached, Row, RowOptions, Spread, costs_to_reach, table};
