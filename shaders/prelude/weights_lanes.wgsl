// A row of weights spread over the eight lanes of a subgroup, four to a lane, and read by constant-lane shuffles: for
// lavapipe, where one gathered load costs as much as forty products and a shuffle as much as two.
// needs: load_weights, ROW_LOADS

const MOST_ROW = 32u;  // vec4
const SUBGROUP = 8u;
var<private> share: u32;  // always 0
var<private> row: array<vec4f, MOST_ROW / SUBGROUP>;

fn load_row(source: u32, at: u32, count: u32, index: u32) {
  unroll(i, ROW_LOADS) { row[i] = load_weights(source, at + i * SUBGROUP + index); }
}

fn weight(e: u32) -> f32 {
  return subgroupShuffle(row[e / (4u * SUBGROUP)][e % 4u], e / 4u % SUBGROUP);
}
