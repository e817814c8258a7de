//! A WGSL shader specialised to shapes ([`Shader`]), one recorded use of it ([`Dispatch`]), and a replayable list of them ([`Program`]).

mod shader;

pub(crate) use shader::shader;
pub use shader::{Prelude, Shader};

use crate::device::{Binding, Buf, Gpu, MAX_BINDINGS, lock, one_line};
use crate::error::{Error, Result};

/// Workgroups that WebGPU allows along one dimension of a dispatch.
pub const MAX_GROUPS: usize = 65_535;

/// One recorded use of a kernel: pipeline, bindings, grid.
#[derive(Clone)]
pub struct Dispatch {
    pipeline: wgpu::ComputePipeline,
    group: wgpu::BindGroup,
    grid: [u32; 3],
}

impl Dispatch {
    /// Records `shader`, specialised by `constants`, over `bindings` (group 0, in order) and a `grid` of workgroups.
    ///
    /// # Errors
    /// [`Error::Device`] when the driver rejects the shader.
    ///
    /// # Panics
    /// When the grid or the number of bindings is beyond what WebGPU guarantees: the host function of the kernel is wrong.
    pub fn new(
        gpu: &Gpu,
        shader: &Shader,
        constants: &[(&'static str, usize)],
        bindings: &[Binding],
        grid: [usize; 3],
    ) -> Result<Self> {
        assert!(bindings.len() <= MAX_BINDINGS, "{}: {} bindings", shader.name, bindings.len());
        assert!(grid.iter().all(|&n| (1..=MAX_GROUPS).contains(&n)), "{}: grid {grid:?}", shader.name);
        let pipeline = pipeline(gpu, shader, constants)?;
        let entries: Vec<_> = (0..).zip(bindings).map(|(binding, buf)| entry(binding, buf)).collect();
        let group = gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(shader.name),
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries,
        });
        Ok(Self { pipeline, group, grid: grid.map(|n| n as u32) })
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
    if let Some(error) = pollster::block_on(scope.pop()) {
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

enum Step {
    Run(Dispatch),
    Clear(Buf),
}

/// A recorded list of steps, run in order. Recording creates everything; running creates nothing but a command buffer.
#[derive(Default)]
pub struct Program {
    steps: Vec<Step>,
}

impl Program {
    /// Appends a dispatch.
    pub fn push(&mut self, dispatch: Dispatch) {
        self.steps.push(Step::Run(dispatch));
    }

    /// Appends dispatches.
    pub fn extend(&mut self, dispatches: impl IntoIterator<Item = Dispatch>) {
        self.steps.extend(dispatches.into_iter().map(Step::Run));
    }

    /// Appends the zeroing of a view.
    pub fn clear(&mut self, buf: &Buf) {
        self.steps.push(Step::Clear(buf.clone()));
    }

    /// Submits the steps; the device runs them after everything submitted before.
    ///
    /// # Errors
    /// What the device reported so far ([`Gpu::check`]).
    pub fn run(&self, gpu: &Gpu) -> Result<()> {
        gpu.check()?;
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        let mut steps = self.steps.iter().peekable();
        while let Some(step) = steps.next() {
            match step {
                Step::Clear(buf) => {
                    let range = buf.bytes();
                    encoder.clear_buffer(&buf.raw, range.start, Some(range.end - range.start));
                }
                Step::Run(first) => {
                    let mut pass = encoder.begin_compute_pass(&Default::default());
                    run(&mut pass, first);
                    while let Some(Step::Run(next)) = steps.next_if(|step| matches!(step, Step::Run(_))) {
                        run(&mut pass, next);
                    }
                }
            }
        }
        gpu.queue.submit([encoder.finish()]);
        Ok(())
    }
}

fn run(pass: &mut wgpu::ComputePass<'_>, dispatch: &Dispatch) {
    pass.set_pipeline(&dispatch.pipeline);
    pass.set_bind_group(0, &dispatch.group, &[]);
    pass.dispatch_workgroups(dispatch.grid[0], dispatch.grid[1], dispatch.grid[2]);
}
