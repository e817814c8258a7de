//! Which adapter to use.

use super::output::say;
use crate::device::{AdapterChoice, Gpu};
use crate::error::{Result, shown};
use clap::Args;

/// Which adapter to use.
#[derive(Args, Clone)]
pub(super) struct DeviceArgs {
    /// Interface: vulkan, metal, dx12 or gl
    #[arg(long, value_name = "NAME")]
    pub backend: Option<String>,
    /// Adapter: part of its name, or its index in `gpu-subset devices`
    #[arg(long, value_name = "NAME|INDEX", allow_negative_numbers = true)]
    pub adapter: Option<String>,
    /// Take the default tiles; otherwise a few are timed for a new network, for some seconds once, and remembered in
    /// the cache folder
    #[arg(long)]
    no_autotune: bool,
}

impl DeviceArgs {
    pub(super) fn choice(&self) -> AdapterChoice {
        AdapterChoice { backend: self.backend.clone(), adapter: self.adapter.clone(), turn: 0 }
    }

    /// Opens the adapter; a software one is used with one notice line.
    pub(super) fn open(&self) -> Result<Gpu> {
        self.open_in_turn(0)
    }

    /// The same for one of several processes on a machine, which take adapters in turn.
    pub(super) fn open_in_turn(&self, turn: usize) -> Result<Gpu> {
        let gpu = self.open_silently(turn)?;
        if gpu.is_software() {
            let other = if gpu.backend().eq_ignore_ascii_case("gl") {
                "; a software Vulkan driver (Debian's mesa-vulkan-drivers) would be some ten times as fast"
            } else {
                ""
            };
            say!("note: {} is a software adapter: right, but slower than a GPU{other}", shown(&gpu.info.name));
        }
        Ok(gpu)
    }

    /// The same without a word.
    pub(super) fn open_silently(&self, turn: usize) -> Result<Gpu> {
        let gpu = Gpu::open(&AdapterChoice { turn, ..self.choice() })?;
        if !self.no_autotune {
            gpu.enable_tuning(None);
        }
        Ok(gpu)
    }
}
