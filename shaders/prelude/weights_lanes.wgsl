// A row of weights spread over the eight lanes of a subgroup, four to a lane, and read by constant-lane shuffles: for lavapipe,
// where one gathered load costs as much as forty products and a shuffle as much as two.
var<private> row: array<vec4f, 4>;

fn load_row(second: bool, at: u32, index: u32) {
  row[0] = load_weights(second, at + index);
  if (OUTPUTS * TAPS > 32u) { row[1] = load_weights(second, at + 8u + index); }
  if (OUTPUTS * TAPS > 64u) { row[2] = load_weights(second, at + 16u + index); }
  if (OUTPUTS * TAPS > 96u) { row[3] = load_weights(second, at + 24u + index); }
}

fn weight(e: u32) -> f32 {
  return subgroupShuffle(row[e / 32u][e % 4u], e / 4u % 8u);
}
