// batch_norm_forward: y = f(γ x̂ + β (+ skip)), a group of the batch, or all of it where FIXED, normalised at a time.
// x, skip, y: [N/B][CHANNELS][PIXELS][B]; theta: γ [CHANNELS], then β. A workgroup does a channel of a part of the
// pixels of SLICE blocks.
#import finish
#import normal
#import pixels
override SLICE: u32;
override SKIP: bool;
override LANES: u32;
override ROWS: u32;
@group(0) @binding(0) var<quads, read>          x: array<vec4f>;
@group(0) @binding(1) var<quads, read>          skip: array<vec4f>;
@group(0) @binding(2) var<quads, read>          mask: array<vec4f>;
@group(0) @binding(3) var<storage, read>        statistics: array<f32>;
@group(0) @binding(4) var<storage, read>        theta: array<f32>;
@group(0) @binding(5) var<uniform>              blocks: u32;
@group(0) @binding(6) var<uniform>              group_blocks: u32;
@group(0) @binding(7) var<quads, write>         y: array<vec4f>;
@group(0) @binding(8) var<quads, write>         derivative: array<vec4f>;
@group(0) @binding(9) var<storage, read_write>  found: atomic<u32>;

fn one(i: u32, n: Normal, shift: f32) {
  var value = normalised(n, load_x(i)) + shift;
  if (SKIP) { value += load_skip(i); }
  finish(i, value);
}

@compute @workgroup_size(LANES, ROWS)
fn main(@builtin(local_invocation_id) local: vec3u, @builtin(workgroup_id) group: vec3u) {
  let channel = group.x;
  let pixels = pixels_of(group.y, local.y);
  let begin = group.z * SLICE;
  let end = min(begin + SLICE, blocks);
  for (var g = begin / group_blocks; g * group_blocks < end; g++) {
    var n = normal_of(g, channel);
    n.scale *= theta[channel];
    let shift = theta[CHANNELS + channel];
    let last = min(end, g * group_blocks + group_blocks);
    for (var block = max(begin, g * group_blocks) + local.y / PIXEL_ROWS; block < last; block += ROWS / PIXEL_ROWS) {
      for (var pixel = pixels.first; pixel < pixels.end; pixel += PIXEL_ROWS * EACH) {
        let at = place_in(block, channel, pixel, local.x);
        unroll(k, EACH) { one(at + k * LANES, n, shift); }
      }
    }
  }
  mark_found();
}
