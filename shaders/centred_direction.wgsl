// centred_direction: d[o,r] = M[r/32, o][r mod 32], and of the bias M[patches] - Σ_r d[o,r] m[r]: each layer's part of
// a parameter vector from its transposed matrix (see centred_gradient).
// M: [row blocks][columns][32 rows]; d: of each layer [outputs][patches] weights, then [outputs] biases; moments: of
// each layer m first. The workgroups along y do a layer each, one of them an output; those beyond do the last again.
override WIDTH: u32;
const BLOCK = 32u;         // rows of a row block
const LANES = BLOCK / 4u;  // vec4 of its columns
struct CentredDirectionJob { d: u32, outputs: u32, patches: u32, columns: u32, source: u32, moments: u32 }
@group(0) @binding(0) var<storage, read>        jobs: array<CentredDirectionJob>;
@group(0) @binding(1) var<storage, read>        moments: array<f32>;
@group(0) @binding(2) var<quads, read>          m: array<vec4f>;
@group(0) @binding(3) var<storage, read_write>  d: array<f32>;
var<workgroup> sums: array<f32, WIDTH>;

@compute @workgroup_size(WIDTH)
fn main(@builtin(local_invocation_index) index: u32, @builtin(workgroup_id) group: vec3u) {
  let job = jobs[group.y];
  let output = min(group.x, job.outputs - 1u);
  let column = job.source + output * LANES;
  var sum = 0.0;
  for (var row = index; row < job.patches; row += WIDTH) {
    let value = load_m(column + row / BLOCK * job.columns * LANES + row % BLOCK / 4u)[row % 4u];
    d[job.d + output * job.patches + row] = value;
    sum += value * moments[job.moments + row];
  }
  sums[index] = sum;
  workgroupBarrier();
  if (index == 0u) {
    var total = 0.0;
    for (var i = 0u; i < WIDTH; i++) { total += sums[i]; }
    let last = job.patches;
    let bias = load_m(column + last / BLOCK * job.columns * LANES + last % BLOCK / 4u)[last % 4u];
    d[job.d + job.outputs * job.patches + output] = bias - total;
  }
}
