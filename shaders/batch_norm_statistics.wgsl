// batch_norm_statistics: statistics[g,s,c] = (Σ (x - p), Σ (x - p)², p, how many) over the real examples of group g
// and the pixels of part s; p is the channel's first value in the group, so that a mean far from zero costs no digits.
// x: [N/B][CHANNELS][PIXELS][B], a prefix of which is real; a group is group_blocks of the blocks. A workgroup does a
// channel of a part of a group.
#import pixels
#import total
override LANES: u32;
override ROWS: u32;
@group(0) @binding(0) var<quads, read>          x: array<vec4f>;
@group(0) @binding(1) var<uniform>              examples: u32;
@group(0) @binding(2) var<uniform>              group_blocks: u32;
@group(0) @binding(3) var<storage, read_write>  statistics: array<vec4f>;

fn add(sums: Sums, value: vec4f) -> Sums {
  return Sums(sums.first + value, sums.second + value * value);
}

@compute @workgroup_size(LANES, ROWS)
fn main(@builtin(local_invocation_id) local: vec3u, @builtin(local_invocation_index) index: u32,
        @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let channel = group.x;
  let first = group.z * group_blocks;
  let end = min(first + group_blocks, (examples + 4u * LANES - 1u) / (4u * LANES));
  let pixels = pixels_of(group.y, local.y);
  let pivot = load_x(place_in(first, channel, 0u, 0u)).x;
  var all = Sums();
  for (var block = first + local.y / PIXEL_ROWS; block < end; block += ROWS / PIXEL_ROWS) {
    var sums = Sums();  // of a block by itself, so that long sums lose less
    for (var pixel = pixels.first; pixel < pixels.end; pixel += PIXEL_ROWS * EACH) {
      let at = place_in(block, channel, pixel, local.x);
      unroll(k, EACH) { sums = add(sums, load_x(at + k * LANES) - pivot); }
    }
    sums = sums_of_real(sums, examples, (block * LANES + local.x) * 4u);
    all = Sums(all.first + sums.first, all.second + sums.second);
  }
  let sum = total(vec4f(sum_of(all.first), sum_of(all.second), 0.0, 0.0), index);
  if (index == 0u) {
    let count = (min(examples, end * 4u * LANES) - first * 4u * LANES) * (pixels.end - group.y * PART_PIXELS);
    statistics[(group.z * groups.y + group.y) * CHANNELS + channel] = vec4f(sum.xy, pivot, f32(count));
  }
}
