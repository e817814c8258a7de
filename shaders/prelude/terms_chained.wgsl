// Terms of a step, added one after another to a sum in registers: each is one fused multiply-add on a GPU. Summed by
// themselves, three of them would take four instructions.

fn begin(sum: vec4f) -> vec4f {
  return sum;
}

fn add_four(sum: vec4f, a: vec4f, b: vec4f, c: vec4f, d: vec4f, w: vec4f) -> vec4f {
  return (((sum + a * w.x) + b * w.y) + c * w.z) + d * w.w;
}

fn end(sum: vec4f, terms: vec4f) -> vec4f {
  return terms;
}
