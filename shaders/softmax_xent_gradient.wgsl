// softmax_xent_gradient: dz[n,m] = weight[n] (p[n,m] - t[n,m]), p = softmax(z), with targets t = onehot, or
// (1 - s) onehot + s / CLASSES where SMOOTHS.
// z, dz: [N/B][CLASSES][B]; label, weight: [N/B][B]. An invocation owns four images.
#import math
#import softmax
#import targets
override CLASSES: u32;
override LANES: u32;
@group(0) @binding(0) var<quads, read>         z: array<vec4f>;
@group(0) @binding(1) var<storage, read>       label: array<vec4u>;
@group(0) @binding(2) var<storage, read>       weight: array<vec4f>;
@group(0) @binding(3) var<storage, read>       smoothing: f32;
@group(0) @binding(4) var<quads, write>        dz: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < arrayLength(&label); i += groups.x * 64u) {
    let at = logits_of(i);
    let largest = largest_logit(at);
    let sum = sum_of_exponentials(at, largest);
    for (var m = 0u; m < CLASSES; m++) {
      let p = exp4(load_z(at + m * LANES) - largest) / sum;
      store_dz(at + m * LANES, weight[i] * (p - target_of(i, m)));
    }
  }
}
