// block_direction: d[o,r] = M[r/32, o][r mod 32], each layer's part of a parameter vector from its transposed matrix.
// M: [row blocks][columns][32 rows]; d: of each layer [outputs][patches] weights, and [outputs] biases, which are row
// `patches` of the matrix. The workgroups along y do a layer each, one of them every so many outputs.
override WIDTH: u32;
const BLOCK = 32u;         // rows of a row block
const LANES = BLOCK / 4u;  // vec4 of its columns
struct DirectionJob { d: u32, biases: u32, outputs: u32, patches: u32, columns: u32, source: u32 }
@group(0) @binding(0) var<storage, read>        jobs: array<DirectionJob>;
@group(0) @binding(1) var<quads, read>          m: array<vec4f>;
@group(0) @binding(2) var<storage, read_write>  d: array<f32>;

@compute @workgroup_size(WIDTH)
fn main(@builtin(local_invocation_index) index: u32, @builtin(workgroup_id) group: vec3u,
        @builtin(num_workgroups) groups: vec3u) {
  let job = jobs[group.y];
  for (var output = group.x; output < job.outputs; output += groups.x) {
    for (var row = index; row <= job.patches; row += WIDTH) {
      let i = select(job.d + output * job.patches + row, job.biases + output, row == job.patches);
      d[i] = load_m(job.source + (row / BLOCK * job.columns + output) * LANES + row % BLOCK / 4u)[row % 4u];
    }
  }
}
