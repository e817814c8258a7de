// What group_norm_products left of a channel of four examples: products [N/B][CHANNELS][2][B].
// needs: products, LANES, CHANNELS

// Σ u x̂ and Σ u.
struct Products { with_x: vec4f, alone: vec4f }

fn products_of(block: u32, channel: u32, lane: u32) -> Products {
  let at = (block * CHANNELS + channel) * 2u * LANES + lane;
  return Products(products[at], products[at + LANES]);
}
