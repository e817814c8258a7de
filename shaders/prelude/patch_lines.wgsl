// Walks an invocation of a weight gradient through its units, STRIPE pixel rows of a batch block each, by PIXELS
// neighbours. The shader around it holds what a step adds to: fetch_pixel takes the gradients of a pixel, and add_line
// meets them with the window of a line, the columns of x under the TAPS of all pixels.
// needs: add_line, blocks, CI, fetch_pixel, H, IS_PADDED, LANES, LINES, load_x, MOST_LINES, OH, OW, PADDING, PIXELS
// needs: SEGMENTS, SIZE, SPAN, STRIDE, STRIPE, TAPS, W, window

var<private> lines: array<vec4i, MOST_LINES>;  // channel plane, row and column of the first tap at output pixel 0

struct Step { block: u32, oh: u32, ow: u32, lane: u32 }

// Line `first + line` of the patches of so many channels from `channel` on. Lines beyond the last are read as it, and
// not stored.
fn locate(line: u32, first: u32, channel: u32, channels: u32) {
  let l = min(first + line, channels * SIZE * SEGMENTS - 1u);
  lines[line] = vec4i(i32((channel + l / (SIZE * SEGMENTS)) * H), i32(l / SEGMENTS % SIZE) - i32(PADDING),
                      i32(l % SEGMENTS) - i32(PADDING), 0);
}

fn fetch(i: u32, row: u32, inside: bool, left: i32, lane: u32) {
  // windows of neighbours overlap where the stride is small; else column i is tap i mod TAPS of pixel i / TAPS
  let col = left + i32(select(i, i / TAPS * STRIDE + i % TAPS, STRIDE > TAPS));
  if (IS_PADDED) {
    let value = load_x((row + u32(clamp(col, 0, i32(W) - 1))) * LANES + lane);
    window[i] = select(vec4f(), value, inside & (col >= 0) & (col < i32(W)));
  } else {
    window[i] = load_x((row + u32(col)) * LANES + lane);
  }
}

fn sum_line(line: u32, s: Step) {
  let ih = i32(s.oh * STRIDE) + lines[line].y;
  let row = (s.block * CI * H + u32(lines[line].x + clamp(ih, 0, i32(H) - 1))) * W;
  let inside = (ih >= 0) & (ih < i32(H));
  let left = i32(s.ow * STRIDE) + lines[line].z;
  unroll(i, SPAN) { fetch(i, row, inside, left, s.lane); }
  add_line(line);
}

// The units from `first` on, every so many of them, for outputs from `output` on.
fn sum_units(output: u32, first: u32, every: u32, lane: u32) {
  let stripes = (OH + STRIPE - 1u) / STRIPE;  // of a block
  for (var unit = first; unit < blocks * stripes; unit += every) {
    let top = unit % stripes * STRIPE;
    for (var oh = top; oh < min(top + STRIPE, OH); oh++) {
      for (var ow = 0u; ow < OW; ow += PIXELS) {
        let s = Step(unit / stripes, oh, ow, lane);
        unroll(t, PIXELS) { fetch_pixel(t, output, s); }
        unroll(l, LINES) { sum_line(l, s); }
      }
    }
  }
}
