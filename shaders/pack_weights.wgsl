// pack_weights: packed[tile][row][j] = weight of output tile·8 + j and reduction index row, zero beyond the last output.
// theta holds w[CO][CI][TAPS] and then b[CO], as PyTorch does; the products read it as columns of eight outputs.
// Forward: outputs CO, rows (ci, tap), then one row of biases. Backward: outputs CI, rows (co, tap), no bias.
override OUTPUTS: u32;
override REDUCED: u32;         // channels summed over
override TAPS: u32;            // filter positions, 1 for a dense layer
override OUTPUT_STRIDE: u32;   // of theta, for one output and one reduced channel
override REDUCED_STRIDE: u32;
override BIAS: bool;
@group(0) @binding(0) var<storage, read>       theta: array<f32>;
@group(0) @binding(1) var<storage, read_write> packed: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let rows = REDUCED * TAPS + u32(BIAS);
  for (var i = id.x; i < arrayLength(&packed); i += groups.x * 64u) {
    let output = i / (rows * 8u) * 8u + i % 8u;
    let row = i / 8u % rows;
    var value = 0.0;
    if (output < OUTPUTS) {
      if (row < REDUCED * TAPS) {
        value = theta[output * OUTPUT_STRIDE + row / TAPS * REDUCED_STRIDE + row % TAPS];
      } else {
        value = theta[OUTPUTS * REDUCED * TAPS + output];
      }
    }
    packed[i] = value;
  }
}
