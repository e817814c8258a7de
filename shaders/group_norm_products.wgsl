// group_norm_products: products[n,c] = (Σ u x̂, Σ u) over the pixels of a channel of an example: with u = dy what it
// gives to the gradients to γ and β.
// u, x: [N/B][CHANNELS][PIXELS][B]; products: [N/B][CHANNELS][2][B]. A workgroup does a channel of SLICE blocks.
#import group_normal
#import pixels
#import row_total
override SLICE: u32;
override LANES: u32;
override ROWS: u32;
@group(0) @binding(0) var<quads, read>          u: array<vec4f>;
@group(0) @binding(1) var<quads, read>          x: array<vec4f>;
@group(0) @binding(2) var<storage, read>        normals: array<vec4f>;
@group(0) @binding(3) var<uniform>              blocks: u32;
@group(0) @binding(4) var<storage, read_write>  products: array<vec4f>;
const STRETCH = 32u;  // steps

fn add(sums: Sums, n: Normal, i: u32) -> Sums {
  let value = load_u(i);
  return Sums(sums.first + value * (load_x(i) - n.pivot - n.mean), sums.second + value);
}

@compute @workgroup_size(LANES, ROWS)
fn main(@builtin(local_invocation_id) local: vec3u, @builtin(workgroup_id) group: vec3u) {
  let channel = group.x;
  let pixels = pixels_of(0u, local.y);
  let end = min(group.z * SLICE + SLICE, blocks);
  for (var first = group.z * SLICE; first < end; first += ROWS / PIXEL_ROWS) {
    let wanted = first + local.y / PIXEL_ROWS;
    let block = min(wanted, end - 1u);  // rows without one do another's, since all meet at barriers
    let n = normal_of(block, channel, local.x);
    var sums = Sums();
    for (var start = pixels.first; start < pixels.end; start += STRETCH * PIXEL_ROWS * EACH) {
      var few = Sums();  // of a stretch by itself, so that long sums lose less
      let stop = min(start + STRETCH * PIXEL_ROWS * EACH, pixels.end);
      for (var pixel = start; pixel < stop; pixel += PIXEL_ROWS * EACH) {
        let at = place_in(block, channel, pixel, local.x);
        unroll(k, EACH) { few = add(few, n, at + k * LANES); }
      }
      sums = Sums(sums.first + few.first, sums.second + few.second);
    }
    let with_x = row_total(sums.first, local.x, local.y) * n.scale;
    let alone = row_total(sums.second, local.x, local.y);
    if (wanted < end && local.y % PIXEL_ROWS == 0u) {
      let at = (block * CHANNELS + channel) * 2u * LANES + local.x;
      products[at] = with_x;
      products[at + LANES] = alone;
    }
  }
}
