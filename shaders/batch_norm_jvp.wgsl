// batch_norm_jvp: ty = mask ⊙ (γ r (tx - E[tx] - x̂ E[x̂ tx]) + γ' x̂ + β'), r = 1 / √(variance + ε), means over the
// group; without these where FIXED, and without all of tx unless INPUT.
// x, tx, ty: [N/B][CHANNELS][PIXELS][B]; partial: what batch_norm_products left of tx; theta: γ, β; v: γ', β'. A
// workgroup does a channel of a part of the pixels of SLICE blocks.
#import epilogue
#import normal
#import normal_products
#import pixels
override SLICE: u32;
override INPUT: bool;
override LANES: u32;
override ROWS: u32;
@group(0) @binding(0) var<quads, read>     x: array<vec4f>;
@group(0) @binding(1) var<quads, read>     tx: array<vec4f>;
@group(0) @binding(2) var<quads, read>     mask: array<vec4f>;
@group(0) @binding(3) var<storage, read>   statistics: array<f32>;
@group(0) @binding(4) var<storage, read>   partial: array<f32>;
@group(0) @binding(5) var<storage, read>   theta: array<f32>;
@group(0) @binding(6) var<storage, read>   v: array<f32>;
@group(0) @binding(7) var<uniform>         blocks: u32;
@group(0) @binding(8) var<uniform>         group_blocks: u32;
@group(0) @binding(9) var<quads, write>    ty: array<vec4f>;

// ty = by.x tx + by.y x̂ + by.z
fn coefficients(group: u32, channel: u32, n: Normal) -> vec3f {
  let along = vec3f(0.0, v[channel], v[CHANNELS + channel]);
  if (!INPUT) { return along; }
  let factor = theta[channel] * n.scale;
  if (FIXED) { return along + vec3f(factor, 0.0, 0.0); }
  return along + factor * vec3f(1.0, -products_of(group, channel) / n.count);
}

fn one(i: u32, n: Normal, by: vec3f) {
  var value = normalised(n, load_x(i)) * by.y + by.z;
  if (INPUT) { value += load_tx(i) * by.x; }
  store_ty(i, masked(value, i));
}

@compute @workgroup_size(LANES, ROWS)
fn main(@builtin(local_invocation_id) local: vec3u, @builtin(workgroup_id) group: vec3u) {
  let channel = group.x;
  let pixels = pixels_of(group.y, local.y);
  let begin = group.z * SLICE;
  let end = min(begin + SLICE, blocks);
  for (var g = begin / group_blocks; g * group_blocks < end; g++) {
    let n = normal_of(g, channel);
    let by = coefficients(g, channel, n);
    let last = min(end, g * group_blocks + group_blocks);
    for (var block = max(begin, g * group_blocks) + local.y / PIXEL_ROWS; block < last; block += ROWS / PIXEL_ROWS) {
      for (var pixel = pixels.first; pixel < pixels.end; pixel += PIXEL_ROWS * EACH) {
        let at = place_in(block, channel, pixel, local.x);
        unroll(k, EACH) { one(at + k * LANES, n, by); }
      }
    }
  }
}
