// kronecker_diagonal: d[o,r] = v[o,r] / (A_rr G_oo + λ), a layer's part of a vector over the damped diagonal of A ⊗ G.
// v, d: [OUTPUTS][PATCHES] weights, then [OUTPUTS] biases, which are row PATCHES of A; a: [PATCHES+1][PATCHES+1],
// g: [OUTPUTS][OUTPUTS].
#import parameters
override OUTPUTS: u32;
override PATCHES: u32;
@group(0) @binding(0) var<storage, read>        a: array<f32>;
@group(0) @binding(1) var<storage, read>        g: array<f32>;
@group(0) @binding(2) var<storage, read>        lambda: f32;
@group(0) @binding(3) var<storage, read>        v: array<f32>;
@group(0) @binding(4) var<storage, read_write>  d: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < OUTPUTS * (PATCHES + 1u); i += groups.x * 64u) {
    let at = place_of(i);
    d[i] = v[i] / (a[at.row * (PATCHES + 2u)] * g[at.output * (OUTPUTS + 1u)] + lambda);
  }
}
