// max(x, 0) and its derivative.

fn activate(x: vec4f) -> vec4f {
  return max(x, vec4f());
}

fn derivative_of(x: vec4f) -> vec4f {
  return select(vec4f(), vec4f(1.0), x > vec4f());
}
