// max_pool_select: out[n,c,oh,ow] = v[n,c, argmax of x over the window]; the first in row order wins a tie, padding
// never wins.
// With v = x it is the forward product, with v = tx the jvp. x, v: [N/B][C][H][W][B], out: [N/B][C][OH][OW][B].
override H: u32;
override W: u32;
override OH: u32;
override OW: u32;
override SIZE: u32;
override STRIDE: u32;
override PADDING: u32;
override LANES: u32;
@group(0) @binding(0) var<quads, read>    x: array<vec4f>;
@group(0) @binding(1) var<quads, read>    v: array<vec4f>;
@group(0) @binding(2) var<uniform>        count: u32;  // vec4 of out
@group(0) @binding(3) var<quads, write>   out: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < count; i += groups.x * 64u) {
    let p = i / LANES % (OH * OW);
    let plane = i / LANES / (OH * OW) * H * W;
    var best = vec4f(-3.4028234e38);
    var chosen = vec4f();
    for (var kh = 0u; kh < SIZE; kh++) {
      for (var kw = 0u; kw < SIZE; kw++) {
        let ih = p / OW * STRIDE + kh - PADDING;  // wraps above H in the padding
        let iw = p % OW * STRIDE + kw - PADDING;
        if (ih < H && iw < W) {
          let at = (plane + ih * W + iw) * LANES + i % LANES;
          let value = load_x(at);
          let better = value > best;
          best = select(best, value, better);
          chosen = select(chosen, load_v(at), better);
        }
      }
    }
    store_out(i, chosen);
  }
}
