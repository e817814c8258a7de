// group_norm_statistics: normals[n,g] = (p, Σ (x - p) / how many, 1 / √(variance + ε)) of each group of channels of
// each example; p is the group's first value, so that a mean far from zero costs no digits.
// x: [N/B][CHANNELS][PIXELS][B], a channel here being all of a group; normals: [N/B][CHANNELS][3][B]. A workgroup does
// a group of SLICE blocks.
#import pixels
#import row_total
override SLICE: u32;
override LANES: u32;
override ROWS: u32;
@group(0) @binding(0) var<quads, read>          x: array<vec4f>;
@group(0) @binding(1) var<uniform>              blocks: u32;
@group(0) @binding(2) var<storage, read_write>  normals: array<vec4f>;
const EPSILON = 1e-5;
const STRETCH = 32u;  // steps

fn add(sums: Sums, value: vec4f) -> Sums {
  return Sums(sums.first + value, sums.second + value * value);
}

@compute @workgroup_size(LANES, ROWS)
fn main(@builtin(local_invocation_id) local: vec3u, @builtin(workgroup_id) group: vec3u) {
  let channel = group.x;
  let pixels = pixels_of(0u, local.y);
  let end = min(group.z * SLICE + SLICE, blocks);
  for (var first = group.z * SLICE; first < end; first += ROWS / PIXEL_ROWS) {
    let wanted = first + local.y / PIXEL_ROWS;
    let block = min(wanted, end - 1u);  // rows without one do another's, since all meet at barriers
    let pivot = load_x(place_in(block, channel, 0u, local.x));
    var sums = Sums();
    for (var start = pixels.first; start < pixels.end; start += STRETCH * PIXEL_ROWS * EACH) {
      var few = Sums();  // of a stretch by itself, so that long sums lose less
      let stop = min(start + STRETCH * PIXEL_ROWS * EACH, pixels.end);
      for (var pixel = start; pixel < stop; pixel += PIXEL_ROWS * EACH) {
        let at = place_in(block, channel, pixel, local.x);
        unroll(k, EACH) { few = add(few, load_x(at + k * LANES) - pivot); }
      }
      sums = Sums(sums.first + few.first, sums.second + few.second);
    }
    let mean = row_total(sums.first, local.x, local.y) / f32(PIXELS);
    let square = row_total(sums.second, local.x, local.y) / f32(PIXELS);
    if (wanted < end && local.y % PIXEL_ROWS == 0u) {
      let at = (block * CHANNELS + channel) * 3u * LANES + local.x;
      normals[at] = pivot;
      normals[at + LANES] = mean;
      normals[at + 2u * LANES] = 1.0 / sqrt(max(square - mean * mean, vec4f()) + EPSILON);
    }
  }
}
