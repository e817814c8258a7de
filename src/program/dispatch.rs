//! One recorded use of a kernel.

use super::bindings::bind_group;
use super::shader::{FIRST_TEXELS, Shader};
use super::specialisation::pipeline;
use crate::device::{Binding, Gpu, Grid, MAX_BINDINGS, Pipeline};
use crate::error::{MemoryError, Result};
use std::sync::{Arc, OnceLock};

/// Workgroups that WebGPU allows along one dimension of a dispatch.
pub const MAX_GROUPS: usize = 65_535;

/// One recorded use of a kernel: pipeline, bindings, grid. The pipeline may be in the making until the first run.
#[derive(Clone)]
pub struct Dispatch {
    shader: &'static str,
    pipeline: Arc<Pipeline<Gpu>>,
    bindings: Vec<Binding>,
    group: OnceLock<wgpu::BindGroup>,
    grid: Grid,
}

impl Dispatch {
    /// Name of the kernel.
    pub(super) fn shader(&self) -> &'static str {
        self.shader
    }

    /// Workgroups, at most.
    pub(super) fn most(&self) -> [usize; 3] {
        self.grid.most()
    }

    /// The buffers that it reads or writes.
    pub(super) fn buffers(&self) -> impl Iterator<Item = &wgpu::Buffer> {
        let of_grid = match &self.grid {
            Grid::Fixed(_) => None,
            Grid::Indirect(_, words) => Some(&words.raw),
        };
        let bound = self.bindings.iter().filter_map(|binding| match binding {
            Binding::Buf(buf) => Some(&buf.raw),
            Binding::Texture { .. } => None,
        });
        bound.chain(of_grid)
    }

    /// Its pipeline, which may be in the making.
    pub(super) fn pipeline(&self) -> &Arc<Pipeline<Gpu>> {
        &self.pipeline
    }

    /// Appends it to a pass; the first time, it waits for the pipeline and binds to it.
    pub(super) fn record(&self, gpu: &Gpu, pass: &mut wgpu::ComputePass<'_>) -> Result<()> {
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
    /// [`Error::OutOfMemory`](crate::error::Error::OutOfMemory) when the grid is larger than WebGPU allows, or a buffer
    /// than the adapter binds. A driver that rejects the shader shows at the first run.
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
        check_bindings(gpu, shader.name, bindings)?;
        if most.iter().any(|&n| n > MAX_GROUPS) {
            return Err(MemoryError::Grid { kernel: shader.name, groups: most, limit: MAX_GROUPS }.into());
        }
        let constants: Vec<_> = constants.iter().copied().chain(firsts(bindings)).collect();
        let pipeline = pipeline(gpu, shader, &constants, bindings);
        Ok(Self { shader: shader.name, pipeline, bindings: bindings.to_vec(), group: OnceLock::new(), grid })
    }
}

/// The constants that say at which texel a kernel's views of textures begin: only those that are not 0, so that others
/// share their pipelines.
fn firsts(bindings: &[Binding]) -> impl Iterator<Item = (&'static str, usize)> {
    bindings.iter().zip(FIRST_TEXELS).filter_map(|(binding, name)| match binding {
        Binding::Texture { first, .. } if *first > 0 => Some((name, *first)),
        _ => None,
    })
}

/// Whether the adapter binds as much at once.
fn check_bindings(gpu: &Gpu, kernel: &'static str, bindings: &[Binding]) -> Result<()> {
    let most = gpu.max_binding_words();
    let words = bindings.iter().map(|binding| match binding {
        Binding::Buf(buf) => buf.len(),
        Binding::Texture { .. } => 0,
    });
    match words.max().filter(|&words| words > most) {
        None => Ok(()),
        Some(words) => {
            let [bytes, limit] = [words, most].map(|words| 4 * words as u64);
            Err(MemoryError::Binding { kernel, bytes, limit, adapter: gpu.info.name.clone() }.into())
        }
    }
}
