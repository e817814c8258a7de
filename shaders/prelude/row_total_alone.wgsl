// The sum over the rows of invocations that share a part of the pixels, where a workgroup is one row.
fn row_total(value: vec4f, lane: u32, row: u32) -> vec4f {
  return value;
}
