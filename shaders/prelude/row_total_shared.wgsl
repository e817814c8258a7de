// The sum over the PIXEL_ROWS rows of invocations that share a part of the pixels, lane by lane, in a fixed order.
// needs: LANES, ROWS, PIXEL_ROWS

var<workgroup> of_rows: array<vec4f, LANES * ROWS>;

fn row_total(value: vec4f, lane: u32, row: u32) -> vec4f {
  let index = row * LANES + lane;
  let among = row % PIXEL_ROWS;
  workgroupBarrier();  // all have read the total before
  of_rows[index] = value;
  for (var half = PIXEL_ROWS / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (among < half) { of_rows[index] += of_rows[index + half * LANES]; }
  }
  workgroupBarrier();
  return of_rows[index - among * LANES];
}
