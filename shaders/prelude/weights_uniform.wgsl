// A row of weights in every invocation's registers, read from addresses that all share.
var<private> row: array<vec4f, 28>;

fn load_four(second: bool, at: u32, i: u32) {
  if (OUTPUTS * TAPS > 4u * i) { row[i] = load_weights(second, at + i); }
  if (OUTPUTS * TAPS > 4u * i + 4u) { row[i + 1u] = load_weights(second, at + i + 1u); }
  if (OUTPUTS * TAPS > 4u * i + 8u) { row[i + 2u] = load_weights(second, at + i + 2u); }
  if (OUTPUTS * TAPS > 4u * i + 12u) { row[i + 3u] = load_weights(second, at + i + 3u); }
}

fn load_row(second: bool, at: u32, index: u32) {
  load_four(second, at, 0u); load_four(second, at, 4u); load_four(second, at, 8u); load_four(second, at, 12u);
  load_four(second, at, 16u); load_four(second, at, 20u); load_four(second, at, 24u);
}

fn weight(e: u32) -> f32 {
  return row[e / 4u][e % 4u];
}
