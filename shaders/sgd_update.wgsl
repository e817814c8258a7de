// sgd_update: v = μ v + g, x -= a v + b g, element by element: momentum, and Nesterov's with a = μ b.
@group(0) @binding(0) var<storage, read>       coefficients: vec4f;  // μ, a, b
@group(0) @binding(1) var<storage, read>       g: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> v: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> x: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let by = coefficients;
  for (var i = id.x; i < arrayLength(&x); i += groups.x * 64u) {
    let slope = g[i];
    let velocity = by.x * v[i] + slope;
    v[i] = velocity;
    x[i] -= by.y * velocity + by.z * slope;
  }
}
