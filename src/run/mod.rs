//! A run, from what is asked for to what it leaves behind: configuration, everything it works on, weights, forecast,
//! evaluation, run folder. Whatever the program `gpu-subset` does with a run, a Rust program does with this room.

mod assembly;
mod builder;
mod class_weights;
mod columns;
mod config;
mod contents;
mod events;
mod folder;
mod forecast;
mod held_out;
mod initial;
mod likely;
mod lock;
mod metrics;
mod moved;
mod pixels;
mod predictions;
mod predictor;
mod record;
mod recovery;
mod spread;
mod start;
mod step_log;
mod step_table;
mod steps;
mod trained;
mod weights;

pub use assembly::Run;
pub use builder::{CHECKPOINT_EVERY, RunBuilder, Schedule};
pub use class_weights::ClassWeights;
pub use config::Config;
pub use folder::{Resumed, RunFolder};
pub use forecast::{Forecast, Fraction};
pub use initial::InitialWeights;
pub use likely::{Likely, likeliest};
pub use lock::FolderLock;
pub use metrics::{ClassMetrics, Metrics};
pub use pixels::Pixels;
pub use predictions::{Confusion, Mistake, mean_cross_entropy, worst_mistakes};
pub use predictor::Predictor;
pub use record::RunRecord;
pub use spread::OtherRange;
pub use step_log::LogFormat;
pub use trained::Trained;
pub use weights::Weights;
