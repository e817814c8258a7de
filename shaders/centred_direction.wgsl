// centred_direction: each layer's part d of a parameter vector from its transposed matrix M = (G⁻¹ V)ᵀ: rows of G⁻¹ V
// times the inverse of A + δI. A is T (σ² I + m mᵀ, m; mᵀ, 1), so by Sherman and Morrison, for a row (y, b) of weights
// and bias, d = scale.x (y - c m) with c = scale.z (scale.x y·m + scale.y b), and of the bias
// scale.y scale.z (scale.w b - scale.x y·m).
// M: [row blocks][columns][32 rows]; d: of each layer [outputs][patches] weights, and [outputs] biases; moments: of
// each layer m first. The workgroups along y do a layer each, one of them an output; those beyond do the last again.
override WIDTH: u32;
const BLOCK = 32u;         // rows of a row block
const LANES = BLOCK / 4u;  // vec4 of its columns
struct CentredDirectionJob {
  layer: u32, d: u32, biases: u32, outputs: u32, patches: u32, columns: u32, source: u32, moments: u32
}
@group(0) @binding(0) var<storage, read>        jobs: array<CentredDirectionJob>;
@group(0) @binding(1) var<storage, read>        moments: array<f32>;
@group(0) @binding(2) var<storage, read>        scales: array<vec4f>;
@group(0) @binding(3) var<quads, read>          m: array<vec4f>;
@group(0) @binding(4) var<storage, read_write>  d: array<f32>;
var<workgroup> sums: array<f32, WIDTH>;

fn entry(job: CentredDirectionJob, output: u32, row: u32) -> f32 {
  return load_m(job.source + (row / BLOCK * job.columns + output) * LANES + row % BLOCK / 4u)[row % 4u];
}

@compute @workgroup_size(WIDTH)
fn main(@builtin(local_invocation_index) index: u32, @builtin(workgroup_id) group: vec3u) {
  let job = jobs[group.y];
  let scale = scales[job.layer];
  let output = min(group.x, job.outputs - 1u);
  var sum = 0.0;
  for (var row = index; row < job.patches; row += WIDTH) {
    sum += entry(job, output, row) * moments[job.moments + row];
  }
  sums[index] = sum;
  workgroupBarrier();
  var along = 0.0;
  for (var i = 0u; i < WIDTH; i++) { along += sums[i]; }
  along *= scale.x;
  let bias = entry(job, output, job.patches);
  let c = scale.z * (along + scale.y * bias);
  for (var row = index; row < job.patches; row += WIDTH) {
    d[job.d + output * job.patches + row] = scale.x * (entry(job, output, row) - c * moments[job.moments + row]);
  }
  if (index == 0u) {
    d[job.biases + output] = scale.y * scale.z * (scale.w * bias - along);
  }
}
