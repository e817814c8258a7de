// conv2d_grad_weight: partial[s,r,co] = Σ_{n in split s, oh, ow} dy[n,co,oh,ow] · patch[n,r,oh,ow],
// patch[r = (ci,kh,kw)] = x[n,ci, oh·STRIDE+kh-PADDING, ow·STRIDE+kw-PADDING]; the row after the last is Σ dy (bias).
// x: [N/B][CI][H][W][B], dy: [N/B][CO][OH][OW][B], partial: [splits][patches and bias, padded][CO, padded].
// A workgroup owns QUADS·4 channels × LINES lines of TAPS patch rows (a line is a filter row, or one tap of a wide one)
// of one split of the units, STRIPE pixel rows of a batch block each; an invocation sums its 4 images over the pixels
// of every so many units (see outer_tile). reduce_partials sums the splits.
// With GRAM, dy is the patches themselves and CO their number: Σ patch patchᵀ, a Kronecker factor, of which only the
// tiles that hold an entry with r ≤ co are computed; factor_reduce sums the splits.
#import outer_tile
#import patch_lines
override CI: u32;
override CO: u32;
override H: u32;
override W: u32;
override OH: u32;
override OW: u32;
override SIZE: u32;
override STRIDE: u32;
override PADDING: u32;
override IS_PADDED: bool;  // a window may lie outside the image
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

@compute @workgroup_size(LANES, ROWS)
fn main(@builtin(local_invocation_id) local: vec3u, @builtin(local_invocation_index) index: u32,
        @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let channel = group.x * QUADS * 4u;
  let first = group.y * LINES;
  if (GRAM & (first * TAPS >= channel + QUADS * 4u)) { return; }  // the same for the whole workgroup
  unroll(l, LINES) { locate(l, first, 0u, CI); }
  sum_units(channel, group.z * ROWS + local.y, groups.z * ROWS, local.x);
  let rows = CI * SIZE * SIZE;
  let padded = (rows + PARTIAL_MULTIPLE) / PARTIAL_MULTIPLE * PARTIAL_MULTIPLE;
  let stride = (CO + PARTIAL_MULTIPLE - 1u) / PARTIAL_MULTIPLE * (PARTIAL_MULTIPLE / 4u);
  write_tile(Target(group.z * padded * stride, first * TAPS, rows, stride, channel / 4u, index));
}
