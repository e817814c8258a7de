// The sums of one invocation of a product: OUTPUTS outputs × PIXELS pixels × 4 images, TAPS terms a step. A sum meets
// all taps of a step before the next one begins, so that it stays in registers; everything is indexed by constants for
// the same reason.
// The shader around it fills the window and asks a weights prelude for a row of weights.
// Where PHASES > 1, an output is one of PHASES pixels that meet the same inputs: it lies PHASES times as far from its
// neighbour.
// needs: load_w, load_v, load_x, load_tx, BIAS, weight
#import terms
#import finish

const MOST_OUTPUTS = 16u;
const MOST_PIXELS = 4u;
const MOST_TAPS = 7u;
override OUTPUTS: u32;
override PIXELS: u32;
override TAPS: u32;         // COLUMNS of each of some slices, such as channels
override COLUMNS: u32;
override WIDTH: u32;        // of a slice of the window: the columns that all pixels meet
override STEP: u32;         // of the window, from a pixel to the next
override ROW: u32;          // vec4 of a row of weights
override STAGED: u32;       // vec4 of the rows that a workgroup reads at once
override PHASES: u32;
var<private> acc: array<vec4f, MOST_OUTPUTS * MOST_PIXELS>;  // [output][pixel]
var<private> window: array<vec4f, MOST_TAPS * MOST_PIXELS>;  // inputs of all slices, pixels and columns

fn load_weights(source: u32, i: u32) -> vec4f {
  if (source == 1u) { return load_v(i); }
  return load_w(i);
}

fn load_input(source: u32, i: u32) -> vec4f {
  if (source == 1u) { return load_tx(i); }
  return load_x(i);
}

fn add_taps(sum: vec4f, at: u32, w: array<f32, MOST_TAPS>) -> vec4f {
  var terms = begin(sum);
  unroll(k, TAPS) { terms += window[at + k / COLUMNS * WIDTH + k % COLUMNS] * w[k]; }
  return end(sum, terms);
}

fn add_output(o: u32) {
  var w: array<f32, MOST_TAPS>;
  unroll(k, TAPS) { w[k] = weight(o * TAPS + k); }
  unroll(t, PIXELS) { acc[o * MOST_PIXELS + t] = add_taps(acc[o * MOST_PIXELS + t], t * STEP, w); }
}

fn add_products() {
  unroll(o, OUTPUTS) { add_output(o); }
}

// Where the sums go: y, its index for output 0 and pixel 0, from a channel to the next and from a pixel to the next;
// the first output of the tile, how many there are, and how many pixels are real, phases counted.
struct Target { at: u32, channel_stride: u32, pixel_stride: u32, first: u32, outputs: u32, pixels: u32 }

fn finish_output(o: u32, i: u32, to: Target) {
  let output = to.first + o;
  let pixel = i * PHASES + output % PHASES;
  if ((output < to.outputs) & (pixel < to.pixels)) {
    var sum = acc[o * MOST_PIXELS];
    unroll(t, PIXELS) { sum = select(sum, acc[o * MOST_PIXELS + t], i == t); }
    if (BIAS) { sum += weight(o); }
    finish(to.at + output / PHASES * to.channel_stride + pixel * to.pixel_stride, sum);
  }
}

// Adds the biases, which the weights prelude holds as the current row, and stores. A loop over the pixels, because a
// store is what takes a driver longest to compile.
fn finish_tile(to: Target) {
  for (var i = 0u; (i < PIXELS) & (i * PHASES < to.pixels); i++) {
    unroll(o, OUTPUTS) { finish_output(o, i, to); }
  }
  mark_found();
}
