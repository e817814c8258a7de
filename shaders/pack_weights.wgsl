// pack_weights: packed[tile][row][o][tap] = weight of output tile·TILE + o, row (channel, line) and tap, or zero.
// theta holds w[CO][CI][SIZE·SIZE] and then b[CO], as PyTorch does. A product reads tiles of outputs, row by row; a
// tile ends with a row of biases where BIAS. Which weight a word is follows from strides, so that forward and backward,
// convolution and dense layer are this kernel. Rows are padded to four words; an invocation writes four.
override OUTPUTS: u32;          // of the product: PHASES of each output of theta, or of each input
override TILE: u32;
override PHASES: u32;
override CHANNELS: u32;         // summed over
override LINES: u32;            // rows a channel
override SEGMENTS: u32;         // rows a filter row
override TAPS: u32;             // COLUMNS of each of some channels
override COLUMNS: u32;
override OUTPUT_STRIDE: u32;    // of theta
override CHANNEL_STRIDE: u32;
override LINE_STRIDE: u32;      // from a filter row to the next
override POSITION_STRIDE: u32;  // from a weight of a filter row to the next
override FIRST: i32;            // position in a filter row of tap 0, segment 0, phase 0; the next phase is one further
override TAP_STEP: i32;         // positions from a tap to the next
override POSITIONS: u32;        // of a filter row: there are no weights outside
override BIAS: bool;
override BIASES: u32;           // of theta, where they begin
@group(0) @binding(0) var<storage, read>  theta: array<f32>;
@group(0) @binding(1) var<uniform>        count: u32;  // vec4 of packed
@group(0) @binding(2) var<quads, write>   packed: array<vec4f>;

// Rows of a tile without its biases.
fn weight_rows() -> u32 {
  return (CHANNELS * COLUMNS + TAPS - 1u) / TAPS * LINES;
}

// Word e of a row.
fn word(tile: u32, row: u32, e: u32) -> f32 {
  let bias = BIAS & (row == weight_rows());
  let o = tile * TILE + select(e / TAPS, e, bias);
  let line = row % LINES;
  let channel = row / LINES * (TAPS / COLUMNS) + e % TAPS / COLUMNS;
  let position = FIRST + i32(o % PHASES) + i32(line % SEGMENTS * COLUMNS + e % TAPS % COLUMNS) * TAP_STEP;
  let at = o / PHASES * OUTPUT_STRIDE + channel * CHANNEL_STRIDE + line / SEGMENTS * LINE_STRIDE
           + u32(position) * POSITION_STRIDE;
  let inside = (e < TILE * TAPS) & (channel < CHANNELS) & (position >= 0) & (position < i32(POSITIONS));
  let real = (o < OUTPUTS) & select(inside, e < TILE, bias);
  return select(0.0, theta[select(0u, select(at, BIASES + o, bias), real)], real);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let length = (TILE * TAPS + 3u) / 4u;  // of a row
  let rows = weight_rows() + u32(BIAS);
  for (var i = id.x; i < count; i += groups.x * 64u) {
    let tile = i / (rows * length);
    let row = i / length % rows;
    let e = i % length * 4u;
    store_packed(i, vec4f(word(tile, row, e), word(tile, row, e + 1u),
                          word(tile, row, e + 2u), word(tile, row, e + 3u)));
  }
}
