// natural_update: u = μ v - a d, x += (1 + μ) u - μ v, v = u, with a = s min(most, √(κ / q)), d = K⁻¹g, q = gᵀd, or the
// least share of the mean of the slopes before it: a step along the natural gradient as long as the divergence κ
// allows, with Nesterov's momentum. x is the point ahead; slope comes in parts, which every workgroup adds up.
override SLOPES: u32;
@group(0) @binding(0) var<storage, read>       coefficients: array<vec4f, 2>;  // μ, s, κ, most; at, known, least share
@group(0) @binding(1) var<storage, read>       slope: array<f32>;
@group(0) @binding(2) var<storage, read>       d: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> slopes: array<f32>;  // of the last updates; this one's goes to `at`
@group(0) @binding(4) var<storage, read_write> v: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> x: array<vec4f>;
var<workgroup> step_length: f32;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_index) index: u32,
        @builtin(num_workgroups) groups: vec3u) {
  let by = coefficients[0];
  if (index == 0u) {
    var sum = 0.0;
    for (var i = 0u; i < arrayLength(&slope); i++) { sum += slope[i]; }
    let others = coefficients[1];
    let at = u32(others.x);
    var before = 0.0;
    for (var i = 0u; i < SLOPES; i++) { if (i != at) { before += slopes[i]; } }
    let least = others.z * before / max(others.y, 1.0);
    step_length = by.y * min(by.w, sqrt(by.z / max(max(sum, least), 1e-30)));
    if (id.x == 0u) { slopes[at] = sum; }
  }
  workgroupBarrier();
  let step = step_length;
  for (var i = id.x; i < arrayLength(&x); i += groups.x * 64u) {
    let before = v[i];
    let velocity = by.x * before - step * d[i];
    v[i] = velocity;
    x[i] += (1.0 + by.x) * velocity - by.x * before;
  }
}
