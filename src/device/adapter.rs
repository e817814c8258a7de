//! Choosing an adapter: flags first, then wgpu's environment variables, then the most capable one.

use crate::error::{DeviceError, Result, UsageError};
use wgpu::{Backend, Backends, DeviceType};

/// What the user asked for. `Default` takes the environment (`WGPU_BACKEND`, `WGPU_ADAPTER_NAME`, `WGPU_POWER_PREF`).
#[derive(Clone, Debug, Default)]
pub struct AdapterChoice {
    /// `vulkan`, `metal`, `dx12` or `gl`; several separated by commas.
    pub backend: Option<String>,
    /// Part of an adapter's name (any case), or its index in the list of `gpu-subset devices`.
    pub adapter: Option<String>,
    /// Where none is named: which of those of the most capable class, counted round; for the ranks of a machine.
    pub turn: usize,
}

/// The interfaces by name.
const BACKENDS: [&str; 4] = ["vulkan", "metal", "dx12", "gl"];

impl AdapterChoice {
    /// Every adapter the chosen backends offer, in the order that indexes refer to. GL, whose drivers talk on stderr
    /// while they are looked for, only when it is asked for or the native interfaces offer nothing.
    ///
    /// # Errors
    /// [`Error::Usage`](crate::error::Error::Usage) on a backend name that does not exist.
    pub fn enumerate(&self) -> Result<Vec<wgpu::Adapter>> {
        if let Some(list) = &self.backend {
            return Ok(enumerate(parse_backends(list)?));
        }
        if let Some(backends) = Backends::from_env() {
            return Ok(enumerate(backends));
        }
        let native = enumerate(Backends::PRIMARY);
        Ok(if native.is_empty() { enumerate(Backends::GL) } else { native })
    }

    /// How many of these there are to choose from where none is named: those of the most capable class, through one
    /// interface.
    ///
    /// # Errors
    /// As [`AdapterChoice::enumerate`].
    pub fn alike(&self) -> Result<usize> {
        Ok(most_capable(self.enumerate()?).len())
    }

    /// The adapter to use: the one named, or the first of the most capable class, or another of that class in turn.
    ///
    /// # Errors
    /// [`Error::Device`](crate::error::Error::Device) when there is no adapter, or none of that name or index.
    pub fn select(&self) -> Result<wgpu::Adapter> {
        let adapters = self.enumerate()?;
        let names: Vec<String> = adapters.iter().map(|adapter| adapter.get_info().name).collect();
        let Some(wanted) = self.adapter.clone().or_else(|| std::env::var("WGPU_ADAPTER_NAME").ok()) else {
            let mut alike = most_capable(adapters);
            let turn = self.turn.checked_rem(alike.len()).ok_or(DeviceError::NoAdapter)?;
            return Ok(alike.swap_remove(turn));
        };
        let found = position(&names, &wanted).and_then(|index| adapters.into_iter().nth(index));
        found.ok_or_else(|| DeviceError::NoSuchAdapter { wanted, found: names }.into())
    }
}

/// Those of the most capable class, of the interface that the first of them has: the others may offer them again.
fn most_capable(mut adapters: Vec<wgpu::Adapter>) -> Vec<wgpu::Adapter> {
    let low_power = wgpu::PowerPreference::from_env() == Some(wgpu::PowerPreference::LowPower);
    let class = |adapter: &wgpu::Adapter| class_order(adapter.get_info().device_type, low_power);
    let first = adapters.iter().min_by_key(|adapter| class(adapter));
    let Some((best, backend)) = first.map(|first| (class(first), first.get_info().backend)) else { return adapters };
    adapters.retain(|adapter| class(adapter) == best && adapter.get_info().backend == backend);
    adapters
}

fn enumerate(backends: Backends) -> Vec<wgpu::Adapter> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
    descriptor.backends = backends;
    // Grids on the device are never larger than one that was checked when it was recorded; wgpu's own check is a
    // dispatch for each.
    descriptor.flags.remove(wgpu::InstanceFlags::VALIDATION_INDIRECT_CALL);
    let instance = wgpu::Instance::new(descriptor);
    let mut adapters = pollster::block_on(instance.enumerate_adapters(backends));
    adapters.retain(|adapter| adapter.get_info().backend != Backend::Noop);
    adapters.sort_by_key(|adapter| backend_order(adapter.get_info().backend)); // stable: the driver's own order inside
    adapters
}

/// The index named by `wanted`: a number, or part of a name in any case.
fn position(names: &[String], wanted: &str) -> Option<usize> {
    match wanted.parse::<usize>() {
        Ok(index) => (index < names.len()).then_some(index),
        Err(_) => names.iter().position(|name| name.to_lowercase().contains(&wanted.to_lowercase())),
    }
}

fn parse_backends(list: &str) -> Result<Backends> {
    list.split(',').try_fold(Backends::empty(), |backends, name| {
        Ok(backends
            | match name.trim().to_lowercase().as_str() {
                "vulkan" | "vk" => Backends::VULKAN,
                "metal" | "mtl" => Backends::METAL,
                "dx12" | "d3d12" => Backends::DX12,
                "gl" | "gles" | "opengl" => Backends::GL,
                _ => {
                    return Err(UsageError::Backend { name: name.to_owned(), known: &BACKENDS }.into());
                }
            })
    })
}

/// Native interfaces before GL, which is a fallback with tighter limits.
fn backend_order(backend: Backend) -> u32 {
    match backend {
        Backend::Vulkan => 0,
        Backend::Metal => 1,
        Backend::Dx12 => 2,
        Backend::Gl => 3,
        _ => 4,
    }
}

fn class_order(class: DeviceType, low_power: bool) -> u32 {
    match class {
        DeviceType::DiscreteGpu => u32::from(low_power),
        DeviceType::IntegratedGpu => u32::from(!low_power),
        DeviceType::VirtualGpu => 2,
        DeviceType::Other => 3,
        DeviceType::Cpu => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn adapters_are_named_by_index_or_by_part_of_a_name() {
        let names = ["NVIDIA RTX".to_owned(), "llvmpipe (LLVM 15)".to_owned()];
        assert_eq!(position(&names, "1"), Some(1));
        assert_eq!(position(&names, "LLVM"), Some(1));
        assert_eq!(position(&names, "2"), None);
        assert_eq!(position(&names, "radeon"), None);
    }

    #[test]
    fn backends_are_listed_by_name() {
        assert_eq!(parse_backends("vulkan, GL").unwrap(), Backends::VULKAN | Backends::GL);
        assert!(matches!(parse_backends("cuda"), Err(Error::Usage(_))));
    }

    #[test]
    fn low_power_prefers_the_integrated_adapter() {
        let order = |low| class_order(DeviceType::IntegratedGpu, low) < class_order(DeviceType::DiscreteGpu, low);
        assert!(order(true) && !order(false));
    }
}
