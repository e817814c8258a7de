// avg_pool_forward: y[n,c,oh,ow] = mean of x over the window, padding counted as zeros. Linear: jvp is this kernel.
// x: [N/B][C][H][W][B], y: [N/B][C][OH][OW][B]. The global average is the case of a window as large as the image.
override H: u32;
override W: u32;
override OH: u32;
override OW: u32;
override SIZE_H: u32;
override SIZE_W: u32;
override STRIDE: u32;
override PADDING: u32;
override LANES: u32;
@group(0) @binding(0) var<quads, read>    x: array<vec4f>;
@group(0) @binding(1) var<uniform>        count: u32;  // vec4 of y
@group(0) @binding(2) var<quads, write>   y: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < count; i += groups.x * 64u) {
    let p = i / LANES % (OH * OW);
    let plane = i / LANES / (OH * OW) * H * W;
    var sum = vec4f();
    for (var kh = 0u; kh < SIZE_H; kh++) {
      for (var kw = 0u; kw < SIZE_W; kw++) {
        let ih = p / OW * STRIDE + kh - PADDING;  // wraps above H in the padding
        let iw = p % OW * STRIDE + kw - PADDING;
        if (ih < H && iw < W) {
          sum += load_x((plane + ih * W + iw) * LANES + i % LANES);
        }
      }
    }
    store_y(i, sum / f32(SIZE_H * SIZE_W));
  }
}
