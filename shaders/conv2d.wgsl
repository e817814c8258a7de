// conv2d: y[n,co,oh,ow] = g( b[co] + Σ_{ci,kh,kw} w[co,ci,kh,kw] · x[n,ci,ih,iw] (+ the same of v and tx) ),
//   forward:  ih = oh·STRIDE + kh - PADDING; g the activation. With (tx, w) and (x, v) it is the jvp; g a mask.
//   backward: ih·PHASES = oh + PADDING - kh: x is dy, y is dx, channels swap roles, PHASES is the convolution's stride.
// x: [N/B][CI][H][W][B], y: [N/B][CO][OH][OW][B]; w: packed tiles of rows [CI/SLICES][SIZE][SEGMENTS] of
// [OUTPUTS][SLICES][COLUMNS], a row of biases. An invocation owns 4 images, PIXELS neighbours in one window of x, and
// OUTPUTS outputs. Backward, PHASES pixels of dx lie in the same window, each an output of its own: o = co·PHASES +
// ow mod PHASES. Rows of one phase (oh mod PHASES) meet the same filter rows, every PHASES-th one: a workgroup serves
// one phase of them. A step takes a row of a window in SLICES channels; a wide one, SEGMENTS steps of one column.
#import product_tile
#import weights
override CI: u32;
override CO: u32;
override GROUP_CI: u32;   // channels of a group: outputs meet those of their own
override GROUP_CO: u32;
override TILES: u32;      // of outputs of a group
override H: u32;
override W: u32;
override OH: u32;
override OW: u32;
override SIZE: u32;
override STRIDE: u32;     // of x, from an output pixel of the phase to the next
override PADDING: u32;
override IS_PADDED: bool;  // a window may lie outside the image
override LEFT: i32;       // column of x under the first tap of pixel 0
override BACKWARD: bool;
override SEGMENTS: u32;
override SLICES: u32;
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

// Where a row of x lies: its channel and index there, whether it is inside the image, the column under the first tap.
struct Row { channel: u32, at: u32, inside: bool, left: i32, lane: u32 }

fn fetch(source: u32, i: u32, r: Row) {
  // windows of neighbours overlap where the stride is small; else column i is tap i mod COLUMNS of pixel i / COLUMNS
  let c = i % WIDTH;
  let col = r.left + i32(select(c, c / COLUMNS * STRIDE + c % COLUMNS, STRIDE > COLUMNS));
  // channels beyond the last are read as the last, and weigh nothing
  let row = min(r.channel + i / WIDTH, GROUP_CI - 1u) * H * W + r.at;
  if (IS_PADDED) {
    let value = load_input(source, (row + u32(clamp(col, 0, i32(W) - 1))) * LANES + r.lane);
    window[i] = select(vec4f(), value, r.inside & (col >= 0) & (col < i32(W)));
  } else {
    window[i] = load_input(source, (row + u32(col)) * LANES + r.lane);
  }
}

// Filter rows first, first + PHASES, … that meet a row of x: those from begin to end of them, counted from first.
struct Rows { first: u32, begin: u32, end: u32 }

fn add_rows(source: u32, channel: u32, tile: u32, top: i32, rows: Rows, left: i32, lane: u32, index: u32) {
  for (var slice = 0u; slice < (GROUP_CI + SLICES - 1u) / SLICES; slice++) {
    for (var k = rows.begin * SEGMENTS; k < rows.end * SEGMENTS; k++) {
      let step = k / SEGMENTS;
      let ih = top + select(i32(step), -i32(step), BACKWARD);
      let at = (channel * H + u32(clamp(ih, 0, i32(H) - 1))) * W;
      let r = Row(slice * SLICES, at, (ih >= 0) & (ih < i32(H)), left + i32(k % SEGMENTS), lane);
      unroll(i, SPAN) { fetch(source, i, r); }
      let row = tile * TILE_ROWS + (slice * SIZE + rows.first + step * PHASES) * SEGMENTS + k % SEGMENTS;
      load_row(source, row * ROW, 1u, index);
      add_products();
    }
  }
}

fn top_of(i: u32, phase: u32) -> i32 {  // row of x under filter row 0 of output row i of a phase
  return select(i32(i * STRIDE) - i32(PADDING), i32(i + (phase + PADDING) / PHASES), BACKWARD);
}

// The filter rows that any of the rows of a workgroup needs, so that it takes as many steps everywhere.
fn rows_of(phase: u32, first_row: u32, last_row: u32) -> Rows {
  let first = select(0u, (phase + PADDING) % PHASES, BACKWARD);
  let above = select(-top_of(last_row, phase), top_of(first_row, phase) - i32(H) + 1, BACKWARD);
  let below = select(i32(H) - top_of(first_row, phase), top_of(last_row, phase) + 1, BACKWARD);
  let count = (SIZE + PHASES - 1u - first) / PHASES;
  return Rows(first, u32(max(above, 0)), u32(clamp(below, 0, i32(count))));
}

@compute @workgroup_size(LANES, ROWS)
fn main(@builtin(local_invocation_id) local: vec3u, @builtin(local_invocation_index) index: u32,
        @builtin(workgroup_id) group: vec3u) {
  let tile = group.y / PHASES;
  let phase = group.y % PHASES;
  let rows = (OH + PHASES - 1u - phase) / PHASES;  // of the phase
  let strips = ((OW + PHASES - 1u) / PHASES + PIXELS - 1u) / PIXELS;
  let strip = group.x * ROWS + local.y;
  let i = strip / strips;
  let j = strip % strips * PIXELS;
  let needed = rows_of(phase, group.x * ROWS / strips, min((group.x * ROWS + ROWS - 1u) / strips, rows - 1u));
  let top = top_of(i, phase);
  let part = tile / TILES;  // the group
  let channel = group.z * CI + part * GROUP_CI;
  unroll(source, SOURCES) { add_rows(source, channel, tile, top, needed, i32(j * STRIDE) + LEFT, local.x, index); }
  if (BIAS) { load_row(SOURCES - 1u, (tile * TILE_ROWS + TILE_ROWS - 1u) * ROW, 1u, index); }
  let at = ((group.z * CO * OH + i * PHASES + phase) * OW + j * PHASES) * LANES + local.x;
  let columns = select(0u, OW - min(j * PHASES, OW), i < rows);
  let output = select(part * GROUP_CO * PHASES + tile % TILES * OUTPUTS, tile * OUTPUTS, GROUP_CO == CO);
  finish_tile(Target(at, OH * OW * LANES, LANES, output, (part + 1u) * GROUP_CO * PHASES, columns));
}
