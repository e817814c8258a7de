// batch_norm_grad_input: out = mask ⊙ γ r (dy - w (c + x̂ e)), r = 1 / √(variance + ε), c and e the sums of dy and of
// dy x̂ over how many values the statistics are of; mask ⊙ γ r dy where FIXED.
// w: of each example 1, or 0 on padding; of one that was kept with a probability its inverse, so that the mean over
// draws is the gradient of all (but for terms of the order of one in the number of examples).
// dy, x, out: [N/B][CHANNELS][PIXELS][B]; partial: what batch_norm_products left of dy; theta: γ, β; share: [N/B][B]. A
// workgroup does a channel of a part of the pixels of SLICE blocks.
#import epilogue
#import normal
#import normal_products
#import pixels
override SLICE: u32;
override LANES: u32;
override ROWS: u32;
@group(0) @binding(0) var<quads, read>     dy: array<vec4f>;
@group(0) @binding(1) var<quads, read>     x: array<vec4f>;
@group(0) @binding(2) var<quads, read>     mask: array<vec4f>;
@group(0) @binding(3) var<storage, read>   statistics: array<f32>;
@group(0) @binding(4) var<storage, read>   partial: array<f32>;
@group(0) @binding(5) var<storage, read>   theta: array<f32>;
@group(0) @binding(6) var<storage, read>   share: array<vec4f>;
@group(0) @binding(7) var<uniform>         blocks: u32;
@group(0) @binding(8) var<uniform>         group_blocks: u32;
@group(0) @binding(9) var<quads, write>    out: array<vec4f>;  // dx, which DXC keeps for a namespace

fn one(i: u32, n: Normal, w: vec4f, by: vec3f) {
  var value = load_dy(i) * by.x;
  if (!FIXED) { value += w * (normalised(n, load_x(i)) * by.y + by.z); }
  store_out(i, masked(value, i));
}

@compute @workgroup_size(LANES, ROWS)
fn main(@builtin(local_invocation_id) local: vec3u, @builtin(workgroup_id) group: vec3u) {
  let channel = group.x;
  let pixels = pixels_of(group.y, local.y);
  let begin = group.z * SLICE;
  let end = min(begin + SLICE, blocks);
  for (var g = begin / group_blocks; g * group_blocks < end; g++) {
    let n = normal_of(g, channel);
    var by = vec3f(theta[channel] * n.scale, 0.0, 0.0);
    if (!FIXED) { by += vec3f(0.0, -products_of(g, channel) * (by.x / n.count)); }
    let last = min(end, g * group_blocks + group_blocks);
    for (var block = max(begin, g * group_blocks) + local.y / PIXEL_ROWS; block < last; block += ROWS / PIXEL_ROWS) {
      let w = share[block * LANES + local.x];
      for (var pixel = pixels.first; pixel < pixels.end; pixel += PIXEL_ROWS * EACH) {
        let at = place_in(block, channel, pixel, local.x);
        unroll(k, EACH) { one(at + k * LANES, n, w, by); }
      }
    }
  }
}
