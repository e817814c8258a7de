// natural_update: u = μ v - a d, x += (1 + μ) u - μ v, v = u, with a = s min(most, √(κ / slope)), slope = gᵀd,
// d = K⁻¹g: a step along the natural gradient as long as the divergence κ allows, with Nesterov's momentum.
// x is the point ahead; slope comes in parts, which every workgroup adds up.
@group(0) @binding(0) var<storage, read>       coefficients: vec4f;  // μ, s, κ, most
@group(0) @binding(1) var<storage, read>       slope: array<f32>;
@group(0) @binding(2) var<storage, read>       d: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> v: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> x: array<vec4f>;
var<workgroup> step_length: f32;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_index) index: u32,
        @builtin(num_workgroups) groups: vec3u) {
  let by = coefficients;
  if (index == 0u) {
    var sum = 0.0;
    for (var i = 0u; i < arrayLength(&slope); i++) { sum += slope[i]; }
    step_length = by.y * min(by.w, sqrt(by.z / max(sum, 1e-30)));
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
