// centred_damping: δ_A = π √λ and δ_G = √λ / π as kronecker_damping has them, of every layer whose A is σ² I about the
// mean m of its inputs, σ² their mean variance, times its `places` T: delta = δ_G, and what centred_direction makes the
// inverse of A + δ_A I of: scale = 1 / (T σ² + δ_A), 1 / δ_A, T / (1 + T (scale.x |m|² + scale.y)), and
// 1 / T + scale.x |m|².
// moments: of each layer [features] means, then [features] variances; g: matrices [side][side]. A workgroup does a
// layer.
struct CentredJob { layer: u32, moments: u32, features: u32, places: u32, g: u32, side_g: u32 }
@group(0) @binding(0) var<storage, read>       jobs: array<CentredJob>;
@group(0) @binding(1) var<storage, read>       moments: array<f32>;
@group(0) @binding(2) var<storage, read>       g: array<f32>;
@group(0) @binding(3) var<storage, read>       lambda: f32;
@group(0) @binding(4) var<storage, read_write> deltas: array<f32>;
@group(0) @binding(5) var<storage, read_write> scales: array<vec4f>;
var<workgroup> sums: array<vec3f, 64>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) index: u32, @builtin(workgroup_id) group: vec3u) {
  let job = jobs[group.x];
  var sum = vec3f();  // of variances, of squared means, of the diagonal of G
  for (var r = index; r < job.features; r += 64u) {
    let mean = moments[job.moments + r];
    sum += vec3f(moments[job.moments + job.features + r], mean * mean, 0.0);
  }
  for (var i = index; i < job.side_g; i += 64u) { sum.z += g[job.g + i * (job.side_g + 1u)]; }
  sums[index] = sum;
  workgroupBarrier();
  if (index == 0u) {
    var total = vec3f();
    for (var i = 0u; i < 64u; i++) { total += sums[i]; }
    let places = f32(job.places);
    let features = f32(job.features);
    // a factor that is zero, as behind units that never fire, counts as small
    let a = max(places * (total.x + total.y + 1.0) / (features + 1.0), 1e-20);
    let pi = clamp(sqrt(a / max(total.z / f32(job.side_g), 1e-20)), 1e-5, 1e5);
    let root = sqrt(lambda);
    deltas[job.layer] = root / pi;
    let delta = pi * root;
    let weight = 1.0 / (places * total.x / features + delta);
    let along = weight * total.y;
    let bias = 1.0 / delta;
    scales[job.layer] = vec4f(weight, bias, places / (1.0 + places * (along + bias)), 1.0 / places + along);
  }
}
