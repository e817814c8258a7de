//! One specialisation through naga, with the options that wgpu 30 gives it on each platform (`wgpu-hal`:
//! `vulkan/adapter.rs`, `dx12/device.rs`, `metal/device.rs`) and `zero_initialize_workgroup_memory` off, as
//! `program/mod.rs` asks.

use gpu_subset::device::{Profile, Storage, Variant};
use gpu_subset::program::Shader;
use naga::back::pipeline_constants::process_overrides;
use naga::back::{PipelineConstants, hlsl, msl, spv};
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{Module, ShaderStage, StorageAccess};
use std::io::Write;
use std::process::{Command, Stdio};

/// Metal 2.1 is macOS 10.14's, 3.2 is macOS 15's.
const MSL_VERSIONS: [(u8, u8); 2] = [(2, 1), (3, 2)];

/// Buffer slots of a Metal function.
const MSL_SLOTS: u8 = 31;

const STAGE: ShaderStage = ShaderStage::Compute;
const ENTRY_POINT: &str = "main";

const BOUNDS: BoundsCheckPolicies = BoundsCheckPolicies {
    index: BoundsCheckPolicy::Restrict,
    buffer: BoundsCheckPolicy::Restrict, // what drivers without robustBufferAccess2 get
    image_load: BoundsCheckPolicy::Restrict,
    binding_array: BoundsCheckPolicy::Unchecked,
};

/// Parses and validates, with what a device without optional features can do: no float atomics, no f16; and subgroups
/// in the software variant alone.
pub fn parse(shader: &Shader, profile: &Profile, constants: &[(&str, usize)]) -> Result<(Module, ModuleInfo), String> {
    let subgroups = profile.variant == Variant::Software;
    let capabilities = if subgroups { Capabilities::SUBGROUP } else { Capabilities::empty() };
    let wgsl = shader.wgsl(profile, constants);
    let options = naga::front::wgsl::Options { parse_doc_comments: false, capabilities };
    let module = naga::front::wgsl::Frontend::new_with_options(options)
        .parse(&wgsl)
        .map_err(|e| format!("does not parse: {}", e.emit_to_string(&wgsl)))?;
    let info = Validator::new(ValidationFlags::all(), capabilities)
        .subgroup_stages(naga::valid::ShaderStages::COMPUTE)
        .subgroup_operations(naga::valid::SubgroupOperationSet::all())
        .validate(&module)
        .map_err(|e| format!("is not valid: {}", e.emit_to_string(&wgsl)))?;
    Ok((module, info))
}

/// A shader whose override constants have their values.
pub struct Specialised {
    pub module: Module,
    info: ModuleInfo,
    storage: Storage,
}

/// What a binding is; storage textures, of which only SPIR-V is made, are all inputs here.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Input,
    Output,
}

impl Specialised {
    pub fn new(shader: &Shader, profile: &Profile, constants: &[(&str, usize)]) -> Result<Self, String> {
        let (module, info) = parse(shader, profile, constants)?;
        let constants: PipelineConstants =
            shader.overrides(constants).into_iter().map(|(name, value)| (name.into(), value)).collect();
        let (module, info) = process_overrides(&module, &info, Some((STAGE, ENTRY_POINT)), &constants)
            .map_err(|e| format!("override constants: {e}"))?;
        Ok(Self { module: module.into_owned(), info: info.into_owned(), storage: profile.storage })
    }

    /// Generates SPIR-V, which is checked where there is a checker; and HLSL and MSL, except with storage in textures,
    /// which is for one Vulkan driver.
    pub fn translate(&self, validator: Option<&SpirvVal>) -> Result<(), String> {
        let words = self.spirv().map_err(|e| format!("SPIR-V: {e}"))?;
        validator.map_or(Ok(()), |validator| validator.check(&words))?;
        if self.storage == Storage::Texture {
            return Ok(());
        }
        for model in [hlsl::ShaderModel::V5_1, hlsl::ShaderModel::V6_0] {
            self.hlsl(model).map_err(|e| format!("HLSL {}: {e}", model.to_str()))?;
        }
        for version in MSL_VERSIONS {
            self.msl(version).map_err(|e| format!("MSL {version:?}: {e}"))?;
        }
        Ok(())
    }

    /// Bindings in order, and what each is.
    fn bindings(&self) -> Vec<(naga::ResourceBinding, Kind)> {
        let of = |variable: &naga::GlobalVariable| {
            let kind = match variable.space {
                naga::AddressSpace::Storage { access } if access.contains(StorageAccess::STORE) => Kind::Output,
                naga::AddressSpace::Uniform => Kind::Number,
                _ => Kind::Input,
            };
            Some((variable.binding?, kind))
        };
        let mut bindings: Vec<_> = self.module.global_variables.iter().filter_map(|(_, v)| of(v)).collect();
        bindings.sort_by_key(|(binding, _)| (binding.group, binding.binding));
        bindings
    }

    fn spirv(&self) -> Result<Vec<u32>, String> {
        use spv::Capability as C;
        let bindings = self.bindings().into_iter().map(|(at, _)| {
            (at, spv::BindingInfo { descriptor_set: at.group, binding: at.binding, binding_array_size: None })
        });
        let options = spv::Options {
            lang_version: (1, 6), // Vulkan 1.3
            flags: spv::WriterFlags::LABEL_VARYINGS | spv::WriterFlags::FORCE_POINT_SIZE,
            capabilities: match self.storage {
                Storage::Buffer => {
                    Some([C::Shader, C::Matrix, C::ImageQuery, C::DerivativeControl].into_iter().collect())
                }
                Storage::Texture => None, // subgroups, too
            },
            binding_map: bindings.collect(),
            fake_missing_bindings: false,
            bounds_check_policies: BOUNDS,
            zero_initialize_workgroup_memory: spv::ZeroInitializeWorkgroupMemoryMode::None,
            ..Default::default()
        };
        let pipeline = spv::PipelineOptions { shader_stage: STAGE, entry_point: ENTRY_POINT.into() };
        spv::write_vec(&self.module, &self.info, &options, Some(&pipeline)).map_err(|e| e.to_string())
    }

    fn hlsl(&self, shader_model: hlsl::ShaderModel) -> Result<String, String> {
        let (mut inputs, mut outputs, mut numbers) = (0.., 0.., 1..); // t, u and b registers; b0 is num_workgroups
        let targets = self.bindings().into_iter().map(|(at, kind)| {
            let registers = match kind {
                Kind::Input => &mut inputs,
                Kind::Output => &mut outputs,
                Kind::Number => &mut numbers,
            };
            (at, hlsl::BindTarget { register: registers.next().unwrap(), ..Default::default() })
        });
        let options = hlsl::Options {
            shader_model,
            binding_map: targets.collect(),
            fake_missing_bindings: false,
            special_constants_binding: Some(hlsl::BindTarget::default()), // num_workgroups
            zero_initialize_workgroup_memory: false,
            restrict_indexing: true,
            force_loop_bounding: true,
            ..Default::default()
        };
        let pipeline = hlsl::PipelineOptions { entry_point: Some((STAGE, ENTRY_POINT.into())) };
        let mut text = String::new();
        let written = hlsl::Writer::new(&mut text, &options, &pipeline).write(&self.module, &self.info, None);
        entry_point(written.map_err(|e| e.to_string())?.entry_point_names)?;
        Ok(text)
    }

    fn msl(&self, lang_version: (u8, u8)) -> Result<String, String> {
        let mut resources = msl::EntryPointResources::default();
        let mut slots = 0..MSL_SLOTS;
        let mut slot = || slots.next().ok_or(format!("more than {MSL_SLOTS} buffers"));
        for (at, kind) in self.bindings() {
            let mutable = kind == Kind::Output;
            resources.resources.insert(at, msl::BindTarget { buffer: Some(slot()?), mutable, ..Default::default() });
        }
        resources.sizes_buffer = Some(slot()?); // lengths of run-time sized arrays
        let options = msl::Options {
            lang_version,
            per_entry_point_map: msl::EntryPointResourceMap::from([(ENTRY_POINT.into(), resources)]),
            fake_missing_bindings: false,
            bounds_check_policies: BOUNDS,
            zero_initialize_workgroup_memory: false,
            force_loop_bounding: true,
            ..Default::default()
        };
        let pipeline = msl::PipelineOptions { entry_point: Some((STAGE, ENTRY_POINT.into())), ..Default::default() };
        let written = msl::write_string(&self.module, &self.info, &options, &pipeline);
        let (text, info) = written.map_err(|e| e.to_string())?;
        entry_point(info.entry_point_names)?;
        Ok(text)
    }
}

/// Backends write what they can and report an entry point that they could not write here.
fn entry_point<E: ToString>(names: Vec<Result<String, E>>) -> Result<(), String> {
    let name = names.into_iter().next().ok_or("no entry point")?;
    name.map(|_| ()).map_err(|e| e.to_string())
}

/// The Khronos validator, an optional tool.
pub struct SpirvVal;

impl SpirvVal {
    pub fn find() -> Option<Self> {
        Command::new("spirv-val").arg("--version").output().is_ok_and(|output| output.status.success()).then_some(Self)
    }

    fn check(&self, words: &[u32]) -> Result<(), String> {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let mut command = Command::new("spirv-val");
        command.args(["--target-env", "vulkan1.3"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|e| format!("spirv-val: {e}"))?;
        child.stdin.take().unwrap().write_all(&bytes).map_err(|e| format!("spirv-val: {e}"))?;
        let output = child.wait_with_output().map_err(|e| format!("spirv-val: {e}"))?;
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        if output.status.success() { Ok(()) } else { Err(format!("spirv-val: {said}")) }
    }
}

#[test]
fn every_platform_gets_what_it_needs() {
    const HALF: Shader = Shader::new(
        "half",
        "override LEN: u32;\n@group(0) @binding(0) var<storage, read> x: array<f32>;\n\
         @group(0) @binding(1) var<storage, read_write> y: array<f32>;\nvar<workgroup> s: array<f32, LEN>;\n\
         @compute @workgroup_size(LEN) fn main(@builtin(local_invocation_index) i: u32) {\n\
         s[i] = x[i];\nworkgroupBarrier();\ny[i] = 0.5 * s[LEN - 1u - i];\n}\n",
    );
    let half = Specialised::new(&HALF, &Profile::PORTABLE, &[("LEN", 32)]).unwrap();
    assert_eq!(half.spirv().unwrap()[0], 0x0723_0203);
    for expected in
        ["numthreads(32, 1, 1)", "ByteAddressBuffer x : register(t0)", "RWByteAddressBuffer y : register(u0)"]
    {
        let text = half.hlsl(hlsl::ShaderModel::V5_1).unwrap();
        assert!(text.contains(expected), "{expected} is not in\n{text}");
    }
    for expected in ["[[buffer(0)]]", "[[buffer(1)]]", "_buffer_sizes [[buffer(2)]]"] {
        let text = half.msl(MSL_VERSIONS[0]).unwrap();
        assert!(text.contains(expected), "{expected} is not in\n{text}");
    }
    for constants in [&[][..], &[("LEN", 32), ("WIDTH", 1)]] {
        let why = Specialised::new(&HALF, &Profile::PORTABLE, constants)
            .err()
            .expect("a missing or unknown constant is an error");
        assert!(why.starts_with("override constants"), "{why}");
    }
    if let Some(validator) = SpirvVal::find() {
        half.translate(Some(&validator)).unwrap();
        assert!(validator.check(&[0x0723_0203, 0]).is_err());
    }
}
