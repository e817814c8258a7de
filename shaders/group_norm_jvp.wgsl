// group_norm_jvp: ty = mask ⊙ (γ r (tx - E[tx] - x̂ E[x̂ tx]) + γ' x̂ + β'), r = 1 / √(variance + ε), means over the
// channels of a group of an example; without all of tx unless INPUT.
// x, tx, ty: [N/B][CHANNELS][PIXELS][B]; products: what group_norm_products left of tx; theta: γ, β; v: γ', β'. A
// workgroup does a channel of a part of the pixels of SLICE blocks.
#import epilogue
#import group_normal
#import group_products
#import pixels
override SLICE: u32;
override INPUT: bool;
override LANES: u32;
override ROWS: u32;
@group(0) @binding(0) var<quads, read>     x: array<vec4f>;
@group(0) @binding(1) var<quads, read>     tx: array<vec4f>;
@group(0) @binding(2) var<quads, read>     mask: array<vec4f>;
@group(0) @binding(3) var<storage, read>   normals: array<vec4f>;
@group(0) @binding(4) var<storage, read>   products: array<vec4f>;
@group(0) @binding(5) var<storage, read>   theta: array<f32>;
@group(0) @binding(6) var<storage, read>   v: array<f32>;
@group(0) @binding(7) var<uniform>         blocks: u32;
@group(0) @binding(8) var<quads, write>    ty: array<vec4f>;

// ty = tangent tx + value x̂ + shift
struct By { tangent: vec4f, value: vec4f, shift: vec4f }

fn coefficients(block: u32, channel: u32, lane: u32, n: Normal) -> By {
  var by = By(vec4f(), vec4f(v[channel]), vec4f(v[CHANNELS + channel]));
  if (INPUT) {
    by.tangent = theta[channel] * n.scale;
    var sums = Products();
    let first = channel / GROUP_CHANNELS * GROUP_CHANNELS;
    for (var c = first; c < first + GROUP_CHANNELS; c++) {
      let of_channel = products_of(block, c, lane);
      sums = Products(sums.with_x + of_channel.with_x, sums.alone + of_channel.alone);
    }
    let share = by.tangent / f32(GROUP_CHANNELS * PIXELS);
    by.value -= share * sums.with_x;
    by.shift -= share * sums.alone;
  }
  return by;
}

fn one(i: u32, n: Normal, by: By) {
  var value = normalised(n, load_x(i)) * by.value + by.shift;
  if (INPUT) { value += load_tx(i) * by.tangent; }
  store_ty(i, masked(value, i));
}

@compute @workgroup_size(LANES, ROWS)
fn main(@builtin(local_invocation_id) local: vec3u, @builtin(workgroup_id) group: vec3u) {
  let channel = group.x;
  let pixels = pixels_of(group.y, local.y);
  let end = min(group.z * SLICE + SLICE, blocks);
  for (var block = group.z * SLICE + local.y / PIXEL_ROWS; block < end; block += ROWS / PIXEL_ROWS) {
    let n = normal_of(block, channel, local.x);
    let by = coefficients(block, channel, local.x, n);
    for (var pixel = pixels.first; pixel < pixels.end; pixel += PIXEL_ROWS * EACH) {
      let at = place_in(block, channel, pixel, local.x);
      unroll(k, EACH) { one(at + k * LANES, n, by); }
    }
  }
}
