// conv2d: y[n,co,oh,ow] = g( b[co] + Σ_{ci,kh,kw} w[co,ci,kh,kw] · x[n,ci,ih,iw] (+ the same of v and tx) ),
//   forward:  ih = oh·STRIDE + kh - PADDING; g the activation. With (tx, w) and (x, v) it is the jvp; g a mask.
//   backward: ih·PHASES = oh + PADDING - kh: x is dy, y is dx, channels swap roles, PHASES is the convolution's stride.
// x: [N/B][CI][H][W][B], y: [N/B][CO][OH][OW][B]; w: packed tiles of rows [CI][SIZE][SEGMENTS] of [OUTPUTS][TAPS], a row of biases.
// An invocation owns 4 images, PIXELS neighbouring pixels of one phase and OUTPUTS channels (see product_tile). Pixels of one
// phase (oh mod PHASES, ow mod PHASES) meet the same taps, every PHASES-th one, so no tap is wasted: a dispatch serves one PHASE
// of columns, a workgroup one of rows. A filter row wider than TAPS comes in SEGMENTS steps of one tap.
override CI: u32;
override CO: u32;
override H: u32;
override W: u32;
override OH: u32;
override OW: u32;
override SIZE: u32;
override STRIDE: u32;     // of x, from an output pixel of the phase to the next
override PADDING: u32;
override IS_PADDED: bool;  // a window may lie outside the image
override PHASES: u32;
override PHASE: u32;
override LEFT: i32;       // column of x under the first tap of pixel 0
override BACKWARD: bool;
override SEGMENTS: u32;
override TILE_ROWS: u32;  // rows of a tile of weights
override BIAS: bool;      // the last row of a tile is its biases
override SOURCES: u32;    // pairs of input and weights: 2 where (tx, v) is added to (x, w)
override LANES: u32;
override ROWS: u32;
@group(0) @binding(0) var<quads, read>          x: array<vec4f>;
@group(0) @binding(1) var<quads, read>          w: array<vec4f>;
@group(0) @binding(2) var<quads, read>          tx: array<vec4f>;
@group(0) @binding(3) var<quads, read>          v: array<vec4f>;
@group(0) @binding(4) var<quads, read>          mask: array<vec4f>;
@group(0) @binding(5) var<quads, write>         y: array<vec4f>;
@group(0) @binding(6) var<quads, write>         derivative: array<vec4f>;
@group(0) @binding(7) var<storage, read_write>  found: atomic<u32>;

fn load_weights(source: u32, i: u32) -> vec4f {
  if (source == 1u) { return load_v(i); }
  return load_w(i);
}

fn load_pixel(source: u32, i: u32) -> vec4f {
  if (source == 1u) { return load_tx(i); }
  return load_x(i);
}

// Where a row of x lies: its index, whether it is inside the image, the column under the first tap.
struct Row { at: u32, inside: bool, left: i32, lane: u32 }

fn fetch(source: u32, i: u32, r: Row) {
  // windows of neighbours overlap where the stride is small; else column i is tap i mod TAPS of pixel i / TAPS
  let col = r.left + i32(select(i, i / TAPS * STRIDE + i % TAPS, STRIDE > TAPS));
  if (IS_PADDED) {
    let value = load_pixel(source, (r.at + u32(clamp(col, 0, i32(W) - 1))) * LANES + r.lane);
    window[i] = select(vec4f(), value, r.inside & (col >= 0) & (col < i32(W)));
  } else {
    window[i] = load_pixel(source, (r.at + u32(col)) * LANES + r.lane);
  }
}

fn add_rows(source: u32, block: u32, tile: u32, top: i32, first: u32, taps: u32, left: i32, lane: u32, index: u32) {
  for (var ci = 0u; ci < CI; ci++) {
    for (var k = 0u; k < taps * SEGMENTS; k++) {
      let step = k / SEGMENTS;
      let ih = top + select(i32(step), -i32(step), BACKWARD);
      let plane = (block * CI + ci) * H + u32(clamp(ih, 0, i32(H) - 1));
      let r = Row(plane * W, (ih >= 0) & (ih < i32(H)), left + i32(k % SEGMENTS), lane);
      unroll(i, SPAN) { fetch(source, i, r); }
      let weights = tile * TILE_ROWS + (ci * SIZE + first + step * PHASES) * SEGMENTS + k % SEGMENTS;
      load_row(source, weights * ROW, index);
      add_products();
    }
  }
}

@compute @workgroup_size(LANES, ROWS)
fn main(@builtin(local_invocation_id) local: vec3u, @builtin(local_invocation_index) index: u32,
        @builtin(workgroup_id) group: vec3u) {
  let block = group.z;
  let tile = group.y / PHASES;
  let phase = group.y % PHASES;
  let rows = (OH + PHASES - 1u - phase) / PHASES;  // pixels of the phase: rows × cols
  let cols = (OW + PHASES - 1u - PHASE) / PHASES;
  let strips = (cols + PIXELS - 1u) / PIXELS;
  let strip = group.x * ROWS + local.y;
  let i = strip / strips;
  let j = strip % strips * PIXELS;
  let first = select(0u, (phase + PADDING) % PHASES, BACKWARD);  // taps first, first + PHASES, …
  let taps = (SIZE + PHASES - 1u - first) / PHASES;
  let top = select(i32(i * STRIDE) - i32(PADDING), i32(i + (phase + PADDING) / PHASES), BACKWARD);
  let left = i32(j * STRIDE) + LEFT;

  unroll(source, SOURCES) { add_rows(source, block, tile, top, first, taps, left, local.x, index); }
  if (BIAS) { load_row(SOURCES - 1u, (tile * TILE_ROWS + TILE_ROWS - 1u) * ROW, index); }
  let pixel = (i * PHASES + phase) * OW + j * PHASES + PHASE;
  let channel = tile * OUTPUTS;
  let at = ((block * CO + channel) * OH * OW + pixel) * LANES + local.x;
  let pixels = select(0u, cols - min(j, cols), i < rows);
  finish_tile(Target(at, OH * OW * LANES, PHASES * LANES, CO - channel, pixels));
}
