// The sums of one invocation of a product: OUTPUTS outputs × PIXELS pixels × 4 images, TAPS terms a step. A sum meets all taps
// of a step before the next one begins, so that it stays in registers; everything is indexed by constants for the same reason.
// The shader around it fills the window and asks a weights prelude for a row of weights.
override OUTPUTS: u32;    // at most 16
override PIXELS: u32;     // at most 4
override TAPS: u32;       // at most 7
override STEP: u32;       // of the window, from a pixel to the next
override CHECK: bool;     // mark values that are not finite
override DERIVATIVE: bool;  // store the activation's derivative, too
var<private> acc: array<vec4f, 64>;     // [output][pixel]
var<private> window: array<vec4f, 28>;  // inputs of all pixels and taps
var<private> bad: vec4<bool>;

fn pixel_sum(at: u32, w: array<f32, 7>) -> vec4f {
  var sum = window[at] * w[0];
  if (TAPS > 1u) { sum += window[at + 1u] * w[1]; }
  if (TAPS > 2u) { sum += window[at + 2u] * w[2]; }
  if (TAPS > 3u) { sum += window[at + 3u] * w[3]; }
  if (TAPS > 4u) { sum += window[at + 4u] * w[4]; }
  if (TAPS > 5u) { sum += window[at + 5u] * w[5]; }
  if (TAPS > 6u) { sum += window[at + 6u] * w[6]; }
  return sum;
}

fn add_output(o: u32) {
  if (o < OUTPUTS) {
    let e = o * TAPS;
    var w: array<f32, 7>;
    w[0] = weight(e);
    if (TAPS > 1u) { w[1] = weight(e + 1u); }
    if (TAPS > 2u) { w[2] = weight(e + 2u); }
    if (TAPS > 3u) { w[3] = weight(e + 3u); }
    if (TAPS > 4u) { w[4] = weight(e + 4u); }
    if (TAPS > 5u) { w[5] = weight(e + 5u); }
    if (TAPS > 6u) { w[6] = weight(e + 6u); }
    acc[o * 4u] += pixel_sum(0u, w);
    if (PIXELS > 1u) { acc[o * 4u + 1u] += pixel_sum(STEP, w); }
    if (PIXELS > 2u) { acc[o * 4u + 2u] += pixel_sum(2u * STEP, w); }
    if (PIXELS > 3u) { acc[o * 4u + 3u] += pixel_sum(3u * STEP, w); }
  }
}

fn add_products() {
  add_output(0u); add_output(1u); add_output(2u); add_output(3u);
  add_output(4u); add_output(5u); add_output(6u); add_output(7u);
  add_output(8u); add_output(9u); add_output(10u); add_output(11u);
  add_output(12u); add_output(13u); add_output(14u); add_output(15u);
}

fn finish(i: u32, value: vec4f) {
  if (CHECK) { bad = bad | not_finite(value); }
  if (DERIVATIVE) { store_derivative(i, derivative_of(value)); }
  if (MASK != 0u) { store_y(i, masked(value, load_mask(i))); } else { store_y(i, activate(value)); }
}

// Where the sums go: y, its index for the first output and pixel and from one to the next, and how many of each are real.
struct Target { at: u32, output_stride: u32, pixel_stride: u32, outputs: u32, pixels: u32 }

fn finish_output(o: u32, pixel: u32, to: Target) {
  if (o < OUTPUTS) {
    if (o < to.outputs) {
      var sum = acc[o * 4u];
      if (PIXELS > 1u) { sum = select(sum, acc[o * 4u + 1u], pixel == 1u); }
      if (PIXELS > 2u) { sum = select(sum, acc[o * 4u + 2u], pixel == 2u); }
      if (PIXELS > 3u) { sum = select(sum, acc[o * 4u + 3u], pixel == 3u); }
      if (BIAS) { sum += weight(o); }
      finish(to.at + o * to.output_stride + pixel * to.pixel_stride, sum);
    }
  }
}

// Adds the biases, which the weights prelude holds as the current row, and stores. A loop over the pixels, because a store is
// what takes a driver longest to compile.
fn finish_tile(to: Target) {
  for (var pixel = 0u; pixel < min(PIXELS, to.pixels); pixel++) {
    finish_output(0u, pixel, to); finish_output(1u, pixel, to); finish_output(2u, pixel, to); finish_output(3u, pixel, to);
    finish_output(4u, pixel, to); finish_output(5u, pixel, to); finish_output(6u, pixel, to); finish_output(7u, pixel, to);
    finish_output(8u, pixel, to); finish_output(9u, pixel, to); finish_output(10u, pixel, to); finish_output(11u, pixel, to);
    finish_output(12u, pixel, to); finish_output(13u, pixel, to); finish_output(14u, pixel, to); finish_output(15u, pixel, to);
  }
  if (CHECK) { if (any(bad)) { atomicOr(&found, 1u); } }
}
