// axpby: y = alpha x + beta y; with beta = 0 the old y is not read, so that it may hold anything.
@group(0) @binding(0) var<storage, read>       coefficients: vec2f;  // alpha, beta
@group(0) @binding(1) var<storage, read>       x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let alpha = coefficients.x;
  let beta = coefficients.y;
  for (var i = id.x; i < arrayLength(&y); i += groups.x * 64u) {
    if (beta == 0.0) { y[i] = alpha * x[i]; } else { y[i] = alpha * x[i] + beta * y[i]; }
  }
}
