// The sums of one invocation of a weight gradient: LINES lines of TAPS inputs × QUADS·4 outputs, over 4 images and
// PIXELS pixels a step. The shader around it fills dy (transposed: the four outputs of a quad for one image), the
// window of a line, and calls add_line; everything is indexed by constants, so that it can stay in registers.
// needs: partial
#import terms
#import total

const MOST_LINES = 8u;
const MOST_TAPS = 7u;
const MOST_QUADS = 4u;
const MOST_PIXELS = 4u;
override LINES: u32;
override TAPS: u32;
override QUADS: u32;
override PIXELS: u32;
override STEP: u32;  // of the window, from a pixel to the next
var<private> acc: array<vec4f, MOST_LINES * MOST_TAPS * MOST_QUADS>;  // [line][tap][quad]
var<private> bias: array<vec4f, MOST_QUADS>;
var<private> dy4: array<vec4f, MOST_PIXELS * MOST_QUADS * 4u>;        // [pixel][quad][image]
var<private> window: array<vec4f, MOST_TAPS * MOST_PIXELS>;

// Sets dy of four outputs at a pixel from their vectors of images.
fn set_gradients(pixel: u32, quad: u32, a: vec4f, b: vec4f, c: vec4f, d: vec4f) {
  let at = (pixel * MOST_QUADS + quad) * 4u;
  dy4[at] = vec4f(a.x, b.x, c.x, d.x);
  dy4[at + 1u] = vec4f(a.y, b.y, c.y, d.y);
  dy4[at + 2u] = vec4f(a.z, b.z, c.z, d.z);
  dy4[at + 3u] = vec4f(a.w, b.w, c.w, d.w);
  bias[quad] += (dy4[at] + dy4[at + 1u]) + (dy4[at + 2u] + dy4[at + 3u]);
}

fn add_pixel(sum: vec4f, pixel: u32, tap: u32, quad: u32) -> vec4f {
  let at = (pixel * MOST_QUADS + quad) * 4u;
  return add_four(sum, dy4[at], dy4[at + 1u], dy4[at + 2u], dy4[at + 3u], window[pixel * STEP + tap]);
}

fn add_quad(line: u32, tap: u32, quad: u32) {
  let at = (line * MOST_TAPS + tap) * MOST_QUADS + quad;
  var terms = begin(acc[at]);
  unroll(t, PIXELS) { terms = add_pixel(terms, t, tap, quad); }
  acc[at] = end(acc[at], terms);
}

fn add_tap(line: u32, tap: u32) {
  unroll(q, QUADS) { add_quad(line, tap, q); }
}

fn add_line(line: u32) {
  unroll(k, TAPS) { add_tap(line, k); }
}

// Where the sums go: the row of partial for line 0 and tap 0, rows of patches in all, vec4 of a row, the first quad.
struct Target { base: u32, row: u32, rows: u32, stride: u32, quad: u32, index: u32 }

fn write(value: vec4f, row: u32, quad: u32, is_real: bool, to: Target) {
  let sum = total(value, to.index);
  if (is_real & (to.index == 0u) & (to.quad + quad < to.stride)) {
    partial[to.base + row * to.stride + to.quad + quad] = sum;
  }
}

fn write_quad(line: u32, tap: u32, quad: u32, to: Target) {
  var sum = vec4f();
  unroll(k, TAPS) { sum = select(sum, acc[(line * MOST_TAPS + k) * MOST_QUADS + quad], tap == k); }
  let row = to.row + line * TAPS + tap;
  write(sum, row, quad, row < to.rows, to);
}

fn write_line(line: u32, tap: u32, to: Target) {
  unroll(q, QUADS) { write_quad(line, tap, q, to); }
}

// Sums over the workgroup's invocations and stores; the row after the last is the bias, which the first tile of lines
// writes. A loop over the taps, because a store is what takes a driver longest to compile.
fn write_tile(to: Target) {
  for (var tap = 0u; tap < TAPS; tap++) {
    unroll(l, LINES) { write_line(l, tap, to); }
  }
  unroll(q, QUADS) { write(bias[q], to.rows, q, to.row == 0u, to); }
}
