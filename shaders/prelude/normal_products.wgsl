// What batch_norm_products left of a channel of a group, the parts added up.
// needs: partial, CHANNELS, PARTS

const PARTIAL_MULTIPLE = 8u;  // rows and columns of partial are padded to multiples of this

// Σ u x̂ and Σ u.
fn products_of(group: u32, channel: u32) -> vec2f {
  let stride = (CHANNELS + PARTIAL_MULTIPLE - 1u) / PARTIAL_MULTIPLE * PARTIAL_MULTIPLE;
  var sums = vec2f();
  for (var part = 0u; part < PARTS; part++) {
    let at = (group * PARTS + part) * PARTIAL_MULTIPLE * stride + channel;
    sums += vec2f(partial[at], partial[at + stride]);
  }
  return sums;
}
