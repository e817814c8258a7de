// conv2d_grad_input: out[n,ci,ih,iw] = Σ_{co,kh,kw} w[co,ci,kh,kw] · dy[n,co,oh,ow]  where oh·STRIDE + kh - PADDING = ih, ow alike
// dy: [N/B][CO][OH][OW][B], out: [N/B][CI][H][W][B], w: packed [CI/8][CO·SIZE·SIZE][8].
// Input pixels of one phase (ih mod STRIDE, iw mod STRIDE) meet the same taps, every STRIDE-th one: a workgroup serves one
// phase, so no tap is wasted. The rest is conv2d_forward: 4 images, 4 neighbouring pixels (of the phase) and 8 channels an
// invocation, three of four pixels of dy kept from tap to tap.
override CI: u32;
override CO: u32;
override H: u32;
override W: u32;
override OH: i32;
override OW: i32;
override SIZE: u32;
override STRIDE: u32;
override PADDING: u32;
override LANES: u32;
override ROWS: u32;
@group(0) @binding(0) var<storage, read>       dy: array<vec4f>;
@group(0) @binding(1) var<storage, read>       w: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4f>;  // dx, which DXC keeps for a namespace

fn rank1(images: vec4f, outputs: vec4f) -> mat4x4f {
  return mat4x4f(images * outputs.x, images * outputs.y, images * outputs.z, images * outputs.w);
}

// Four images of dy at row oh and column ow of a channel plane, zero outside.
fn pixel(plane: u32, oh: i32, ow: i32) -> vec4f {
  let value = dy[plane + u32(clamp(oh, 0, OH - 1) * OW + clamp(ow, 0, OW - 1)) * LANES];
  return select(vec4f(), value, (oh >= 0) & (oh < OH) & (ow >= 0) & (ow < OW));
}

fn store(at: u32, channel: u32, value: vec4f) {
  if (channel < CI) { out[at] = value; }
}

fn store4(image: u32, channel: u32, p: u32, lane: u32, values: mat4x4f) {
  let plane = H * W * LANES;
  let at = (image * CI + channel) * plane + p * LANES + lane;
  store(at, channel, values[0]);
  store(at + plane, channel + 1u, values[1]);
  store(at + 2u * plane, channel + 2u, values[2]);
  store(at + 3u * plane, channel + 3u, values[3]);
}

@compute @workgroup_size(LANES, ROWS)
fn main(@builtin(local_invocation_id) local: vec3u, @builtin(workgroup_id) group: vec3u) {
  let lane = local.x;
  let block = group.z;
  let tile = group.y / (STRIDE * STRIDE);
  let channel = tile * 8u;
  let phase_h = group.y % (STRIDE * STRIDE) / STRIDE;
  let phase_w = group.y % STRIDE;
  let rows = (H + STRIDE - 1u - phase_h) / STRIDE;  // pixels of this phase: rows × cols, none where the image is narrower
  let cols = (W + STRIDE - 1u - phase_w) / STRIDE;
  let strips = max((cols + 3u) / 4u, 1u);
  let strip = group.x * ROWS + local.y;
  let i = strip / strips;
  let j = strip % strips * 4u;
  let first_kh = (phase_h + PADDING) % STRIDE;
  let first_kw = (phase_w + PADDING) % STRIDE;

  var a0 = mat4x4f(); var a1 = mat4x4f();
  var b0 = mat4x4f(); var b1 = mat4x4f();
  var c0 = mat4x4f(); var c1 = mat4x4f();
  var d0 = mat4x4f(); var d1 = mat4x4f();
  for (var co = 0u; co < CO; co++) {
    let plane = (block * CO + co) * u32(OH * OW) * LANES + lane;
    for (var kh = first_kh; kh < SIZE; kh += STRIDE) {
      let row = i32(i) + (i32(phase_h + PADDING) - i32(kh)) / i32(STRIDE);  // exact: the taps of a phase
      var col = i32(j) + (i32(phase_w + PADDING) - i32(first_kw)) / i32(STRIDE);
      var b = pixel(plane, row, col + 1);
      var c = pixel(plane, row, col + 2);
      var d = pixel(plane, row, col + 3);
      for (var kw = first_kw; kw < SIZE; kw += STRIDE) {
        let a = pixel(plane, row, col);
        let tap = (((tile * CO + co) * SIZE + kh) * SIZE + kw) * 2u;
        let w0 = w[tap];
        let w1 = w[tap + 1u];
        a0 += rank1(a, w0); a1 += rank1(a, w1);
        b0 += rank1(b, w0); b1 += rank1(b, w1);
        c0 += rank1(c, w0); c1 += rank1(c, w1);
        d0 += rank1(d, w0); d1 += rank1(d, w1);
        d = c; c = b; b = a;
        col -= 1;
      }
    }
  }
  if (i < rows && j < cols) {
    let at = (i * STRIDE + phase_h) * W + j * STRIDE + phase_w;
    store4(block, channel, at, lane, a0); store4(block, channel + 4u, at, lane, a1);
    if (j + 1u < cols) {
      store4(block, channel, at + STRIDE, lane, b0); store4(block, channel + 4u, at + STRIDE, lane, b1);
    }
    if (j + 2u < cols) {
      store4(block, channel, at + 2u * STRIDE, lane, c0); store4(block, channel + 4u, at + 2u * STRIDE, lane, c1);
    }
    if (j + 3u < cols) {
      store4(block, channel, at + 3u * STRIDE, lane, d0); store4(block, channel + 4u, at + 3u * STRIDE, lane, d1);
    }
  }
}
