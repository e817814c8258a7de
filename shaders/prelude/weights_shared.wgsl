// A row of weights in workgroup memory, fetched once for all invocations: for GPUs, whose registers are dearer
// than barriers.
// needs: load_weights, ROW, LANES, ROWS

const MOST_ROW = 32u;  // vec4
var<workgroup> row: array<vec4f, MOST_ROW>;

fn load_row(source: u32, at: u32, index: u32) {
  workgroupBarrier();  // all have read the row before
  for (var i = index; i < ROW; i += LANES * ROWS) {
    row[i] = load_weights(source, at + i);
  }
  workgroupBarrier();
}

fn weight(e: u32) -> f32 {
  return row[e / 4u][e % 4u];
}
