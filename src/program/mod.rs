//! A WGSL shader specialised to shapes ([`Shader`]), one recorded use of it ([`Dispatch`]), and a replayable list of them ([`Program`]).

mod prelude;
mod replay;
mod shader;

pub use prelude::{PRELUDES, Prelude, Text, imports};
pub use replay::{CopyPair, Program};
pub(crate) use shader::shader;
pub use shader::{KIND, Shader, TEXT_CONSTANTS};

use crate::device::{Binding, Blank, Compiled, Gpu, Grid, MAX_BINDINGS, Pipeline, Profile, Source};
use crate::error::{MemoryError, Result, ShaderRejection, one_line};
use std::sync::{Arc, OnceLock};

/// Workgroups that WebGPU allows along one dimension of a dispatch.
pub const MAX_GROUPS: usize = 65_535;

/// One recorded use of a kernel: pipeline, bindings, grid. The pipeline may be in the making until the first run.
#[derive(Clone)]
pub struct Dispatch {
    shader: &'static str,
    pipeline: Arc<Pipeline>,
    bindings: Vec<Binding>,
    group: OnceLock<wgpu::BindGroup>,
    grid: Grid,
}

impl Dispatch {
    /// Appends it to a pass; the first time, it waits for the pipeline and binds to it.
    fn record(&self, gpu: &Gpu, pass: &mut wgpu::ComputePass<'_>) -> Result<()> {
        let pipeline = self.pipeline.get()?;
        let group = self.group.get_or_init(|| bind_group(gpu, self.shader, pipeline, &self.bindings));
        pass.set_pipeline(pipeline);
        pass.set_bind_group(0, group, &[]);
        match &self.grid {
            Grid::Fixed(grid) => {
                let [x, y, z] = grid.map(|n| n as u32);
                pass.dispatch_workgroups(x, y, z);
            }
            Grid::Indirect(_, words) => pass.dispatch_workgroups_indirect(&words.raw, words.bytes().start),
        }
        Ok(())
    }

    /// Records `shader`, specialised by `constants`, over `bindings` (group 0, in order) and a `grid` of workgroups.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::error::Error::OutOfMemory) when the grid is larger than WebGPU
    /// allows. A driver that rejects the shader shows at the first run.
    ///
    /// # Panics
    /// When the number of bindings is beyond what WebGPU guarantees: the host function of the kernel is wrong.
    pub fn new(
        gpu: &Gpu,
        shader: &Shader,
        constants: &[(&'static str, usize)],
        bindings: &[Binding],
        grid: impl Into<Grid>,
    ) -> Result<Self> {
        let grid: Grid = grid.into();
        let most = grid.most();
        assert!(bindings.len() <= MAX_BINDINGS, "{}: {} bindings", shader.name, bindings.len());
        assert!(!most.contains(&0), "{}: grid {most:?}", shader.name);
        if most.iter().any(|&n| n > MAX_GROUPS) {
            return Err(MemoryError::Grid { kernel: shader.name, groups: most, limit: MAX_GROUPS }.into());
        }
        let pipeline = pipeline(gpu, shader, constants, bindings);
        Ok(Self { shader: shader.name, pipeline, bindings: bindings.to_vec(), group: OnceLock::new(), grid })
    }
}

fn bind_group(gpu: &Gpu, name: &str, pipeline: &wgpu::ComputePipeline, bindings: &[Binding]) -> wgpu::BindGroup {
    let entries: Vec<_> = (0..).zip(bindings).map(|(binding, bound)| entry(binding, bound)).collect();
    gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some(name),
        layout: &pipeline.get_bind_group_layout(0),
        entries: &entries,
    })
}

fn entry(binding: u32, bound: &Binding) -> wgpu::BindGroupEntry<'_> {
    let resource = match bound {
        Binding::Buf(buf) => {
            let range = buf.bytes();
            let size = wgpu::BufferSize::new(range.end - range.start);
            wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer: &buf.raw, offset: range.start, size })
        }
        Binding::Texture(view) => wgpu::BindingResource::TextureView(view),
    };
    wgpu::BindGroupEntry { binding, resource }
}

/// The pipeline of a shader with these constants, compiled at most once a device, in the background.
fn pipeline(gpu: &Gpu, shader: &Shader, constants: &[(&'static str, usize)], bindings: &[Binding]) -> Arc<Pipeline> {
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

impl Source for Specialisation {
    fn compile(&self, device: &wgpu::Device) -> Compiled {
        let Self { shader, constants, profile, adapter, .. } = self;
        let scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
        let internal = device.push_error_scope(wgpu::ErrorFilter::Internal); // a driver's own compiler
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(shader.name),
            source: wgpu::ShaderSource::Wgsl(shader.wgsl(profile, constants).into()),
        });
        let values = shader.overrides(constants);
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(shader.name),
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

    fn run_over_nothing(&self, twin: &Gpu, pipeline: &wgpu::ComputePipeline) -> Result<()> {
        let bindings = self.blanks.iter().map(|blank| blank.binding(twin)).collect::<Result<Vec<_>>>()?;
        let mut encoder = twin.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        pass.set_pipeline(pipeline);
        pass.set_bind_group(0, &bind_group(twin, self.shader.name, pipeline, &bindings), &[]);
        pass.dispatch_workgroups_indirect(&twin.alloc("nothing", 3)?.raw, 0); // wgpu drops a grid that it knows is empty
        drop(pass);
        twin.queue.submit([encoder.finish()]);
        twin.wait()
    }
}

impl Gpu {
    /// Waits until the driver has made a pipeline of every kernel that was recorded, and no thread is at work on any. Software drivers
    /// do the rest at the first run.
    ///
    /// # Errors
    /// [`Error::Device`](crate::error::Error::Device) when it rejects one.
    pub fn wait_for_kernels(&self) -> Result<()> {
        self.pipelines.wait()
    }

    /// Has lavapipe finish every kernel recorded so far, on another device and over nothing, as threads do in the background; says how
    /// many, none with other drivers. For tests.
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
