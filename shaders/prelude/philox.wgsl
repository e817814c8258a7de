// Philox4x32-10, a counter-based generator (Salmon and others 2011, "Parallel random numbers: as easy as 1, 2, 3"): 128
// random bits that follow from a counter and a key alone.

// The high and the low word of a product of 32-bit words.
fn wide_product(a: u32, b: u32) -> vec2u {
  let low = (a & 0xffffu) * (b & 0xffffu);
  let cross = (a >> 16u) * (b & 0xffffu) + (low >> 16u);
  let other = (a & 0xffffu) * (b >> 16u) + (cross & 0xffffu);
  return vec2u((a >> 16u) * (b >> 16u) + (cross >> 16u) + (other >> 16u), a * b);
}

fn philox(counter: vec4u, key: vec2u) -> vec4u {
  var c = counter;
  var k = key;
  for (var round = 0u; round < 10u; round++) {
    let a = wide_product(0xd2511f53u, c.x);
    let b = wide_product(0xcd9e8d57u, c.z);
    c = vec4u(b.x ^ c.y ^ k.x, b.y, a.x ^ c.w ^ k.y, a.y);
    k += vec2u(0x9e3779b9u, 0xbb67ae85u);
  }
  return c;
}

// A word as a number of [0, 1), in steps of 2⁻²⁴.
fn unit(word: u32) -> f32 {
  return f32(word >> 8u) * 5.9604644775390625e-8;
}

// Of [-1, 1).
fn signed(word: u32) -> f32 {
  return 2.0 * unit(word) - 1.0;
}

// One of 0 .. count, count at most 2^16.
fn below(word: u32, count: u32) -> u32 {
  return ((word >> 16u) * count) >> 16u;
}
