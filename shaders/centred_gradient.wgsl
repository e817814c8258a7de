// centred_gradient: M[r/32, o][r mod 32] = scale.x (g[o,r] - m[r] b[o]), M[patches] = scale.y b[o], zero beside it:
// each layer's gradient, b being that of its biases, times the inverse of A but for its part of the biases, which
// centred_direction adds. A is `scale.x⁻¹` I about the mean m of the inputs.
// g: of each layer [outputs][patches] weights, then [outputs] biases; M: [row blocks][columns][32 rows]; moments: of
// each layer m first. The workgroups along y do a layer each, one of them every so many columns.
override WIDTH: u32;
const BLOCK = 32u;         // rows of a row block
const LANES = BLOCK / 4u;  // vec4 of its columns
struct CentredGradientJob {
  layer: u32, g: u32, outputs: u32, patches: u32, columns: u32, target_quad: u32, moments: u32
}
@group(0) @binding(0) var<storage, read>  jobs: array<CentredGradientJob>;
@group(0) @binding(1) var<storage, read>  moments: array<f32>;
@group(0) @binding(2) var<storage, read>  scales: array<vec2f>;
@group(0) @binding(3) var<storage, read>  g: array<f32>;
@group(0) @binding(4) var<quads, write>   m: array<vec4f>;

fn entry(job: CentredGradientJob, scale: vec2f, bias: f32, o: u32, r: u32) -> f32 {
  let weight = min(r, job.patches - 1u);
  let centred = scale.x * (g[job.g + o * job.patches + weight] - moments[job.moments + weight] * bias);
  return select(select(0.0, scale.y * bias, r == job.patches), centred, r < job.patches);
}

@compute @workgroup_size(WIDTH)
fn main(@builtin(local_invocation_index) index: u32, @builtin(workgroup_id) group: vec3u,
        @builtin(num_workgroups) groups: vec3u) {
  let job = jobs[group.y];
  let scale = scales[job.layer];
  for (var column = group.x; column < job.columns; column += groups.x) {
    let o = min(column, job.outputs - 1u);
    let is_output = column < job.outputs;
    let bias = g[job.g + job.outputs * job.patches + o];
    for (var q = index; q < (job.patches + BLOCK) / BLOCK * LANES; q += WIDTH) {
      let r = 4u * q;
      let value = vec4f(entry(job, scale, bias, o, r), entry(job, scale, bias, o, r + 1u),
                        entry(job, scale, bias, o, r + 2u), entry(job, scale, bias, o, r + 3u));
      store_m(job.target_quad + (q / LANES * job.columns + column) * LANES + q % LANES,
              select(vec4f(), value, is_output));
    }
  }
}
