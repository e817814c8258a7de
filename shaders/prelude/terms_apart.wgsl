// Terms of a step, summed by themselves and then added: on a CPU, whose sums lie in memory between two steps.

fn begin(sum: vec4f) -> vec4f {
  return vec4f();
}

fn add_four(sum: vec4f, a: vec4f, b: vec4f, c: vec4f, d: vec4f, w: vec4f) -> vec4f {
  return sum + (a * w.x + b * w.y + c * w.z + d * w.w);
}

fn end(sum: vec4f, terms: vec4f) -> vec4f {
  return sum + terms;
}
