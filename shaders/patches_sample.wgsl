// patches_sample: y[n,r,s] = patch[n,r,p], r = (ci,kh,kw), p = (u[n] + ⌊s·OH·OW / POSITIONS⌋) mod OH·OW: the patches of
// a filter at POSITIONS of its OH·OW places on each image. u[n] is uniform and follows from seed and index, so that
// every place is as likely as another, and none is taken twice. With all places, u = 0. Zero for a padded example.
// x: [N/B][CHANNELS][H][W][B], the CI of the filter from `first` on; index: [N/B][B],
// y: [N/B][CI·SIZE·SIZE][POSITIONS][B]. An invocation owns the taps of one channel at one place of four images.
#import philox
override CI: u32;
override CHANNELS: u32;
override H: u32;
override W: u32;
override OH: u32;
override OW: u32;
override SIZE: u32;
override STRIDE: u32;
override PADDING: u32;
override POSITIONS: u32;
override LANES: u32;
@group(0) @binding(0) var<quads, read>    x: array<vec4f>;
@group(0) @binding(1) var<storage, read>  index: array<vec4u>;  // 0xffffffff: padding
@group(0) @binding(2) var<storage, read>  seed: u32;
@group(0) @binding(3) var<uniform>        first: u32;
@group(0) @binding(4) var<quads, write>   y: array<vec4f>;

// u of an image.
fn start(image: u32) -> u32 {
  return wide_product(philox(vec4u(image, 0u, 0u, 0u), vec2u(seed, 0u)).x, OH * OW).x;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let places = OH * OW;
  for (var i = id.x; i < arrayLength(&index) * CI * POSITIONS; i += groups.x * 64u) {
    let lane = i % LANES;
    let s = i / LANES % POSITIONS;
    let plane = i / LANES / POSITIONS;  // block · CI + ci
    let source = plane / CI * CHANNELS + first + plane % CI;
    let image = index[plane / CI * LANES + lane];
    let present = image != vec4u(0xffffffffu);
    // ⌊s·places / POSITIONS⌋ without a product of the two
    var place = vec4u(s * (places / POSITIONS) + s * (places % POSITIONS) / POSITIONS);
    if (POSITIONS < places) {
      place += vec4u(start(image.x), start(image.y), start(image.z), start(image.w));
      place -= select(vec4u(), vec4u(places), place >= vec4u(places));
    }
    let top = vec4i(place / OW * STRIDE) - i32(PADDING);
    let left = vec4i(place % OW * STRIDE) - i32(PADDING);
    for (var tap = 0u; tap < SIZE * SIZE; tap++) {
      let row = top + i32(tap / SIZE);
      let column = left + i32(tap % SIZE);
      let inside = present & (row >= vec4i()) & (row < vec4i(i32(H))) & (column >= vec4i()) & (column < vec4i(i32(W)));
      let at = (source * H * W + vec4u(select(vec4i(), row * i32(W) + column, inside))) * LANES + lane;
      let value = vec4f(load_x(at.x).x, load_x(at.y).y, load_x(at.z).z, load_x(at.w).w);
      store_y(((plane * SIZE * SIZE + tap) * POSITIONS + s) * LANES + lane, select(vec4f(), value, inside));
    }
  }
}
