// A row of weights in the registers of every invocation, read from addresses that all of its share have in common. Of
// `count` rows it is that of the share.
// needs: load_weights, ROW

const MOST_ROW = 32u;  // vec4
var<private> share: u32;
var<private> row: array<vec4f, MOST_ROW>;

fn load_row(source: u32, at: u32, count: u32, index: u32) {
  let first = at + min(share, count - 1u) * ROW;
  unroll(i, ROW) { row[i] = load_weights(source, first + i); }
}

fn weight(e: u32) -> f32 {
  return row[e / 4u][e % 4u];
}
