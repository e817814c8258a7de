// conv2d_grad_weight: partial[s,r,co] = Σ_{n in split s, oh, ow} dy[n,co,oh,ow] · patch[n,r,oh,ow],
// patch[r = (ci,kh,kw)] = x[n,ci, oh·STRIDE+kh-PADDING, ow·STRIDE+kw-PADDING]; the row after the last is Σ dy (bias).
// x: [N/B][CI][H][W][B], dy: [N/B][CO][OH][OW][B], partial: [splits][patches and bias, padded][CO, padded].
// A workgroup owns QUADS·4 channels × LINES lines of TAPS patch rows (a line is a filter row, or one tap of a wide one)
// of one split of the units, STRIPE pixel rows of a batch block each; an invocation sums its 4 images over the pixels
// of every so many units (see outer_tile). reduce_partials sums the splits.
// With GRAM, dy is the patches themselves and CO their number: Σ patch patchᵀ, a Kronecker factor, of which only the
// tiles that hold an entry with r ≤ co are computed; factor_reduce sums the splits.
#import outer_tile
#import patch_window
override CI: u32;
override CO: u32;
override H: u32;
override OH: u32;
override OW: u32;
override SIZE: u32;
override PADDING: u32;
override GRAM: bool;
override SEGMENTS: u32;
override STRIPE: u32;
override LANES: u32;
override ROWS: u32;
@group(0) @binding(0) var<quads, read>          x: array<vec4f>;
@group(0) @binding(1) var<quads, read>          dy: array<vec4f>;
@group(0) @binding(2) var<uniform>              blocks: u32;
@group(0) @binding(3) var<storage, read_write>  partial: array<vec4f>;
const PARTIAL_MULTIPLE = 8u;  // rows and columns of partial are padded to multiples of this
var<private> lines: array<vec4i, MOST_LINES>;  // channel plane, row and column of the first tap at output pixel 0

struct Step { block: u32, oh: u32, ow: u32, lane: u32 }

fn patch_value(pixel: u32, row: u32, s: Step) -> vec4f {
  let r = min(row, CO - 1u);
  let ih = i32(s.oh * STRIDE + r / SIZE % SIZE) - i32(PADDING);
  let iw = i32(min(s.ow + pixel, OW - 1u) * STRIDE + r % SIZE) - i32(PADDING);
  let inside = (s.ow + pixel < OW) & (ih >= 0) & (ih < i32(H)) & (iw >= 0) & (iw < i32(W));
  let plane = (s.block * CI + r / (SIZE * SIZE)) * H + u32(clamp(ih, 0, i32(H) - 1));
  return select(vec4f(), load_x((plane * W + u32(clamp(iw, 0, i32(W) - 1))) * LANES + s.lane), inside);
}

fn gradient(pixel: u32, channel: u32, s: Step) -> vec4f {
  if (GRAM) { return patch_value(pixel, channel, s); }
  let at = (s.block * CO + min(channel, CO - 1u)) * OH * OW + s.oh * OW + min(s.ow + pixel, OW - 1u);
  return select(vec4f(), load_dy(at * LANES + s.lane), s.ow + pixel < OW);
}

fn fetch_gradients(pixel: u32, quad: u32, channel: u32, s: Step) {
  let c = channel + quad * 4u;
  set_gradients(pixel, quad, gradient(pixel, c, s), gradient(pixel, c + 1u, s),
                gradient(pixel, c + 2u, s), gradient(pixel, c + 3u, s));
}

fn fetch_pixel(pixel: u32, channel: u32, s: Step) {
  unroll(q, QUADS) { fetch_gradients(pixel, q, channel, s); }
}

fn locate(line: u32, first: u32) {
  let l = min(first + line, CI * SIZE * SEGMENTS - 1u);  // lines beyond the last are read as the last and not stored
  lines[line] = vec4i(i32(l / (SIZE * SEGMENTS) * H), i32(l / SEGMENTS % SIZE) - i32(PADDING),
                      i32(l % SEGMENTS) - i32(PADDING), 0);
}

fn sum_line(line: u32, s: Step) {
  let ih = i32(s.oh * STRIDE) + lines[line].y;
  let row = (s.block * CI * H + u32(lines[line].x + clamp(ih, 0, i32(H) - 1))) * W;
  let inside = (ih >= 0) & (ih < i32(H));
  let left = i32(s.ow * STRIDE) + lines[line].z;
  unroll(i, SPAN) { fetch(i, row, inside, left, s.lane); }
  add_line(line);
}

@compute @workgroup_size(LANES, ROWS)
fn main(@builtin(local_invocation_id) local: vec3u, @builtin(local_invocation_index) index: u32,
        @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let channel = group.x * QUADS * 4u;
  let first = group.y * LINES;
  if (GRAM & (first * TAPS >= channel + QUADS * 4u)) { return; }  // the same for the whole workgroup
  unroll(l, LINES) { locate(l, first); }
  let stripes = (OH + STRIPE - 1u) / STRIPE;  // of a block
  for (var unit = group.z * ROWS + local.y; unit < blocks * stripes; unit += groups.z * ROWS) {
    let top = unit % stripes * STRIPE;
    for (var oh = top; oh < min(top + STRIPE, OH); oh++) {
      for (var ow = 0u; ow < OW; ow += PIXELS) {
        let s = Step(unit / stripes, oh, ow, local.x);
        unroll(t, PIXELS) { fetch_pixel(t, channel, s); }
        unroll(l, LINES) { sum_line(l, s); }
      }
    }
  }
  let rows = CI * SIZE * SIZE;
  let padded = (rows + PARTIAL_MULTIPLE) / PARTIAL_MULTIPLE * PARTIAL_MULTIPLE;
  let stride = (CO + PARTIAL_MULTIPLE - 1u) / PARTIAL_MULTIPLE * (PARTIAL_MULTIPLE / 4u);
  write_tile(Target(group.z * padded * stride, first * TAPS, rows, stride, channel / 4u, index));
}
