// softmax_xent_curvature: uu[n] = weight uᵀHu, uv[n] = weight uᵀHv, vv[n] = weight vᵀHv with H = diag p - p pᵀ,
// p = softmax(z): what an example gives to the curvature along two directions whose logit tangents are u and v.
// z, u, v: [N/B][CLASSES][B]; weight, uu, uv, vv: [N/B][B]. An invocation owns four images.
#import math
#import softmax
override CLASSES: u32;
override LANES: u32;
@group(0) @binding(0) var<quads, read>          z: array<vec4f>;
@group(0) @binding(1) var<quads, read>          u: array<vec4f>;
@group(0) @binding(2) var<quads, read>          v: array<vec4f>;
@group(0) @binding(3) var<storage, read>        weight: array<vec4f>;
@group(0) @binding(4) var<storage, read_write>  uu: array<vec4f>;
@group(0) @binding(5) var<storage, read_write>  uv: array<vec4f>;
@group(0) @binding(6) var<storage, read_write>  vv: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < arrayLength(&weight); i += groups.x * 64u) {
    let at = logits_of(i);
    let largest = largest_logit(at);
    var sum = vec4f();
    var mean_u = vec4f();
    var mean_v = vec4f();
    for (var m = 0u; m < CLASSES; m++) {
      let e = exp4(load_z(at + m * LANES) - largest);
      sum += e;
      mean_u += e * load_u(at + m * LANES);
      mean_v += e * load_v(at + m * LANES);
    }
    mean_u /= sum;
    mean_v /= sum;
    // of the centred tangents, so that nothing cancels
    var of_uu = vec4f();
    var of_uv = vec4f();
    var of_vv = vec4f();
    for (var m = 0u; m < CLASSES; m++) {
      let p = exp4(load_z(at + m * LANES) - largest) / sum;
      let cu = load_u(at + m * LANES) - mean_u;
      let cv = load_v(at + m * LANES) - mean_v;
      of_uu += p * cu * cu;
      of_uv += p * cu * cv;
      of_vv += p * cv * cv;
    }
    uu[i] = weight[i] * of_uu;
    uv[i] = weight[i] * of_uv;
    vv[i] = weight[i] * of_vv;
  }
}
