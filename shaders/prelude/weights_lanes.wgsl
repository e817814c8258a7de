// A row of weights spread over the eight lanes of a subgroup, four to a lane, and read by constant-lane shuffles: for
// lavapipe, where one gathered load costs as much as forty products and a shuffle as much as two.
// needs: load_weights, ROW_LOADS

var<private> row: array<vec4f, 4>;

fn load_row(source: u32, at: u32, index: u32) {
  unroll(i, ROW_LOADS) { row[i] = load_weights(source, at + i * 8u + index); }
}

fn weight(e: u32) -> f32 {
  return subgroupShuffle(row[e / 32u][e % 4u], e / 4u % 8u);
}
