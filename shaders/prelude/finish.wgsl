// The end of a sum: a mark where it is not finite, before an activation can hide it; the activation, its derivative
// and the mask.
// needs: store_y, store_derivative, found
#import activation
#import epilogue

override CHECK: bool;       // mark values that are not finite
override DERIVATIVE: bool;  // store the activation's derivative, too
var<private> bad: vec4<bool>;

fn finish(i: u32, value: vec4f) {
  if (CHECK) { bad = bad | not_finite(value); }
  if (DERIVATIVE) { store_derivative(i, derivative_of(value)); }
  store_y(i, masked(activate(value), i));
}

fn mark_found() {
  if (CHECK) { if (any(bad)) { atomicOr(&found, 1u); } }
}
