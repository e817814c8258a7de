// softmax_xent_gradient: dz[n,m] = weight[n] (p[n,m] - [m = label[n]]), p = softmax(z).
// z, dz: [N/B][CLASSES][B]; label, weight: [N/B][B]. An invocation owns four images.
#import math
#import softmax
override CLASSES: u32;
override LANES: u32;
@group(0) @binding(0) var<quads, read>         z: array<vec4f>;
@group(0) @binding(1) var<storage, read>       label: array<vec4u>;
@group(0) @binding(2) var<storage, read>       weight: array<vec4f>;
@group(0) @binding(3) var<quads, write>        dz: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < arrayLength(&label); i += groups.x * 64u) {
    let at = logits_of(i);
    let largest = largest_logit(at);
    let sum = sum_of_exponentials(at, largest);
    for (var m = 0u; m < CLASSES; m++) {
      let p = exp4(load_z(at + m * LANES) - largest) / sum;
      store_dz(at + m * LANES, weight[i] * (p - select(vec4f(), vec4f(1.0), label[i] == vec4u(m))));
    }
  }
}
