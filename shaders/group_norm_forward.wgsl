// group_norm_forward: y = f(γ x̂ + β (+ skip)), the channels of a group of an example normalised together.
// x, skip, y: [N/B][CHANNELS][PIXELS][B]; theta: γ [CHANNELS], then β. A workgroup does a channel of a part of the
// pixels of SLICE blocks.
#import finish
#import group_normal
#import pixels
override SLICE: u32;
override SKIP: bool;
override LANES: u32;
override ROWS: u32;
@group(0) @binding(0) var<quads, read>          x: array<vec4f>;
@group(0) @binding(1) var<quads, read>          skip: array<vec4f>;
@group(0) @binding(2) var<quads, read>          mask: array<vec4f>;
@group(0) @binding(3) var<storage, read>        normals: array<vec4f>;
@group(0) @binding(4) var<storage, read>        theta: array<f32>;
@group(0) @binding(5) var<uniform>              blocks: u32;
@group(0) @binding(6) var<quads, write>         y: array<vec4f>;
@group(0) @binding(7) var<quads, write>         derivative: array<vec4f>;
@group(0) @binding(8) var<storage, read_write>  found: atomic<u32>;

fn one(i: u32, n: Normal, shift: f32) {
  var value = normalised(n, load_x(i)) + shift;
  if (SKIP) { value += load_skip(i); }
  finish(i, value);
}

@compute @workgroup_size(LANES, ROWS)
fn main(@builtin(local_invocation_id) local: vec3u, @builtin(workgroup_id) group: vec3u) {
  let channel = group.x;
  let pixels = pixels_of(group.y, local.y);
  let end = min(group.z * SLICE + SLICE, blocks);
  let shift = theta[CHANNELS + channel];
  for (var block = group.z * SLICE + local.y / PIXEL_ROWS; block < end; block += ROWS / PIXEL_ROWS) {
    var n = normal_of(block, channel, local.x);
    n.scale *= theta[channel];
    for (var pixel = pixels.first; pixel < pixels.end; pixel += PIXEL_ROWS * EACH) {
      let at = place_in(block, channel, pixel, local.x);
      unroll(k, EACH) { one(at + k * LANES, n, shift); }
    }
  }
  mark_found();
}
