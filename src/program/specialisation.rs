//! Making a pipeline of a shader and its constants.

use super::bindings::bind_group;
use super::shader::Shader;
use crate::device::{Binding, Blank, Compiled, Gpu, Pipeline, Profile, Source, Variant};
use crate::error::{Result, ShaderRejection, one_line};
use std::sync::Arc;

/// The pipeline of a shader with these constants, compiled at most once a device, in the background.
pub(super) fn pipeline(
    gpu: &Gpu,
    shader: &Shader,
    constants: &[(&'static str, usize)],
    bindings: &[Binding],
) -> Arc<Pipeline<Gpu>> {
    gpu.pipelines.of((shader.name, constants.to_vec()), || Specialisation {
        shader: *shader,
        constants: constants.to_vec(),
        blanks: bindings.iter().map(Blank::of).collect(),
        profile: gpu.profile,
        adapter: gpu.info.name.clone(),
    })
}

/// A shader with its constants, and what its bindings look like.
struct Specialisation {
    shader: Shader,
    constants: Vec<(&'static str, usize)>,
    blanks: Vec<Blank>,
    profile: Profile,
    adapter: String,
}

/// What tools that watch a driver see of a pipeline: its shader's name and constants.
fn label(shader: &Shader, constants: &[(&'static str, usize)]) -> String {
    let constants = constants.iter().map(|(name, value)| format!(" {name}={}", *value as isize));
    shader.name.to_owned() + &constants.collect::<String>()
}

impl Source<Gpu> for Specialisation {
    fn compile(&self, device: &wgpu::Device) -> Compiled {
        let Self { shader, constants, profile, adapter, .. } = self;
        let label = label(shader, constants);
        let scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
        let internal = device.push_error_scope(wgpu::ErrorFilter::Internal); // a driver's own compiler
        let source = wgpu::ShaderModuleDescriptor {
            label: Some(shader.name),
            source: wgpu::ShaderSource::Wgsl(shader.wgsl(profile, constants).into()),
        };
        let mut checks = wgpu::ShaderRuntimeChecks::checked();
        // AMD's compiler unrolls what is not bounded, out of scalar registers; on a CPU only compilation takes longer.
        checks.force_loop_bounding = profile.variant != Variant::Software;
        checks.int_div_checks = false;
        // SAFETY: the shaders are this crate's, and every loop of theirs counts up to a length; what they divide by is
        // a side of a shape, or counts what is there, and so no zero. Accesses stay checked.
        let module = unsafe { device.create_shader_module_trusted(source, checks) };
        let values = shader.overrides(constants);
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(&label),
            layout: None,
            module: &module,
            entry_point: Some("main"),
            // Every kernel writes its workgroup memory before it reads it; zeroing costs FXC half a minute.
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &values,
                zero_initialize_workgroup_memory: false,
            },
            cache: None,
        });
        let internal = pollster::block_on(internal.pop());
        match pollster::block_on(scope.pop()).or(internal) {
            Some(error) => Err(ShaderRejection {
                adapter: adapter.clone(),
                shader: shader.name,
                why: one_line(&error.to_string()),
            }),
            None => Ok(pipeline),
        }
    }

    fn compile_on(&self, twin: &Gpu) -> Compiled {
        self.compile(&twin.device)
    }

    fn run_over_nothing(&self, twin: &Gpu, pipeline: &wgpu::ComputePipeline) -> Result<()> {
        let bindings = self.blanks.iter().map(|blank| blank.binding(twin)).collect::<Result<Vec<_>>>()?;
        let mut encoder = twin.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        pass.set_pipeline(pipeline);
        pass.set_bind_group(0, &bind_group(twin, self.shader.name, pipeline, &bindings), &[]);
        // wgpu drops a grid that it knows is empty
        pass.dispatch_workgroups_indirect(&twin.alloc("nothing", 3)?.raw, 0);
        drop(pass);
        twin.queue.submit([encoder.finish()]);
        twin.wait()
    }
}

impl Gpu {
    /// Waits until the driver has made a pipeline of every kernel that was recorded, and no thread is at work on any.
    /// Software drivers do the rest at the first run.
    ///
    /// # Errors
    /// [`Error::Device`](crate::error::Error::Device) when it rejects one.
    pub fn wait_for_kernels(&self) -> Result<()> {
        self.pipelines.wait()
    }

    /// Has lavapipe finish every kernel recorded so far, on another device and over nothing, as threads do in the
    /// background; says how many, none with other drivers. For tests.
    ///
    /// # Errors
    /// [`Error::Device`](crate::error::Error::Device) when it does not take one.
    pub fn rehearse_kernels(&self) -> Result<usize> {
        self.pipelines.rehearse_all()
    }

    /// Every (shader, constants) recorded so far, sorted: `tests/shaders/` translates each for every backend.
    pub fn specialisations(&self) -> Vec<(&'static str, Vec<(&'static str, usize)>)> {
        self.pipelines.keys()
    }
}
