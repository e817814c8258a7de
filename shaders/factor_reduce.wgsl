// factor_reduce: f[i,j] = keep f[i,j] + scale Σ_s partial[s, min(i,j), max(i,j)]: a running mean of a symmetric factor
// of which a half was computed. With BIAS, row and column SIDE-1 are those of an input that is always 1: the sums of
// the others, and `count`.
// partial: as conv2d_grad_weight leaves it, [splits][rows and bias, padded][columns, padded]; f: [SIDE][SIDE].
override SIDE: u32;
override BIAS: bool;
@group(0) @binding(0) var<storage, read>       partial: array<f32>;
@group(0) @binding(1) var<storage, read>       coefficients: vec3f;  // keep, scale, count
@group(0) @binding(2) var<storage, read_write> f: array<f32>;
const PARTIAL_MULTIPLE = 8u;  // rows and columns of partial are padded to multiples of this

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let rows = SIDE - u32(BIAS);
  let stride = (rows + PARTIAL_MULTIPLE - 1u) / PARTIAL_MULTIPLE * PARTIAL_MULTIPLE;
  let split = (rows + PARTIAL_MULTIPLE) / PARTIAL_MULTIPLE * PARTIAL_MULTIPLE * stride;
  for (var i = id.x; i < SIDE * SIDE; i += groups.x * 64u) {
    let low = min(i / SIDE, i % SIDE);
    let high = max(i / SIDE, i % SIDE);
    let is_bias = high == rows;
    var sum = 0.0;
    if (is_bias & (low == rows)) {
      sum = coefficients.z;
    } else {
      for (var at = select(low * stride + high, high * stride + low, is_bias);
           at < arrayLength(&partial); at += split) {
        sum += partial[at];
      }
    }
    // with keep = 0 the old factor is not read, so that it may hold anything
    let old = select(coefficients.x * f[i], 0.0, coefficients.x == 0.0);
    f[i] = old + coefficients.y * sum;
  }
}
