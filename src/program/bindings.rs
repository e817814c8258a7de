//! Binding memory to a pipeline.

use crate::device::{Binding, Gpu};

/// What a kernel is bound to, in order, as group 0 of its pipeline.
pub(super) fn bind_group(
    gpu: &Gpu,
    name: &str,
    pipeline: &wgpu::ComputePipeline,
    bindings: &[Binding],
) -> wgpu::BindGroup {
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
        Binding::Texture { view, .. } => wgpu::BindingResource::TextureView(view),
    };
    wgpu::BindGroupEntry { binding, resource }
}
