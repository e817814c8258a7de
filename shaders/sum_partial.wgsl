// sum_partial: partial[j] = Σ_k x[j + k·J], J = length of partial: one stage of a sum in fixed order.
@group(0) @binding(0) var<storage, read>       x: array<f32>;
@group(0) @binding(1) var<storage, read_write> partial: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&partial)) {
    var sum = 0.0;
    for (var i = id.x; i < arrayLength(&x); i += arrayLength(&partial)) {
      sum += x[i];
    }
    partial[id.x] = sum;
  }
}
