// What is done with a value before it is stored: a product with an activation's derivative, given as the derivative
// itself or as the ReLU's output, whose sign it is; or a test for infinity and NaN, on the bits, because compilers fold
// x != x to false.
// needs: load_mask

override MASK: u32;  // 0 none, 1 where it is positive, 2 its value

fn masked(value: vec4f, i: u32) -> vec4f {
  switch MASK {
    case 0u: { return value; }
    case 1u: { return select(vec4f(), value, load_mask(i) > vec4f()); }
    default: { return value * load_mask(i); }
  }
}

fn not_finite(value: vec4f) -> vec4<bool> {
  return (bitcast<vec4u>(value) & vec4u(0x7f800000u)) == vec4u(0x7f800000u);
}
