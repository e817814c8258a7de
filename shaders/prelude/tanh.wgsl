// tanh x and its derivative.
#import math

fn activate(x: vec4f) -> vec4f {
  return tanh4(x);
}

fn derivative_of(x: vec4f) -> vec4f {
  let t = tanh4(x);
  return 1.0 - t * t;
}
