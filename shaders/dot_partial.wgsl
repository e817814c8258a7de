// dot_partial: partial[j] = Σ_k x[j + k·J] · y[j + k·J], J = length of partial. About 64 vec4 loads an invocation, no
// barrier: the order of the sum is fixed by the lengths alone. sum_partial adds what remains.
@group(0) @binding(0) var<storage, read>       x: array<vec4f>;
@group(0) @binding(1) var<storage, read>       y: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> partial: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&partial)) {
    var sum = vec4f();
    for (var i = id.x; i < arrayLength(&x); i += arrayLength(&partial)) {
      sum += x[i] * y[i];
    }
    partial[id.x] = (sum.x + sum.y) + (sum.z + sum.w);
  }
}
