// conv2d_forward: y[n,co,oh,ow] (+)= b[co] + Σ_{ci,kh,kw} w[co,ci,kh,kw] · x[n,ci, oh·STRIDE+kh-PADDING, ow·STRIDE+kw-PADDING]
// x: [N/B][CI][H][W][B], y: [N/B][CO][OH][OW][B], w: packed [CO/8][CI·SIZE·SIZE and a row of biases][8].
// An invocation owns 4 images, 4 neighbouring output pixels and 8 output channels: eight mat4x4 accumulators (columns: channels).
// Taps a stride apart meet the same input pixels one output pixel further on, so three of four are kept from tap to tap:
// three vec4 loads feed 128 multiply-adds.
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

// Four images of x at row ih and column iw of a channel plane, zero in the padding and beyond.
fn pixel(plane: u32, ih: i32, iw: i32) -> vec4f {
  if (PADDING == 0 && OW % 4u == 0u) { return x[plane + u32(ih * W + iw) * LANES]; }  // never outside
  let value = x[plane + u32(clamp(ih, 0, H - 1) * W + clamp(iw, 0, W - 1)) * LANES];
  return select(vec4f(), value, (ih >= 0) & (ih < H) & (iw >= 0) & (iw < W));
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
  let channel = group.y * 8u;
  let block = group.z;
  let strips = (OW + 3u) / 4u;
  let strip = group.x * ROWS + local.y;
  let oh = min(strip / strips, OH - 1u);
  let ow = strip % strips * 4u;
  let ih = i32(oh * STRIDE) - PADDING;
  let iw = i32(ow * STRIDE) - PADDING;
  let step = i32(STRIDE);

  var a0 = mat4x4f(); var a1 = mat4x4f();
  var b0 = mat4x4f(); var b1 = mat4x4f();
  var c0 = mat4x4f(); var c1 = mat4x4f();
  var d0 = mat4x4f(); var d1 = mat4x4f();
  let tile = group.y * (CI * SIZE * SIZE + 1u);
  for (var ci = 0u; ci < CI; ci++) {
    let plane = (block * CI + ci) * u32(H * W) * LANES + lane;
    for (var kh = 0u; kh < SIZE; kh++) {
      let row = ih + i32(kh);
      for (var phase = 0u; phase < min(STRIDE, SIZE); phase++) {
        var col = iw + i32(phase);
        var a = pixel(plane, row, col);
        var b = pixel(plane, row, col + step);
        var c = pixel(plane, row, col + 2 * step);
        for (var kw = phase; kw < SIZE; kw += STRIDE) {
          let d = pixel(plane, row, col + 3 * step);
          let tap = (tile + (ci * SIZE + kh) * SIZE + kw) * 2u;
          let w0 = w[tap];
          let w1 = w[tap + 1u];
          a0 += rank1(a, w0); a1 += rank1(a, w1);
          b0 += rank1(b, w0); b1 += rank1(b, w1);
          c0 += rank1(c, w0); c1 += rank1(c, w1);
          d0 += rank1(d, w0); d1 += rank1(d, w1);
          a = b; b = c; c = d;
          col += step;
        }
      }
    }
  }
  if (BIAS) {
    let bias0 = rank1(vec4f(1.0), w[(tile + CI * SIZE * SIZE) * 2u]);
    let bias1 = rank1(vec4f(1.0), w[(tile + CI * SIZE * SIZE) * 2u + 1u]);
    a0 += bias0; a1 += bias1; b0 += bias0; b1 += bias1; c0 += bias0; c1 += bias1; d0 += bias0; d1 += bias1;
  }
  if (strip < OH * strips) {
    let at = oh * OW + ow;
    store4(block, channel, at, lane, a0); store4(block, channel + 4u, at, lane, a1);
    if (ow + 1u < OW) { store4(block, channel, at + 1u, lane, b0); store4(block, channel + 4u, at + 1u, lane, b1); }
    if (ow + 2u < OW) { store4(block, channel, at + 2u, lane, c0); store4(block, channel + 4u, at + 2u, lane, c1); }
    if (ow + 3u < OW) { store4(block, channel, at + 3u, lane, d0); store4(block, channel + 4u, at + 3u, lane, d1); }
  }
}
