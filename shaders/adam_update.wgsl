// adam_update: m = β₁ m + (1-β₁) g, v = β₂ v + (1-β₂) g², x -= step · m / (√v + ε), element by element.
@group(0) @binding(0) var<storage, read>       coefficients: array<vec4f, 2>;  // β₁, 1-β₁, β₂, 1-β₂; step, ε
@group(0) @binding(1) var<storage, read>       g: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> m: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> v: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> x: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let decay = coefficients[0];
  let by = coefficients[1];
  for (var i = id.x; i < arrayLength(&x); i += groups.x * 64u) {
    let slope = g[i];
    let mean = decay.x * m[i] + decay.y * slope;
    let square = decay.z * v[i] + decay.w * (slope * slope);
    m[i] = mean;
    v[i] = square;
    x[i] -= by.x * mean / (sqrt(square) + by.y);
  }
}
