// batch_norm_products: partial[g,s,0,c] = Σ u x̂ and partial[g,s,1,c] = Σ u over the real examples of group g and the
// pixels of part s: with u = dy partial sums of the gradients to γ and β, which reduce_partials adds up.
// u, x: [N/B][CHANNELS][PIXELS][B]; partial: [groups and parts][2, padded][CHANNELS, padded]. A workgroup does a
// channel of a part of a group.
#import normal
#import pixels
#import total
override LANES: u32;
override ROWS: u32;
@group(0) @binding(0) var<quads, read>          u: array<vec4f>;
@group(0) @binding(1) var<quads, read>          x: array<vec4f>;
@group(0) @binding(2) var<storage, read>        statistics: array<f32>;
@group(0) @binding(3) var<uniform>              blocks: u32;
@group(0) @binding(4) var<uniform>              examples: u32;
@group(0) @binding(5) var<uniform>              group_blocks: u32;
@group(0) @binding(6) var<storage, read_write>  partial: array<f32>;
const PARTIAL_MULTIPLE = 8u;  // rows and columns of partial are padded to multiples of this

fn add(sums: Sums, n: Normal, i: u32) -> Sums {
  let value = load_u(i);
  return Sums(sums.first + value * (load_x(i) - n.pivot - n.mean), sums.second + value);
}

@compute @workgroup_size(LANES, ROWS)
fn main(@builtin(local_invocation_id) local: vec3u, @builtin(local_invocation_index) index: u32,
        @builtin(workgroup_id) group: vec3u) {
  let channel = group.x;
  let n = normal_of(group.z, channel);
  let pixels = pixels_of(group.y, local.y);
  let end = min(group.z * group_blocks + group_blocks, blocks);
  var all = Sums();
  for (var block = group.z * group_blocks + local.y / PIXEL_ROWS; block < end; block += ROWS / PIXEL_ROWS) {
    var sums = Sums();  // of a block by itself, so that long sums lose less
    for (var pixel = pixels.first; pixel < pixels.end; pixel += PIXEL_ROWS * EACH) {
      let at = place_in(block, channel, pixel, local.x);
      unroll(k, EACH) { sums = add(sums, n, at + k * LANES); }
    }
    sums = sums_of_real(sums, examples, (block * LANES + local.x) * 4u);
    all = Sums(all.first + sums.first, all.second + sums.second);
  }
  let sum = total(vec4f(sum_of(all.first) * n.scale, sum_of(all.second), 0.0, 0.0), index);
  if (index == 0u) {
    let stride = (CHANNELS + PARTIAL_MULTIPLE - 1u) / PARTIAL_MULTIPLE * PARTIAL_MULTIPLE;
    let at = (group.z * PARTS + group.y) * PARTIAL_MULTIPLE * stride + channel;
    partial[at] = sum.x;
    partial[at + stride] = sum.y;
  }
}
