//! `gpu-subset data`: what a data set holds, and fetching published ones.

use super::data_fetch::{self, FetchArgs};
use super::data_info::{self, InfoArgs};
use clap::{Args, Subcommand};

#[derive(Args)]
pub(super) struct DataArgs {
    #[command(subcommand)]
    what: DataCommand,
}

#[derive(Subcommand)]
enum DataCommand {
    /// Say what a data set holds: format, shape, classes with their counts, mean and deviation, SHA-256, memory
    Info(InfoArgs),
    /// Fetch a published data set, each file checked by its SHA-256; what was cut off goes on where it ended
    Fetch(FetchArgs),
}

pub(super) fn run(args: &DataArgs) -> anyhow::Result<()> {
    match &args.what {
        DataCommand::Info(args) => data_info::run(args),
        DataCommand::Fetch(args) => data_fetch::run(args),
    }
}
