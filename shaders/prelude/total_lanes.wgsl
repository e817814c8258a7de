// The sum over the eight lanes of a workgroup that is one subgroup, in a fixed order.
fn total(value: vec4f, index: u32) -> vec4f {
  let a = value + subgroupShuffleXor(value, 4u);
  let b = a + subgroupShuffleXor(a, 2u);
  return b + subgroupShuffleXor(b, 1u);
}
