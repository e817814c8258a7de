// matmul: y[n,o] = g( b[o] + Σ_r w[o,r] · x[n,r] (+ the same of v and tx) ): a dense layer forward, its jvp, and, with
// the transposed weights packed, its gradient to the input; g an activation or a mask.
// x: [N/B][INPUTS][B], y: [N/B][CO][B]; w: packed tiles of rows [⌈INPUTS/TAPS⌉] of [OUTPUTS][TAPS], a row of biases.
// An invocation owns 4 images of each of PIXELS batch blocks and OUTPUTS outputs (see product_tile), TAPS a step. Where
// there are few blocks, the SHARES rows of a workgroup own the same and each does a part of the sum.
#import product_tile
#import weights
override INPUTS: u32;
override CO: u32;
override TILE_ROWS: u32;  // rows of a tile of weights
override BIAS: bool;      // the last row of a tile is its biases
override SOURCES: u32;    // pairs of input and weights: 2 where (tx, v) is added to (x, w)
override SHARES: u32;     // ROWS, or 1
override LANES: u32;
override ROWS: u32;
@group(0) @binding(0) var<quads, read>          x: array<vec4f>;
@group(0) @binding(1) var<quads, read>          w: array<vec4f>;
@group(0) @binding(2) var<quads, read>          tx: array<vec4f>;
@group(0) @binding(3) var<quads, read>          v: array<vec4f>;
@group(0) @binding(4) var<quads, read>          mask: array<vec4f>;
@group(0) @binding(5) var<uniform>              blocks: u32;
@group(0) @binding(6) var<quads, write>         y: array<vec4f>;
@group(0) @binding(7) var<quads, write>         derivative: array<vec4f>;
@group(0) @binding(8) var<storage, read_write>  found: atomic<u32>;
const MOST_INVOCATIONS = 128u;  // of a workgroup
var<workgroup> parts: array<vec4f, MOST_INVOCATIONS>;

// Input `input` of pixel i / TAPS; blocks beyond the last are read as the last and not stored.
fn fetch(source: u32, i: u32, block: u32, input: u32, lane: u32) {
  let at = (min(block + i / TAPS, blocks - 1u) * INPUTS + min(input + i % TAPS, INPUTS - 1u)) * LANES + lane;
  window[i] = load_input(source, at);
}

fn add_rows(source: u32, tile: u32, block: u32, lane: u32, index: u32) {
  let steps = (INPUTS + TAPS - 1u) / TAPS;
  for (var first = 0u; first < steps; first += SHARES) {
    let r = first + share;
    unroll(i, SPAN) { fetch(source, i, block, r * TAPS, lane); }
    load_row(source, (tile * TILE_ROWS + first) * ROW, min(SHARES, steps - first), index);
    if ((SHARES == 1u) | (r < steps)) { add_products(); }
  }
}

// The whole of a sum, in the first row's invocations, from the parts of all rows in their order.
fn add_shares(o: u32, lane: u32, index: u32) {
  workgroupBarrier();  // all have read the parts before
  parts[index] = acc[o * MOST_PIXELS];
  workgroupBarrier();
  var sum = parts[lane];
  for (var s = 1u; s < SHARES; s++) { sum += parts[s * LANES + lane]; }
  acc[o * MOST_PIXELS] = sum;
}

@compute @workgroup_size(LANES, ROWS)
fn main(@builtin(local_invocation_id) local: vec3u, @builtin(local_invocation_index) index: u32,
        @builtin(workgroup_id) group: vec3u) {
  let block = select((group.x * ROWS + local.y) * PIXELS, group.x, SHARES > 1u);
  let tile = group.y;
  share = select(0u, local.y, SHARES > 1u);
  unroll(source, SOURCES) { add_rows(source, tile, block, local.x, index); }
  if (SHARES > 1u) {
    unroll(o, OUTPUTS) { add_shares(o, local.x, index); }
  }
  if (BIAS) { load_row(SOURCES - 1u, (tile * TILE_ROWS + TILE_ROWS - 1u) * ROW, 1u, index); }
  let at = block * CO * LANES + local.x;
  let pixels = select(blocks - min(block, blocks), 0u, share > 0u);
  finish_tile(Target(at, LANES, CO * LANES, tile * OUTPUTS, CO, pixels));
}
