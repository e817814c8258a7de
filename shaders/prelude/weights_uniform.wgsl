// A row of weights in every invocation's registers, read from addresses that all share.
// needs: load_weights, ROW

const MOST_ROW = 32u;  // vec4
var<private> row: array<vec4f, MOST_ROW>;

fn load_row(source: u32, at: u32, index: u32) {
  unroll(i, ROW) { row[i] = load_weights(source, at + i); }
}

fn weight(e: u32) -> f32 {
  return row[e / 4u][e % 4u];
}
