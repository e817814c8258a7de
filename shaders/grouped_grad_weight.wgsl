// grouped_grad_weight: partial[s,r,co] = Σ_{n in split s, oh, ow} dy[n,co,oh,ow] · patch[n,r,oh,ow] of a convolution in
// groups, patch[r = (c,kh,kw)] = x[n,ci, oh·STRIDE+kh-PADDING, ow·STRIDE+kw-PADDING], ci channel c of co's group; the
// row after the last is Σ dy (bias).
// x: [N/B][CI][H][W][B], dy: [N/B][CO][OH][OW][B], partial: [splits][patches and bias, padded][CO, padded].
// A workgroup owns one output × LINES lines of TAPS patch rows (a line is a filter row, or one tap of a wide one) of
// one split of the units, STRIPE pixel rows of a batch block each; an invocation sums its 4 images over PIXELS
// neighbours a step of every so many units. Images are added up at the end. reduce_partials sums the splits.
#import total
#import patch_lines
const MOST_LINES = 8u;
const MOST_TAPS = 7u;
const MOST_PIXELS = 4u;
const PARTIAL_MULTIPLE = 8u;  // rows and columns of partial are padded to multiples of this
override CI: u32;
override CO: u32;
override GROUP_CI: u32;
override GROUP_CO: u32;
override H: u32;
override W: u32;
override OH: u32;
override OW: u32;
override SIZE: u32;
override STRIDE: u32;
override PADDING: u32;
override IS_PADDED: bool;  // a window may lie outside the image
override SEGMENTS: u32;
override STRIPE: u32;
override LINES: u32;
override TAPS: u32;
override PIXELS: u32;
override STEP: u32;        // of the window, from a pixel to the next
override LANES: u32;
override ROWS: u32;
@group(0) @binding(0) var<quads, read>          x: array<vec4f>;
@group(0) @binding(1) var<quads, read>          dy: array<vec4f>;
@group(0) @binding(2) var<uniform>              blocks: u32;
@group(0) @binding(3) var<storage, read_write>  partial: array<f32>;
var<private> acc: array<vec4f, MOST_LINES * MOST_TAPS>;      // [line][tap]
var<private> bias: vec4f;
var<private> gradients: array<vec4f, MOST_PIXELS>;
var<private> window: array<vec4f, MOST_TAPS * MOST_PIXELS>;

fn fetch_pixel(pixel: u32, co: u32, s: Step) {
  let at = ((s.block * CO + co) * OH + s.oh) * OW + min(s.ow + pixel, OW - 1u);
  gradients[pixel] = select(vec4f(), load_dy(at * LANES + s.lane), s.ow + pixel < OW);
  bias += gradients[pixel];
}

fn add_tap(line: u32, tap: u32) {
  var sum = vec4f();
  unroll(t, PIXELS) { sum += gradients[t] * window[t * STEP + tap]; }
  acc[line * MOST_TAPS + tap] += sum;
}

fn add_line(line: u32) {
  unroll(k, TAPS) { add_tap(line, k); }
}

// Where the sums go: the word of row 0, words of a row, the row of line 0 and tap 0, rows of patches in all.
struct Target { base: u32, stride: u32, row: u32, rows: u32, index: u32 }

fn write(value: vec4f, row: u32, is_real: bool, to: Target) {
  let sum = total(value, to.index);
  if (is_real & (to.index == 0u)) { partial[to.base + row * to.stride] = (sum.x + sum.y) + (sum.z + sum.w); }
}

fn write_line(line: u32, tap: u32, to: Target) {
  var sum = vec4f();
  unroll(k, TAPS) { sum = select(sum, acc[line * MOST_TAPS + k], tap == k); }
  let row = to.row + line * TAPS + tap;
  write(sum, row, row < to.rows, to);
}

@compute @workgroup_size(LANES, ROWS)
fn main(@builtin(local_invocation_id) local: vec3u, @builtin(local_invocation_index) index: u32,
        @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let co = group.x;
  let channel = co / GROUP_CO * GROUP_CI;
  let first = group.y * LINES;
  unroll(l, LINES) { locate(l, first, channel, GROUP_CI); }
  sum_units(co, group.z * ROWS + local.y, groups.z * ROWS, local.x);
  let rows = GROUP_CI * SIZE * SIZE;
  let padded = (rows + PARTIAL_MULTIPLE) / PARTIAL_MULTIPLE * PARTIAL_MULTIPLE;
  let stride = (CO + PARTIAL_MULTIPLE - 1u) / PARTIAL_MULTIPLE * PARTIAL_MULTIPLE;
  let to = Target(group.z * padded * stride + co, stride, first * TAPS, rows, index);
  for (var tap = 0u; tap < TAPS; tap++) {  // a loop, because a store is what takes a driver longest to compile
    unroll(l, LINES) { write_line(l, tap, to); }
  }
  write(bias, rows, group.y == 0u, to);
}
