//! `gpu-subset --version --verbose`: what a bug report needs of the program and of the machine.

use super::output::show;
use crate::device::AdapterChoice;
use crate::error::printable;
use anyhow::Result;

/// What the build knew (`build.rs`).
const COMMIT: Option<&str> = option_env!("GPU_SUBSET_COMMIT");
const TARGET: &str = env!("GPU_SUBSET_TARGET");
const WGPU: Option<&str> = option_env!("GPU_SUBSET_WGPU");

pub(super) fn run() -> Result<()> {
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    let known = |what: Option<&'static str>| what.unwrap_or("not known to the build");
    show!("gpu-subset {}", env!("CARGO_PKG_VERSION"))?;
    show!("commit     {}", known(COMMIT))?;
    show!("features   cli, report")?; // the program has no fewer
    show!("target     {TARGET}, {profile}")?;
    show!("wgpu       {}", known(WGPU))?;
    let adapters = AdapterChoice::default().summaries()?;
    show!("adapters{}", if adapters.is_empty() { "   none" } else { ":" })?;
    adapters.iter().try_for_each(|adapter| show!("{}", printable(&adapter.to_string())))?;
    Ok(())
}
