// The sums of one invocation of a product: OUTPUTS outputs × PIXELS pixels × 4 images, TAPS terms a step. A sum meets all taps
// of a step before the next one begins, so that it stays in registers; everything is indexed by constants for the same reason.
// The shader around it fills the window and asks a weights prelude for a row of weights.
override OUTPUTS: u32;      // at most 16
override PIXELS: u32;       // at most 4
override TAPS: u32;         // at most 7
override STEP: u32;         // of the window, from a pixel to the next
override ROW: u32;          // vec4 of a row of weights
override CHECK: bool;       // mark values that are not finite
override DERIVATIVE: bool;  // store the activation's derivative, too
var<private> acc: array<vec4f, 64>;     // [output][pixel]
var<private> window: array<vec4f, 28>;  // inputs of all pixels and taps
var<private> bad: vec4<bool>;

fn pixel_sum(at: u32, w: array<f32, 7>) -> vec4f {
  var sum = vec4f();
  unroll(k, TAPS) { sum += window[at + k] * w[k]; }
  return sum;
}

fn add_output(o: u32) {
  var w: array<f32, 7>;
  unroll(k, TAPS) { w[k] = weight(o * TAPS + k); }
  unroll(t, PIXELS) { acc[o * 4u + t] += pixel_sum(t * STEP, w); }
}

fn add_products() {
  unroll(o, OUTPUTS) { add_output(o); }
}

fn finish(i: u32, value: vec4f) {
  if (CHECK) { bad = bad | not_finite(value); }
  if (DERIVATIVE) { store_derivative(i, derivative_of(value)); }
  store_y(i, masked(activate(value), i));
}

// Where the sums go: y, its index for the first output and pixel and from one to the next, and how many of each are real.
struct Target { at: u32, output_stride: u32, pixel_stride: u32, outputs: u32, pixels: u32 }

fn finish_output(o: u32, pixel: u32, to: Target) {
  if (o < to.outputs) {
    var sum = acc[o * 4u];
    unroll(t, PIXELS) { sum = select(sum, acc[o * 4u + t], pixel == t); }
    if (BIAS) { sum += weight(o); }
    finish(to.at + o * to.output_stride + pixel * to.pixel_stride, sum);
  }
}

// Adds the biases, which the weights prelude holds as the current row, and stores. A loop over the pixels, because a store is
// what takes a driver longest to compile.
fn finish_tile(to: Target) {
  for (var pixel = 0u; pixel < min(PIXELS, to.pixels); pixel++) {
    unroll(o, OUTPUTS) { finish_output(o, pixel, to); }
  }
  if (CHECK) { if (any(bad)) { atomicOr(&found, 1u); } }
}
