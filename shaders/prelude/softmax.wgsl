// The softmax of the logits z [N/B][CLASSES][B] of four images, the largest subtracted: where those of vec4 i begin,
// their largest, and the sum of the exponentials above it.
// needs: load_z, CLASSES, LANES
#import math

fn logits_of(i: u32) -> u32 {
  return i / LANES * CLASSES * LANES + i % LANES;
}

fn largest_logit(at: u32) -> vec4f {
  var largest = load_z(at);
  for (var m = 1u; m < CLASSES; m++) {
    largest = max(largest, load_z(at + m * LANES));
  }
  return largest;
}

fn sum_of_exponentials(at: u32, largest: vec4f) -> vec4f {
  var sum = vec4f();
  for (var m = 0u; m < CLASSES; m++) {
    sum += exp4(load_z(at + m * LANES) - largest);
  }
  return sum;
}
