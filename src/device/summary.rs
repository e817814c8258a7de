//! What matters about an adapter, for people and for bug reports.

use super::adapter::AdapterChoice;
use super::gpu::Gpu;
use super::profile::MAX_STORAGE;
use crate::error::Result;
use serde::Serialize;
use std::fmt;

/// One adapter with the limits and features that the kernels care about.
#[derive(Clone, Debug, Serialize)]
pub struct AdapterSummary {
    /// Position among the adapters of a list; `--adapter` takes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    /// Name the driver gives it.
    pub name: String,
    /// vulkan, metal, dx12 or gl.
    pub backend: String,
    /// Driver and its version.
    pub driver: String,
    /// discrete, integrated, virtual, software or other.
    pub class: &'static str,
    /// Largest view a kernel binds, in bytes: the size of a chunk of examples follows from it.
    pub max_binding: u64,
    /// Largest buffer, in bytes.
    pub max_buffer: u64,
    /// Memory a workgroup shares, in bytes.
    pub workgroup_memory: u32,
    /// Invocations a workgroup has at most.
    pub workgroup_invocations: u32,
    /// Storage buffers a shader may bind.
    pub storage_buffers: u32,
    /// Smallest and largest subgroup.
    pub subgroup_size: (u32, u32),
    /// Whether subgroup operations are offered.
    pub subgroups: bool,
    /// Whether time stamps are offered.
    pub timestamps: bool,
    /// Whether the kernels run on it.
    pub usable: bool,
}

impl AdapterChoice {
    /// A summary of every adapter of the chosen backends; of all backends, GL included, when none was chosen.
    ///
    /// # Errors
    /// [`Error::Usage`](crate::error::Error::Usage) on a backend name that does not exist.
    pub fn summaries(&self) -> Result<Vec<AdapterSummary>> {
        let mut choice = self.clone();
        if choice.backend.is_none() && wgpu::Backends::from_env().is_none() {
            choice.backend = Some("vulkan,metal,dx12,gl".to_owned());
        }
        Ok(choice.enumerate()?.iter().enumerate().map(|(index, adapter)| summary(Some(index), adapter)).collect())
    }
}

/// vulkan, metal, dx12 or gl.
fn backend(info: &wgpu::AdapterInfo) -> String {
    format!("{:?}", info.backend).to_lowercase()
}

/// Driver and its version.
fn driver(info: &wgpu::AdapterInfo) -> String {
    format!("{} {}", info.driver, info.driver_info).trim().to_owned()
}

impl Gpu {
    /// vulkan, metal, dx12 or gl.
    pub fn backend(&self) -> String {
        backend(&self.info)
    }

    /// What matters about the adapter.
    pub fn summary(&self) -> AdapterSummary {
        summary(None, &self.adapter)
    }

    /// Driver and its version.
    pub fn driver(&self) -> String {
        driver(&self.info)
    }
}

fn summary(index: Option<usize>, adapter: &wgpu::Adapter) -> AdapterSummary {
    let (info, limits, features) = (adapter.get_info(), adapter.limits(), adapter.features());
    AdapterSummary {
        index,
        name: info.name.clone(),
        backend: backend(&info),
        driver: driver(&info),
        class: match info.device_type {
            wgpu::DeviceType::DiscreteGpu => "discrete",
            wgpu::DeviceType::IntegratedGpu => "integrated",
            wgpu::DeviceType::VirtualGpu => "virtual",
            wgpu::DeviceType::Cpu => "software",
            wgpu::DeviceType::Other => "other",
        },
        max_binding: limits.max_storage_buffer_binding_size,
        max_buffer: limits.max_buffer_size,
        workgroup_memory: limits.max_compute_workgroup_storage_size,
        workgroup_invocations: limits.max_compute_invocations_per_workgroup,
        storage_buffers: limits.max_storage_buffers_per_shader_stage,
        subgroup_size: (info.subgroup_min_size, info.subgroup_max_size),
        subgroups: features.contains(wgpu::Features::SUBGROUP),
        timestamps: features.contains(wgpu::Features::TIMESTAMP_QUERY),
        usable: limits.max_storage_buffers_per_shader_stage >= MAX_STORAGE,
    }
}

impl fmt::Display for AdapterSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { index, name, backend, driver, class, subgroup_size: (least, most), .. } = self;
        let index = index.map_or(String::new(), |index| format!("{index}: "));
        writeln!(f, "{index}{name}  [{backend}, {class}{}]", if self.usable { "" } else { ", too small" })?;
        writeln!(f, "   driver              {driver}")?;
        writeln!(f, "   binding / buffer    {} / {} MiB", self.max_binding >> 20, self.max_buffer >> 20)?;
        writeln!(
            f,
            "   workgroup           {} invocations, {} KiB",
            self.workgroup_invocations,
            self.workgroup_memory >> 10
        )?;
        writeln!(f, "   storage buffers     {} a shader ({MAX_STORAGE} needed)", self.storage_buffers)?;
        let offered = |yes| if yes { "offered" } else { "not offered" };
        writeln!(f, "   subgroups           {}, size {least} to {most}", offered(self.subgroups))?;
        write!(f, "   time stamps         {}", offered(self.timestamps))
    }
}
