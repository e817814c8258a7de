// softmax_xent_hvp: h[n,m] = weight[n] p[n,m] (u[n,m] - Σ_k p[n,k] u[n,k]), p = softmax(z):
// the loss Hessian diag p - p pᵀ on u.
// z, u, h: [N/B][CLASSES][B]; weight: [N/B][B]. An invocation owns four images.
#import math
#import softmax
override CLASSES: u32;
override LANES: u32;
@group(0) @binding(0) var<quads, read>         z: array<vec4f>;
@group(0) @binding(1) var<quads, read>         u: array<vec4f>;
@group(0) @binding(2) var<storage, read>       weight: array<vec4f>;
@group(0) @binding(3) var<quads, write>        h: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < arrayLength(&weight); i += groups.x * 64u) {
    let at = logits_of(i);
    let largest = largest_logit(at);
    var sum = vec4f();
    var mean = vec4f();
    for (var m = 0u; m < CLASSES; m++) {
      let e = exp4(load_z(at + m * LANES) - largest);
      sum += e;
      mean += e * load_u(at + m * LANES);
    }
    mean /= sum;
    for (var m = 0u; m < CLASSES; m++) {
      let p = exp4(load_z(at + m * LANES) - largest) / sum;
      store_h(at + m * LANES, weight[i] * p * (load_u(at + m * LANES) - mean));
    }
  }
}
