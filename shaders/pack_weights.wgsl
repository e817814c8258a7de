// pack_weights: packed[tile][row][o][tap] = weight of output tile·TILE + o, row (channel, line) and tap, zero where there is none.
// theta holds w[CO][CI][SIZE·SIZE] and then b[CO], as PyTorch does. A product reads tiles of outputs, row by row; a tile ends with
// a row of biases where BIAS. Which weight a word is follows from strides, so that forward and backward, convolution and dense
// layer are this kernel. Rows are padded to four words; an invocation writes four.
override OUTPUTS: u32;         // of the product
override TILE: u32;
override CHANNELS: u32;        // summed over
override LINES: u32;           // rows a channel
override SEGMENTS: u32;        // rows a filter row
override TAPS: u32;
override LIMIT: u32;           // taps of all channels of a line that are real
override OUTPUT_STRIDE: u32;   // of theta
override CHANNEL_STRIDE: u32;
override LINE_STRIDE: u32;     // from a filter row to the next
override TAP_STRIDE: i32;      // from a tap, or a segment of one, to the next
override FIRST: u32;           // of theta, for tap 0
override BIAS: bool;
override BIASES: u32;          // of theta, where they begin
@group(0) @binding(0) var<storage, read>  theta: array<f32>;
@group(0) @binding(1) var<uniform>        count: u32;  // vec4 of packed
@group(0) @binding(2) var<quads, write>   packed: array<vec4f>;

// Word e of a row.
fn word(tile: u32, row: u32, e: u32) -> f32 {
  let bias = BIAS & (row == CHANNELS * LINES);
  let o = tile * TILE + select(e / TAPS, e, bias);
  let channel = row / LINES;
  let tap = e % TAPS;
  let at = select(o * OUTPUT_STRIDE + channel * CHANNEL_STRIDE + row % LINES / SEGMENTS * LINE_STRIDE + FIRST
                  + u32(i32(row % LINES % SEGMENTS + tap) * TAP_STRIDE),
                  BIASES + o, bias);
  let real = (o < OUTPUTS) & select((e < TILE * TAPS) & (channel * TAPS + tap < LIMIT), e < TILE, bias);
  return select(0.0, theta[select(0u, at, real)], real);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let length = (TILE * TAPS + 3u) / 4u;  // of a row
  let rows = CHANNELS * LINES + u32(BIAS);
  for (var i = id.x; i < count; i += groups.x * 64u) {
    let tile = i / (rows * length);
    let row = i / length % rows;
    let e = i % length * 4u;
    store_packed(i, vec4f(word(tile, row, e), word(tile, row, e + 1u), word(tile, row, e + 2u), word(tile, row, e + 3u)));
  }
}
