// The sums of one invocation of a weight gradient: LINES lines of TAPS inputs × QUADS·4 outputs, over 4 images and PIXELS pixels
// a step. The shader around it fills dy (transposed: the four outputs of a quad for one image), the window of a line, and calls
// add_line; everything is indexed by constants, so that it can stay in registers.
override LINES: u32;   // at most 8
override TAPS: u32;    // at most 7
override QUADS: u32;   // at most 4
override PIXELS: u32;  // at most 4
override STEP: u32;    // of the window, from a pixel to the next
var<private> acc: array<vec4f, 224>;   // [line][tap][quad]
var<private> bias: array<vec4f, 4>;
var<private> dy4: array<vec4f, 64>;    // [pixel][quad][image]
var<private> window: array<vec4f, 28>;

// Sets dy of four outputs at a pixel from their vectors of images.
fn set_gradients(pixel: u32, quad: u32, a: vec4f, b: vec4f, c: vec4f, d: vec4f) {
  let at = (pixel * 4u + quad) * 4u;
  dy4[at] = vec4f(a.x, b.x, c.x, d.x);
  dy4[at + 1u] = vec4f(a.y, b.y, c.y, d.y);
  dy4[at + 2u] = vec4f(a.z, b.z, c.z, d.z);
  dy4[at + 3u] = vec4f(a.w, b.w, c.w, d.w);
  bias[quad] += (dy4[at] + dy4[at + 1u]) + (dy4[at + 2u] + dy4[at + 3u]);
}

fn pixel_sum(pixel: u32, tap: u32, quad: u32) -> vec4f {
  let at = (pixel * 4u + quad) * 4u;
  let x = window[pixel * STEP + tap];
  return dy4[at] * x.x + dy4[at + 1u] * x.y + dy4[at + 2u] * x.z + dy4[at + 3u] * x.w;
}

fn add_quad(line: u32, tap: u32, quad: u32) {
  if (quad < QUADS) {
    var sum = pixel_sum(0u, tap, quad);
    if (PIXELS > 1u) { sum += pixel_sum(1u, tap, quad); }
    if (PIXELS > 2u) { sum += pixel_sum(2u, tap, quad); }
    if (PIXELS > 3u) { sum += pixel_sum(3u, tap, quad); }
    acc[(line * 7u + tap) * 4u + quad] += sum;
  }
}

fn add_tap(line: u32, tap: u32) {
  if (tap < TAPS) {
    add_quad(line, tap, 0u); add_quad(line, tap, 1u); add_quad(line, tap, 2u); add_quad(line, tap, 3u);
  }
}

fn add_line(line: u32) {
  add_tap(line, 0u); add_tap(line, 1u); add_tap(line, 2u); add_tap(line, 3u);
  add_tap(line, 4u); add_tap(line, 5u); add_tap(line, 6u);
}

// Where the sums go: the row of partial for line 0 and tap 0, rows of patches in all, vec4 of a row, and of the first quad.
struct Target { base: u32, row: u32, rows: u32, stride: u32, quad: u32, index: u32 }

fn write_quad(line: u32, tap: u32, quad: u32, to: Target) {
  if ((line < LINES) & (quad < QUADS)) {
    let at = line * 28u + quad;
    var sum = acc[at];
    if (TAPS > 1u) { sum = select(sum, acc[at + 4u], tap == 1u); }
    if (TAPS > 2u) { sum = select(sum, acc[at + 8u], tap == 2u); }
    if (TAPS > 3u) { sum = select(sum, acc[at + 12u], tap == 3u); }
    if (TAPS > 4u) { sum = select(sum, acc[at + 16u], tap == 4u); }
    if (TAPS > 5u) { sum = select(sum, acc[at + 20u], tap == 5u); }
    if (TAPS > 6u) { sum = select(sum, acc[at + 24u], tap == 6u); }
    sum = total(sum, to.index);
    let row = to.row + line * TAPS + tap;
    if ((to.index == 0u) & (row < to.rows) & (to.quad + quad < to.stride)) {
      partial[to.base + row * to.stride + to.quad + quad] = sum;
    }
  }
}

fn write_line(line: u32, tap: u32, to: Target) {
  write_quad(line, tap, 0u, to); write_quad(line, tap, 1u, to); write_quad(line, tap, 2u, to); write_quad(line, tap, 3u, to);
}

fn write_bias(quad: u32, to: Target) {
  if (quad < QUADS) {
    let sum = total(bias[quad], to.index);
    if ((to.index == 0u) & (to.row == 0u) & (to.quad + quad < to.stride)) {
      partial[to.base + to.rows * to.stride + to.quad + quad] = sum;
    }
  }
}

// Sums over the workgroup's invocations and stores; the row after the last is the bias, which the first tile of lines writes. A
// loop over the taps, because a store is what takes a driver longest to compile.
fn write_tile(to: Target) {
  for (var tap = 0u; tap < TAPS; tap++) {
    write_line(0u, tap, to); write_line(1u, tap, to); write_line(2u, tap, to); write_line(3u, tap, to);
    write_line(4u, tap, to); write_line(5u, tap, to); write_line(6u, tap, to); write_line(7u, tap, to);
  }
  write_bias(0u, to); write_bias(1u, to); write_bias(2u, to); write_bias(3u, to);
}
