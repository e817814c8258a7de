// softmax_xent_loss: loss[n] = weight[n] (ln Σ_m e^{z[n,m] - z*} + Σ_m t[n,m] (z* - z[n,m])), z* = max_m z[n,m], with
// targets t = onehot, or (1 - s) onehot + s / CLASSES where SMOOTHS; correct[n] = weight[n] if the first largest logit
// is the label's, else 0; where SCORES, score[n] = weight[n] (|p[n] - t[n]| + FLOOR), p = softmax(z): what an example's
// gradient is as large as.
// z: [N/B][CLASSES][B]; label, weight, loss, correct, score: [N/B][B]. Padded examples have weight 0.
// An invocation owns four images.
#import math
#import targets
override CLASSES: u32;
override LANES: u32;
override SCORES: bool;
@group(0) @binding(0) var<quads, read>         z: array<vec4f>;
@group(0) @binding(1) var<storage, read>       label: array<vec4u>;
@group(0) @binding(2) var<storage, read>       weight: array<vec4f>;
@group(0) @binding(3) var<storage, read>       smoothing: f32;
@group(0) @binding(4) var<storage, read_write> loss: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> correct: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> score: array<vec4f>;

const FLOOR = 1e-4;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < arrayLength(&loss); i += groups.x * 64u) {
    let at = i / LANES * CLASSES * LANES + i % LANES;
    var largest = load_z(at);
    var predicted = vec4u();
    for (var m = 1u; m < CLASSES; m++) {
      let logit = load_z(at + m * LANES);
      predicted = select(predicted, vec4u(m), logit > largest);
      largest = max(largest, logit);
    }
    var sum = vec4f();
    var target_logit = vec4f();
    var below = vec4f();
    for (var m = 0u; m < CLASSES; m++) {
      let logit = load_z(at + m * LANES);
      sum += exp4(logit - largest);
      target_logit = select(target_logit, logit, label[i] == vec4u(m));
      if (SMOOTHS) {
        below += largest - logit;
      }
    }
    var gap = largest - target_logit;
    if (SMOOTHS) {
      gap = (1.0 - smoothing) * gap + smoothing / f32(CLASSES) * below;
    }
    loss[i] = weight[i] * (log4(sum) + gap);
    correct[i] = select(vec4f(), weight[i], predicted == label[i]);
    if (SCORES) {
      var square = vec4f();
      for (var m = 0u; m < CLASSES; m++) {
        let r = exp4(load_z(at + m * LANES) - largest) / sum - target_of(i, m);
        square += r * r;
      }
      score[i] = weight[i] * (sqrt(square) + FLOOR);
    }
  }
}
