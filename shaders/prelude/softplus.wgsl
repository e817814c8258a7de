// softplus ln(1 + e^x) and its derivative.
#import math

fn activate(x: vec4f) -> vec4f {
  return max(x, vec4f()) + log1p4(exp4(-abs(x)));
}

fn derivative_of(x: vec4f) -> vec4f {
  return sigmoid4(x);
}
