// avg_pool_vjp: out[n,c,ih,iw] = Σ of dy over the windows that hold the pixel, over the window's size, masked.
// dy: [N/B][C][OH][OW][B], out: [N/B][C][H][W][B]. Gathered from the input's side: no atomics.
#import epilogue
override H: u32;
override W: u32;
override OH: u32;
override OW: u32;
override SIZE_H: u32;
override SIZE_W: u32;
override STRIDE: u32;
override PADDING: u32;
override LANES: u32;
@group(0) @binding(0) var<quads, read>    dy: array<vec4f>;
@group(0) @binding(1) var<quads, read>    mask: array<vec4f>;
@group(0) @binding(2) var<uniform>        count: u32;  // vec4 of out
@group(0) @binding(3) var<quads, write>   out: array<vec4f>;  // dx, which DXC keeps for a namespace

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < count; i += groups.x * 64u) {
    let p = i / LANES % (H * W);
    let channel = i / LANES / (H * W);
    let ih = p / W + PADDING;
    let iw = p % W + PADDING;
    // windows that hold the pixel: oh·STRIDE <= ih < oh·STRIDE + SIZE_H
    let first_h = select(0u, (ih - SIZE_H) / STRIDE + 1u, ih >= SIZE_H);
    let first_w = select(0u, (iw - SIZE_W) / STRIDE + 1u, iw >= SIZE_W);
    var sum = vec4f();
    for (var oh = first_h; oh <= min(ih / STRIDE, OH - 1u); oh++) {
      for (var ow = first_w; ow <= min(iw / STRIDE, OW - 1u); ow++) {
        sum += load_dy(((channel * OH + oh) * OW + ow) * LANES + i % LANES);
      }
    }
    sum /= f32(SIZE_H * SIZE_W);
    store_out(i, masked(sum, i));
  }
}
