// The sum over a workgroup of LANES × ROWS invocations, a power of two, in a fixed order; right in invocation 0.
// needs: LANES, ROWS

var<workgroup> sums: array<vec4f, LANES * ROWS>;

fn total(value: vec4f, index: u32) -> vec4f {
  workgroupBarrier();  // all have read the total before
  sums[index] = value;
  for (var half = LANES * ROWS / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (index < half) { sums[index] += sums[index + half]; }
  }
  return sums[index];
}
