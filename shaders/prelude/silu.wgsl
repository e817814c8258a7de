// SiLU x σ(x) and its derivative.
#import math

fn activate(x: vec4f) -> vec4f {
  return x * sigmoid4(x);
}

fn derivative_of(x: vec4f) -> vec4f {
  let s = sigmoid4(x);
  return s * (1.0 + x * (1.0 - s));
}
