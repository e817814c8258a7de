//! How work is laid out on an adapter: one row a class of adapter. Kernels take the numbers as override constants, and
//! the variant chooses the preludes that differ.

use crate::error::Lack;

/// Storage buffers, or storage textures, that a kernel of ours may bind.
pub const MAX_STORAGE: u32 = 8;

/// Bindings of a kernel: what it may store, and a number or two.
pub const MAX_BINDINGS: usize = MAX_STORAGE as usize + 2;

/// Which variant of the kernels runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Variant {
    /// Software Vulkan with subgroups of eight (lavapipe): weights spread over lanes, activations in textures.
    Software,
    /// GPUs: sums over a workgroup in its memory.
    Discrete,
    /// Anything else: neither.
    Portable,
}

/// Where quads (activations, packed weights, the data set) live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Storage {
    /// Storage buffers.
    Buffer,
    /// Storage textures of four 32-bit channels. lavapipe gathers a texel an invocation with vector instructions, but
    /// the words of a buffer one by one: 13 ns against 223 for eight vec4 (AVX2; 22 with AVX-512).
    Texture,
}

/// How a row of weights reaches the invocations that all need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WeightRows {
    /// Spread over the lanes of a subgroup of eight, and shuffled.
    Lanes,
    /// Staged in workgroup memory.
    Shared,
    /// Loaded from addresses that all share: where a GPU loads these once for a subgroup, into scalar registers.
    Uniform,
}

/// PCI vendors whose GPUs load what a subgroup shares into scalar registers: AMD and Intel. (Compiled for RDNA 2 and 3,
/// products have a third of the latency less and a quarter more of throughput: docs/performance.md.)
const SCALAR_LOADS: [u32; 2] = [0x1002, 0x8086];

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Kernel variant.
    pub variant: Variant,
    /// Home of quads.
    pub storage: Storage,
    /// How products get their weights.
    pub weights: WeightRows,
    /// B: images of one batch block, innermost in memory; a multiple of 4. A block's lanes are vec4, so B/4
    /// invocations.
    pub block: usize,
    /// Tiles that share a workgroup, so that a workgroup has B/4 × rows invocations.
    pub rows: usize,
    /// Workgroups that keep the device busy; reductions are split until there are about so many.
    pub workgroups: usize,
    /// Examples of one chunk, at most: enough to fill the device, few enough for its caches.
    pub chunk: usize,
}

impl Profile {
    /// Mesa's lavapipe: eight lanes are one AVX register, and a workgroup needs no company.
    pub const SOFTWARE: Self = Self {
        variant: Variant::Software,
        storage: Storage::Texture,
        weights: WeightRows::Lanes,
        block: 32,
        rows: 1,
        workgroups: 16,
        chunk: 512,
    };
    /// Real GPUs: 128 invocations a workgroup, two or four subgroups wide.
    pub const DISCRETE: Self = Self {
        variant: Variant::Discrete,
        storage: Storage::Buffer,
        weights: WeightRows::Shared,
        block: 64,
        rows: 8,
        workgroups: 512,
        chunk: 8192,
    };
    /// GPUs with scalar registers.
    pub const SCALAR: Self = Self { weights: WeightRows::Uniform, ..Self::DISCRETE };
    /// SwiftShader, GL and whatever is unknown.
    pub const PORTABLE: Self = Self {
        variant: Variant::Portable,
        storage: Storage::Buffer,
        weights: WeightRows::Uniform,
        block: 32,
        rows: 4,
        workgroups: 64,
        chunk: 1024,
    };

    /// All of them, the most particular first.
    pub const ALL: [Self; 4] = [Self::SOFTWARE, Self::DISCRETE, Self::SCALAR, Self::PORTABLE];

    /// The profile of an adapter's class.
    pub(super) fn of(adapter: &wgpu::Adapter) -> Self {
        use wgpu::DeviceType as Class;
        let info = adapter.get_info();
        let best = match info.device_type {
            _ if info.backend == wgpu::Backend::Gl => Self::PORTABLE,
            Class::Cpu => Self::SOFTWARE,
            Class::DiscreteGpu | Class::IntegratedGpu if SCALAR_LOADS.contains(&info.vendor) => Self::SCALAR,
            Class::DiscreteGpu | Class::IntegratedGpu | Class::VirtualGpu => Self::DISCRETE,
            Class::Other => Self::PORTABLE,
        };
        if best.unmet(adapter).is_none() { best } else { Self::PORTABLE }
    }

    /// What an adapter lacks for this profile, if anything.
    pub fn unmet(&self, adapter: &wgpu::Adapter) -> Option<Lack> {
        let (info, limits) = (adapter.get_info(), adapter.limits());
        if self.variant == Variant::Software
            && (!adapter.features().contains(wgpu::Features::SUBGROUP)
                || info.subgroup_min_size as usize != self.lanes()
                || info.subgroup_max_size as usize != self.lanes())
        {
            return Some(Lack::Subgroups { invocations: self.lanes() });
        }
        let (offered, needed) = (limits.max_compute_invocations_per_workgroup, self.invocations());
        if (offered as usize) < needed {
            return Some(Lack::Invocations { offered, needed });
        }
        let (offered, needed) = (limits.max_storage_textures_per_shader_stage, MAX_STORAGE);
        if self.storage == Storage::Texture && offered < needed {
            return Some(Lack::StorageTextures { offered, needed });
        }
        if self.storage == Storage::Texture && !reads_and_writes(adapter) {
            return Some(Lack::ReadWriteTextures);
        }
        None
    }

    /// Optional features that the variant uses.
    pub(super) fn features(&self) -> wgpu::Features {
        let subgroups =
            if self.variant == Variant::Software { wgpu::Features::SUBGROUP } else { wgpu::Features::empty() };
        match self.storage {
            Storage::Buffer => subgroups,
            Storage::Texture => subgroups | wgpu::Features::TEXTURE_ADAPTER_SPECIFIC_FORMAT_FEATURES,
        }
    }

    /// Invocations that share a short list of work. Lavapipe takes half a microsecond to start a subgroup, so there it
    /// is one.
    pub fn width(&self) -> usize {
        if self.variant == Variant::Software { 8 } else { 64 }
    }

    /// Workgroups of a product that are enough: on GPUs two for each of 64 units. With fewer, some of them wait for
    /// the others.
    pub fn enough_workgroups(&self) -> usize {
        self.workgroups / 4
    }

    /// Invocations of a workgroup of a product.
    pub fn invocations(&self) -> usize {
        self.lanes() * self.rows
    }

    /// Invocations along a block: one a vec4 of images.
    pub fn lanes(&self) -> usize {
        self.block / 4
    }
}

/// Whether the adapter offers what the matrices of a factorisation need beyond portable WebGPU where quads are
/// textures.
fn reads_and_writes(adapter: &wgpu::Adapter) -> bool {
    let flags = adapter.get_texture_format_features(wgpu::TextureFormat::Rgba32Float).flags;
    adapter.features().contains(wgpu::Features::TEXTURE_ADAPTER_SPECIFIC_FORMAT_FEATURES)
        && flags.contains(wgpu::TextureFormatFeatureFlags::STORAGE_READ_WRITE)
}
