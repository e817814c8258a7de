// group_norm_grad_input: out = mask ⊙ r (γ dy - E[γ dy] - x̂ E[γ dy x̂]), r = 1 / √(variance + ε), means over the
// channels of a group of an example.
// dy, x, out: [N/B][CHANNELS][PIXELS][B]; products: what group_norm_products left of dy; theta: γ, β. A workgroup does
// a channel of a part of the pixels of SLICE blocks.
#import epilogue
#import group_normal
#import group_products
#import pixels
override SLICE: u32;
override LANES: u32;
override ROWS: u32;
@group(0) @binding(0) var<quads, read>     dy: array<vec4f>;
@group(0) @binding(1) var<quads, read>     x: array<vec4f>;
@group(0) @binding(2) var<quads, read>     mask: array<vec4f>;
@group(0) @binding(3) var<storage, read>   normals: array<vec4f>;
@group(0) @binding(4) var<storage, read>   products: array<vec4f>;
@group(0) @binding(5) var<storage, read>   theta: array<f32>;
@group(0) @binding(6) var<uniform>         blocks: u32;
@group(0) @binding(7) var<quads, write>    out: array<vec4f>;  // dx, which DXC keeps for a namespace

// Σ γ dy x̂ and Σ γ dy over a group, divided by how many values it has.
fn means(block: u32, channel: u32, lane: u32) -> Products {
  var sums = Products();
  let first = channel / GROUP_CHANNELS * GROUP_CHANNELS;
  for (var c = first; c < first + GROUP_CHANNELS; c++) {
    let of_channel = products_of(block, c, lane);
    sums = Products(sums.with_x + theta[c] * of_channel.with_x, sums.alone + theta[c] * of_channel.alone);
  }
  let count = f32(GROUP_CHANNELS * PIXELS);
  return Products(sums.with_x / count, sums.alone / count);
}

fn one(i: u32, n: Normal, gamma: f32, mean: Products) {
  let value = gamma * load_dy(i) - mean.alone - normalised(n, load_x(i)) * mean.with_x;
  store_out(i, masked(n.scale * value, i));
}

@compute @workgroup_size(LANES, ROWS)
fn main(@builtin(local_invocation_id) local: vec3u, @builtin(workgroup_id) group: vec3u) {
  let channel = group.x;
  let pixels = pixels_of(group.y, local.y);
  let end = min(group.z * SLICE + SLICE, blocks);
  for (var block = group.z * SLICE + local.y / PIXEL_ROWS; block < end; block += ROWS / PIXEL_ROWS) {
    let n = normal_of(block, channel, local.x);
    let mean = means(block, channel, local.x);
    for (var pixel = pixels.first; pixel < pixels.end; pixel += PIXEL_ROWS * EACH) {
      let at = place_in(block, channel, pixel, local.x);
      unroll(k, EACH) { one(at + k * LANES, n, theta[channel], mean); }
    }
  }
}
