// max_pool_vjp: out[n,c,ih,iw] = Σ of dy over the windows whose maximum of x is at (ih, iw); masked.
// Ties as in max_pool_select.
// Gathered from the input's side, so that overlapping windows need no atomics: each window's argmax is found again.
#import epilogue
override H: u32;
override W: u32;
override OH: u32;
override OW: u32;
override SIZE: u32;
override STRIDE: u32;
override PADDING: u32;
override LANES: u32;
@group(0) @binding(0) var<quads, read>    x: array<vec4f>;
@group(0) @binding(1) var<quads, read>    dy: array<vec4f>;
@group(0) @binding(2) var<quads, read>    mask: array<vec4f>;
@group(0) @binding(3) var<uniform>        count: u32;  // vec4 of out
@group(0) @binding(4) var<quads, write>   out: array<vec4f>;  // dx, which DXC keeps for a namespace

// Where the window of output pixel (oh, ow) has its maximum, lane by lane: ih·W + iw.
fn argmax(plane: u32, oh: u32, ow: u32, lane: u32) -> vec4u {
  var best = vec4f(-3.4028234e38);
  var position = vec4u(0xffffffffu);
  for (var kh = 0u; kh < SIZE; kh++) {
    for (var kw = 0u; kw < SIZE; kw++) {
      let ih = oh * STRIDE + kh - PADDING;  // wraps above H in the padding
      let iw = ow * STRIDE + kw - PADDING;
      if (ih < H && iw < W) {
        let value = load_x((plane + ih * W + iw) * LANES + lane);
        let better = value > best;
        best = select(best, value, better);
        position = select(position, vec4u(ih * W + iw), better);
      }
    }
  }
  return position;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < count; i += groups.x * 64u) {
    let lane = i % LANES;
    let p = i / LANES % (H * W);
    let channel = i / LANES / (H * W);
    let ih = p / W + PADDING;
    let iw = p % W + PADDING;
    // windows that hold the pixel: oh·STRIDE <= ih < oh·STRIDE + SIZE
    let first_h = select(0u, (ih - SIZE) / STRIDE + 1u, ih >= SIZE);
    let first_w = select(0u, (iw - SIZE) / STRIDE + 1u, iw >= SIZE);
    var sum = vec4f();
    for (var oh = first_h; oh <= min(ih / STRIDE, OH - 1u); oh++) {
      for (var ow = first_w; ow <= min(iw / STRIDE, OW - 1u); ow++) {
        let here = argmax(channel * H * W, oh, ow, lane) == vec4u(p);
        sum += select(vec4f(), load_dy(((channel * OH + oh) * OW + ow) * LANES + lane), here);
      }
    }
    store_out(i, masked(sum, i));
  }
}
