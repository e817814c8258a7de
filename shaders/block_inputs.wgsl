// block_inputs: M[r/32, o][r mod 32] = g[o,r], each layer's gradient as a matrix of (patches and bias) × outputs, zero
// beside it: block_gradient transposed.
// g: of each layer [outputs][patches] weights, then [outputs] biases; M: [row blocks][columns][32 rows]. The workgroups
// along y do a layer each, one of them every so many columns.
override WIDTH: u32;
const BLOCK = 32u;         // rows of a row block
const LANES = BLOCK / 4u;  // vec4 of its columns
struct InputsJob { g: u32, outputs: u32, patches: u32, columns: u32, target_quad: u32 }
@group(0) @binding(0) var<storage, read>  jobs: array<InputsJob>;
@group(0) @binding(1) var<storage, read>  g: array<f32>;
@group(0) @binding(2) var<quads, write>   m: array<vec4f>;

fn entry(job: InputsJob, o: u32, r: u32) -> f32 {
  let at = select(o * job.patches + r, job.outputs * job.patches + o, r == job.patches);
  let inside = (o < job.outputs) & (r <= job.patches);
  return select(0.0, g[job.g + select(0u, at, inside)], inside);
}

@compute @workgroup_size(WIDTH)
fn main(@builtin(local_invocation_index) index: u32, @builtin(workgroup_id) group: vec3u,
        @builtin(num_workgroups) groups: vec3u) {
  let job = jobs[group.y];
  for (var o = group.x; o < job.columns; o += groups.x) {
    for (var q = index; q < (job.patches + BLOCK) / BLOCK * LANES; q += WIDTH) {
      let r = 4u * q;
      store_m(job.target_quad + (q / LANES * job.columns + o) * LANES + q % LANES,
              vec4f(entry(job, o, r), entry(job, o, r + 1u), entry(job, o, r + 2u), entry(job, o, r + 3u)));
    }
  }
}
