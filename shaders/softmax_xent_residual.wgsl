// softmax_xent_residual: score[n] = weight[n] (|p[n] - onehot| + FLOOR), p = softmax(z):
// what an example's gradient is as large as.
// z: [N/B][CLASSES][B]; label, weight, score: [N/B][B]. An invocation owns four images.
#import math
#import softmax
override CLASSES: u32;
override LANES: u32;
@group(0) @binding(0) var<quads, read>          z: array<vec4f>;
@group(0) @binding(1) var<storage, read>        label: array<vec4u>;
@group(0) @binding(2) var<storage, read>        weight: array<vec4f>;
@group(0) @binding(3) var<storage, read_write>  score: array<vec4f>;

const FLOOR = 1e-4;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < arrayLength(&label); i += groups.x * 64u) {
    let at = logits_of(i);
    let largest = largest_logit(at);
    let sum = sum_of_exponentials(at, largest);
    var square = vec4f();
    for (var m = 0u; m < CLASSES; m++) {
      let r = exp4(load_z(at + m * LANES) - largest) / sum - select(vec4f(), vec4f(1.0), label[i] == vec4u(m));
      square += r * r;
    }
    score[i] = weight[i] * (sqrt(square) + FLOOR);
  }
}
