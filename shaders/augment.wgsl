// augment: y[n,c,p] = gain · x[n,c,source(p)] + offset, x being that of a byte 0 outside of the image; zero in the
// square cut out: the copies of examples, each changed in its own way, which follows from seed, example and copy alone.
// x, y: [N/B][CHANNELS][HEIGHT·WIDTH][B]; index: [N/B][B], example + copy·EXAMPLES, copy 0 being the example itself;
// 0xffffffff: padding. by: key, key, largest shift, whether to flip, side of the square, then as floats the largest
// rotation (radians), scale, contrast, brightness. An invocation owns EACH pixels of four images in all channels.
#import philox
override CHANNELS: u32;
override HEIGHT: u32;
override WIDTH: u32;
override EXAMPLES: u32;
override INTERPOLATE: u32;  // 0 where every source is a pixel
override LANES: u32;
override ROWS: u32;
override EACH: u32;
@group(0) @binding(0) var<quads, read>    x: array<vec4f>;
@group(0) @binding(1) var<storage, read>  index: array<u32>;
@group(0) @binding(2) var<storage, read>  by: array<u32, 9>;
@group(0) @binding(3) var<quads, read>    norm: array<vec4f>;  // [C] mean, inverse_std, in units of a byte
@group(0) @binding(4) var<quads, write>   y: array<vec4f>;

// Of each image: source = matrix · p + shift in rows and columns, gain, offset, first row and column cut out.
const DRAWN = 10u;
var<workgroup> drawn: array<f32, 40u * LANES>;

fn draw(image: u32, slot: u32) {
  var matrix = vec4f(1.0, 0.0, 0.0, 1.0);
  var shift = vec2f();
  var colour = vec2f(1.0, 0.0);
  var cut = vec2f(-65536.0);
  if ((image >= EXAMPLES) & (image != 0xffffffffu)) {
    let key = vec2u(by[0], by[1]);
    let example = image % EXAMPLES;
    let copy = image / EXAMPLES;
    let place = philox(vec4u(example, copy, 1u, 0u), key);
    let form = philox(vec4u(example, copy, 2u, 0u), key);
    let square = philox(vec4u(example, copy, 3u, 0u), key);
    let largest = by[2];
    let moved = vec2f(f32(below(place.x, 2u * largest + 1u)), f32(below(place.y, 2u * largest + 1u))) - f32(largest);
    let mirror = select(1.0, -1.0, (by[3] == 1u) & (place.z >= 0x80000000u));
    // Taylor series up to π/4: a driver's own sine is good for three digits
    let a = bitcast<f32>(by[5]) * signed(form.x);
    let z = a * a;
    let sine = a * (1.0 - z / 6.0 * (1.0 - z / 20.0 * (1.0 - z / 42.0 * (1.0 - z / 72.0))));
    let cosine = 1.0 - z / 2.0 * (1.0 - z / 12.0 * (1.0 - z / 30.0 * (1.0 - z / 56.0)));
    let zoom = 1.0 + bitcast<f32>(by[6]) * signed(form.y);
    matrix = vec4f(cosine, -sine * mirror, sine, cosine * mirror) / zoom;
    let centre = vec2f(f32(HEIGHT - 1u), f32(WIDTH - 1u)) * 0.5;
    let from_centre = centre + moved;
    shift = centre - vec2f(matrix.x * from_centre.x + matrix.y * from_centre.y,
                           matrix.z * from_centre.x + matrix.w * from_centre.y);
    colour = vec2f(1.0 + bitcast<f32>(by[7]) * signed(form.z), bitcast<f32>(by[8]) * signed(form.w));
    cut = vec2f(f32(below(square.x, HEIGHT)), f32(below(square.y, WIDTH))) - f32(by[4] / 2u);
  }
  let values = array<f32, DRAWN>(matrix.x, matrix.y, matrix.z, matrix.w,
                                 shift.x, shift.y, colour.x, colour.y, cut.x, cut.y);
  for (var i = 0u; i < DRAWN; i++) { drawn[i * 4u * LANES + slot] = values[i]; }
}

fn four(i: u32, lane: u32) -> vec4f {
  let at = (i * LANES + lane) * 4u;
  return vec4f(drawn[at], drawn[at + 1u], drawn[at + 2u], drawn[at + 3u]);
}

// A pixel of each image, or what is outside.
fn pixel(plane: u32, row: vec4i, column: vec4i, outside: f32) -> vec4f {
  let inside = (row >= vec4i()) & (row < vec4i(i32(HEIGHT))) & (column >= vec4i()) & (column < vec4i(i32(WIDTH)));
  let at = plane + vec4u(select(vec4i(), row * i32(WIDTH) + column, inside)) * LANES;
  return select(vec4f(outside), vec4f(load_x(at.x).x, load_x(at.y).y, load_x(at.z).z, load_x(at.w).w), inside);
}

@compute @workgroup_size(LANES, ROWS)
fn main(@builtin(local_invocation_id) local: vec3u, @builtin(workgroup_id) group: vec3u) {
  let lane = local.x;
  for (var k = local.y; k < 4u; k += ROWS) {
    draw(index[(group.y * LANES + lane) * 4u + k], lane * 4u + k);
  }
  workgroupBarrier();
  let row_of = array<vec4f, 3>(four(0u, lane), four(1u, lane), four(4u, lane));
  let column_of = array<vec4f, 3>(four(2u, lane), four(3u, lane), four(5u, lane));
  let gain = four(6u, lane);
  let offset = four(7u, lane);
  let cut_row = four(8u, lane);
  let cut_column = four(9u, lane);
  let side = vec4f(f32(by[4]));
  let first = (group.x * ROWS + local.y) * EACH;
  for (var p = first; p < min(first + EACH, HEIGHT * WIDTH); p++) {
    let row = vec4f(f32(p / WIDTH));
    let column = vec4f(f32(p % WIDTH));
    let source_row = row_of[0] * row + row_of[1] * column + row_of[2];
    let source_column = column_of[0] * row + column_of[1] * column + column_of[2];
    let is_cut = (row >= cut_row) & (row < cut_row + side) & (column >= cut_column) & (column < cut_column + side);
    // to the nearest where every source is a pixel: a driver's division may be off by a bit
    let nearest = select(0.5, 0.0, INTERPOLATE == 1u);
    let top = floor(source_row + nearest);
    let left = floor(source_column + nearest);
    for (var channel = 0u; channel < CHANNELS; channel++) {
      let plane = (group.y * CHANNELS + channel) * HEIGHT * WIDTH * LANES + lane;
      let outside = -load_norm(channel).x * load_norm(channel).y;
      var value = pixel(plane, vec4i(top), vec4i(left), outside);
      if (INTERPOLATE == 1u) {
        let right = source_column - left;
        let above = mix(value, pixel(plane, vec4i(top), vec4i(left) + 1, outside), right);
        let below = mix(pixel(plane, vec4i(top) + 1, vec4i(left), outside),
                        pixel(plane, vec4i(top) + 1, vec4i(left) + 1, outside), right);
        value = mix(above, below, source_row - top);
      }
      store_y(plane + p * LANES, select(gain * value + offset, vec4f(), is_cut));
    }
  }
}
