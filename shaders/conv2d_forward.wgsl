// conv2d_forward: y[n,co,oh,ow] (+)= b[co] + Σ_{ci,kh,kw} w[co,ci,kh,kw] · x[n,ci, oh·STRIDE+kh-PADDING, ow·STRIDE+kw-PADDING]
// x: [N/B][CI][H][W][B], y: [N/B][CO][OH][OW][B], w: packed [CO/8][CI·SIZE·SIZE and a row of biases][8].
// An invocation owns 4 images, 4 output pixels and 8 output channels: eight mat4x4 accumulators (columns: channels), so that
// the six vec4 loads of a tap feed 128 multiply-adds. Pixels beyond the last are computed as the last and not stored.
override CI: u32;
override CO: u32;
override H: i32;
override W: i32;
override OH: u32;
override OW: u32;
override SIZE: u32;
override STRIDE: u32;
override PADDING: i32;
override BIAS: bool;        // add the row of biases
override ACCUMULATE: bool;  // add to y
override LANES: u32;
override ROWS: u32;
@group(0) @binding(0) var<storage, read>       x: array<vec4f>;
@group(0) @binding(1) var<storage, read>       w: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

fn rank1(images: vec4f, outputs: vec4f) -> mat4x4f {
  return mat4x4f(images * outputs.x, images * outputs.y, images * outputs.z, images * outputs.w);
}

// Four images of x at row ih and column iw of a channel plane, zero in the padding.
fn pixel(plane: u32, ih: i32, iw: i32) -> vec4f {
  if (PADDING == 0) { return x[plane + u32(ih * W + iw) * LANES]; }
  let value = x[plane + u32(clamp(ih, 0, H - 1) * W + clamp(iw, 0, W - 1)) * LANES];
  return select(vec4f(), value, ih >= 0 && ih < H && iw >= 0 && iw < W);
}

fn store(at: u32, channel: u32, value: vec4f) {
  if (channel < CO) {
    if (ACCUMULATE) { y[at] += value; } else { y[at] = value; }
  }
}

fn store4(image: u32, channel: u32, p: u32, lane: u32, values: mat4x4f) {
  let plane = OH * OW * LANES;
  let at = (image * CO + channel) * plane + p * LANES + lane;
  store(at, channel, values[0]);
  store(at + plane, channel + 1u, values[1]);
  store(at + 2u * plane, channel + 2u, values[2]);
  store(at + 3u * plane, channel + 3u, values[3]);
}

@compute @workgroup_size(LANES, ROWS)
fn main(@builtin(local_invocation_id) local: vec3u, @builtin(workgroup_id) group: vec3u) {
  let lane = local.x;
  let first = (group.x * ROWS + local.y) * 4u;
  let channel = group.y * 8u;
  let block = group.z;
  let p = min(vec4u(first) + vec4u(0u, 1u, 2u, 3u), vec4u(OH * OW - 1u));
  let ih = vec4i(p / OW * STRIDE) - PADDING;
  let iw = vec4i(p % OW * STRIDE) - PADDING;

  var a0 = mat4x4f(); var a1 = mat4x4f();
  var b0 = mat4x4f(); var b1 = mat4x4f();
  var c0 = mat4x4f(); var c1 = mat4x4f();
  var d0 = mat4x4f(); var d1 = mat4x4f();
  var tap = group.y * (CI * SIZE * SIZE + 1u) * 2u;
  for (var ci = 0u; ci < CI; ci++) {
    let plane = (block * CI + ci) * u32(H * W) * LANES + lane;
    for (var kh = 0u; kh < SIZE; kh++) {
      for (var kw = 0u; kw < SIZE; kw++) {
        let w0 = w[tap];
        let w1 = w[tap + 1u];
        tap += 2u;
        let row = ih + i32(kh);
        let col = iw + i32(kw);
        let a = pixel(plane, row.x, col.x); a0 += rank1(a, w0); a1 += rank1(a, w1);
        let b = pixel(plane, row.y, col.y); b0 += rank1(b, w0); b1 += rank1(b, w1);
        let c = pixel(plane, row.z, col.z); c0 += rank1(c, w0); c1 += rank1(c, w1);
        let d = pixel(plane, row.w, col.w); d0 += rank1(d, w0); d1 += rank1(d, w1);
      }
    }
  }
  if (BIAS) {
    let bias0 = rank1(vec4f(1.0), w[tap]);
    let bias1 = rank1(vec4f(1.0), w[tap + 1u]);
    a0 += bias0; a1 += bias1; b0 += bias0; b1 += bias1; c0 += bias0; c1 += bias1; d0 += bias0; d1 += bias1;
  }
  let pixels = OH * OW;
  if (first < pixels)      { store4(block, channel, first, lane, a0);      store4(block, channel + 4u, first, lane, a1); }
  if (first + 1u < pixels) { store4(block, channel, first + 1u, lane, b0); store4(block, channel + 4u, first + 1u, lane, b1); }
  if (first + 2u < pixels) { store4(block, channel, first + 2u, lane, c0); store4(block, channel + 4u, first + 2u, lane, c1); }
  if (first + 3u < pixels) { store4(block, channel, first + 3u, lane, d0); store4(block, channel + 4u, first + 3u, lane, d1); }
}
