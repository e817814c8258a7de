// Rows of weights in workgroup memory, fetched once for all invocations: for GPUs, whose registers are dearer
// than barriers. There are STAGED vec4 of them at most, of which an invocation reads the row of its share.
// needs: load_weights, ROW, STAGED, LANES, ROWS

var<private> share: u32;
var<workgroup> row: array<vec4f, STAGED>;

fn load_row(source: u32, at: u32, count: u32, index: u32) {
  workgroupBarrier();  // all have read the rows before
  for (var i = index; i < ROW * count; i += LANES * ROWS) {
    row[i] = load_weights(source, at + i);
  }
  workgroupBarrier();
}

fn weight(e: u32) -> f32 {
  return row[share * ROW + e / 4u][e % 4u];
}
