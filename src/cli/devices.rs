//! `gpu-subset devices`

use super::device::DeviceArgs;
use super::output::show;
use crate::error::printable;
use anyhow::Result;
use clap::Args;

#[derive(Args)]
pub(super) struct DevicesArgs {
    #[command(flatten)]
    device: DeviceArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &DevicesArgs) -> Result<()> {
    let choice = args.device.choice();
    let adapters = choice.summaries()?;
    if args.json {
        show!("{}", serde_json::to_string_pretty(&adapters)?)?;
    } else {
        adapters.iter().try_for_each(|adapter| show!("{}", printable(&adapter.to_string())))?;
    }
    if adapters.is_empty() || choice.adapter.is_some() {
        choice.select()?; // says what to do when there is none, or none of that name
    }
    Ok(())
}
