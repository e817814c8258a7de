// moments_update: mean[r] = keep mean[r] + (1 - keep) E[x[r]], variance[r] = keep variance[r] + (1 - keep)
// E[(x[r] - mean[r])²], about the new mean, over examples and their places. Padded examples are zero.
// x: [N/B][FEATURES][PLACES][B]; moments: [FEATURES] means, then [FEATURES] variances. A workgroup does a feature.
override FEATURES: u32;
override PLACES: u32;
override LANES: u32;
override WIDTH: u32;
@group(0) @binding(0) var<quads, read>          x: array<vec4f>;
@group(0) @binding(1) var<uniform>              blocks: u32;
@group(0) @binding(2) var<storage, read>        coefficients: vec2f;  // keep; 1 / (examples · PLACES)
@group(0) @binding(3) var<storage, read_write>  moments: array<f32>;
var<workgroup> sums: array<vec2f, WIDTH>;

@compute @workgroup_size(WIDTH)
fn main(@builtin(local_invocation_index) index: u32, @builtin(workgroup_id) group: vec3u) {
  let row = PLACES * LANES;  // vec4 of a feature of a block
  var sum = vec4f();
  var squares = vec4f();
  for (var i = index; i < blocks * row; i += WIDTH) {
    let value = load_x((i / row * FEATURES + group.x) * row + i % row);
    sum += value;
    squares += value * value;
  }
  sums[index] = vec2f((sum.x + sum.y) + (sum.z + sum.w), (squares.x + squares.y) + (squares.z + squares.w));
  workgroupBarrier();
  if (index == 0u) {
    var total = vec2f();
    for (var i = 0u; i < WIDTH; i++) { total += sums[i]; }
    let found = total * coefficients.y;
    let keep = coefficients.x;
    // what was there may be no number where nothing of it is kept
    let mean = select(keep * moments[group.x], 0.0, keep == 0.0) + (1.0 - keep) * found.x;
    let variance = max(found.y + mean * (mean - 2.0 * found.x), 0.0);
    let at = FEATURES + group.x;
    moments[group.x] = mean;
    moments[at] = select(keep * moments[at], 0.0, keep == 0.0) + (1.0 - keep) * variance;
  }
}
