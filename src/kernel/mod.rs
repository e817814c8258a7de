//! A WGSL shader specialised to shapes ([`Shader`]), one recorded use of it ([`Dispatch`]), and a replayable list of them ([`Program`]).

mod program;
mod shader;

pub use program::{Copy, Program};
pub(crate) use shader::shader;
pub use shader::{KIND, Prelude, Shader};

use crate::device::{Binding, Gpu, Grid, MAX_BINDINGS, lock, one_line};
use crate::error::{Error, Result};

/// Workgroups that WebGPU allows along one dimension of a dispatch.
pub const MAX_GROUPS: usize = 65_535;

/// One recorded use of a kernel: pipeline, bindings, grid.
#[derive(Clone)]
pub struct Dispatch {
    pipeline: wgpu::ComputePipeline,
    group: wgpu::BindGroup,
    grid: Grid,
}

impl Dispatch {
    fn record(&self, pass: &mut wgpu::ComputePass<'_>) {
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.group, &[]);
        match &self.grid {
            Grid::Fixed(grid) => {
                let [x, y, z] = grid.map(|n| n as u32);
                pass.dispatch_workgroups(x, y, z);
            }
            Grid::Indirect(_, words) => pass.dispatch_workgroups_indirect(&words.raw, words.bytes().start),
        }
    }

    /// Records `shader`, specialised by `constants`, over `bindings` (group 0, in order) and a `grid` of workgroups.
    ///
    /// # Errors
    /// [`Error::Device`] when the driver rejects the shader, [`Error::OutOfMemory`] when the grid is larger than WebGPU allows.
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
            let [x, y, z] = most;
            return Err(Error::OutOfMemory(format!(
                "a layer takes {x} × {y} × {z} workgroups of {}, {MAX_GROUPS} a side are allowed: use smaller images (--resize) or a smaller model",
                shader.name
            )));
        }
        let pipeline = pipeline(gpu, shader, constants)?;
        let entries: Vec<_> = (0..).zip(bindings).map(|(binding, buf)| entry(binding, buf)).collect();
        let group = gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(shader.name),
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries,
        });
        Ok(Self { pipeline, group, grid })
    }
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

/// The pipeline of a shader with these constants, compiled at most once a device.
fn pipeline(gpu: &Gpu, shader: &Shader, constants: &[(&'static str, usize)]) -> Result<wgpu::ComputePipeline> {
    let mut cache = lock(&gpu.pipelines);
    let key = (shader.name, constants.to_vec());
    if let Some(pipeline) = cache.get(&key) {
        return Ok(pipeline.clone());
    }
    let scope = gpu.device.push_error_scope(wgpu::ErrorFilter::Validation);
    let internal = gpu.device.push_error_scope(wgpu::ErrorFilter::Internal); // a driver's own compiler
    let module = gpu.device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some(shader.name),
        source: wgpu::ShaderSource::Wgsl(shader.wgsl(&gpu.profile, constants).into()),
    });
    let values = shader.overrides(constants);
    let pipeline = gpu.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
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
    if let Some(error) = pollster::block_on(scope.pop()).or(internal) {
        let why = one_line(&error.to_string());
        return Err(Error::device(format!("{} rejects shader {}: {why}", gpu.info.name, shader.name)));
    }
    gpu.check()?;
    cache.insert(key, pipeline.clone());
    Ok(pipeline)
}

impl Gpu {
    /// Every (shader, constants) compiled so far, sorted: `tests/shaders/` translates each for every backend.
    pub fn specialisations(&self) -> Vec<(&'static str, Vec<(&'static str, usize)>)> {
        let mut keys: Vec<_> = lock(&self.pipelines).keys().cloned().collect();
        keys.sort();
        keys
    }
}
