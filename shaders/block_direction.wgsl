// block_direction: d[o,r] = M[at + r/32, o][r mod 32], a layer's part of a parameter vector from its transposed matrix.
// M: [row blocks][COLUMNS][32 rows]; d: [OUTPUTS][PATCHES] weights, then [OUTPUTS] biases, which are row PATCHES of the matrix.
override OUTPUTS: u32;
override PATCHES: u32;
override COLUMNS: u32;
override AT: u32;  // first row block
@group(0) @binding(0) var<quads, read>          m: array<vec4f>;
@group(0) @binding(1) var<storage, read_write>  d: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < OUTPUTS * (PATCHES + 1u); i += groups.x * 64u) {
    let at = place_of(i);
    d[i] = load_m(((AT + at.row / 32u) * COLUMNS + at.output) * 8u + at.row % 32u / 4u)[at.row % 4u];
  }
}
