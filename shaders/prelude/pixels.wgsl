// How the pixels of a channel of x [N/B][CHANNELS][PIXELS][B] are gone through: a workgroup has PART_PIXELS of them, of
// some blocks. PIXEL_ROWS of its rows of invocations take EACH neighbouring pixels a step, the others other blocks.
// needs: LANES

override CHANNELS: u32;
override PIXELS: u32;
override PART_PIXELS: u32; // pixels of a workgroup, whole steps
override EACH: u32;        // divides PIXELS
override PIXEL_ROWS: u32;  // divides ROWS

// The first pixel of a row of invocations, and where the pixels of its workgroup end.
struct Pixels { first: u32, end: u32 }

fn pixels_of(part: u32, row: u32) -> Pixels {
  return Pixels(part * PART_PIXELS + row % PIXEL_ROWS * EACH, min(part * PART_PIXELS + PART_PIXELS, PIXELS));
}

// The vec4 of a pixel.
fn place_in(block: u32, channel: u32, pixel: u32, lane: u32) -> u32 {
  return ((block * CHANNELS + channel) * PIXELS + pixel) * LANES + lane;
}

// Sums over pixels, four images a vec4.
struct Sums { first: vec4f, second: vec4f }

// Those of the first so many examples, `example` being the first of the four.
fn sums_of_real(sums: Sums, examples: u32, example: u32) -> Sums {
  let real = vec4u(example) + vec4u(0u, 1u, 2u, 3u) < vec4u(examples);
  return Sums(select(vec4f(), sums.first, real), select(vec4f(), sums.second, real));
}

fn sum_of(v: vec4f) -> f32 {
  return (v.x + v.y) + (v.z + v.w);
}
