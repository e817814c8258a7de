// sum_partial: partial[r][j] = Σ_k x[r][j + k·J], J = length of a row of partial: one stage of sums in fixed order, of
// as many rows as there are workgroups in y.
@group(0) @binding(0) var<storage, read>       x: array<f32>;
@group(0) @binding(1) var<storage, read_write> partial: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) rows: vec3u) {
  let length = arrayLength(&x) / rows.y;
  let partials = arrayLength(&partial) / rows.y;
  if (id.x < partials) {
    var sum = 0.0;
    for (var i = id.x; i < length; i += partials) {
      sum += x[id.y * length + i];
    }
    partial[id.y * partials + id.x] = sum;
  }
}
