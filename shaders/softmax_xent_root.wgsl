// softmax_xent_root: dz[n,m] = √p[n,m] e[n,m] - p[n,m] Σ_k √p[n,k] e[n,k], p = softmax(z), e random signs: E[dz dzᵀ] is
// the loss Hessian diag p - p pᵀ, of which diag √p - p √pᵀ is a square root. Zero for a padded example.
// z, dz: [N/B][CLASSES][B]; index: [N/B][B], which with the seed gives an example's signs; 0xffffffff: padding.
// An invocation owns four images.
#import math
#import softmax
override CLASSES: u32;
override LANES: u32;
@group(0) @binding(0) var<quads, read>    z: array<vec4f>;
@group(0) @binding(1) var<storage, read>  index: array<vec4u>;
@group(0) @binding(2) var<storage, read>  seed: u32;
@group(0) @binding(3) var<quads, write>   dz: array<vec4f>;

// A hash of 32 bits (C. Wellons, "Prospecting for hash functions", lowbias32).
fn hash(key: vec4u) -> vec4u {
  var h = key;
  h = (h ^ (h >> vec4u(16u))) * 0x7feb352du;
  h = (h ^ (h >> vec4u(15u))) * 0x846ca68bu;
  return h ^ (h >> vec4u(16u));
}

fn sign_of(example: vec4u, m: u32) -> vec4f {
  let bits = hash(hash(example ^ vec4u(seed)) + vec4u(m));
  return select(vec4f(-1.0), vec4f(1.0), (bits & vec4u(1u)) == vec4u());
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < arrayLength(&index); i += groups.x * 64u) {
    let at = logits_of(i);
    let largest = largest_logit(at);
    let sum = sum_of_exponentials(at, largest);
    let present = index[i] != vec4u(0xffffffffu);
    var mean = vec4f();
    for (var m = 0u; m < CLASSES; m++) {
      mean += sqrt(exp4(load_z(at + m * LANES) - largest) / sum) * sign_of(index[i], m);
    }
    for (var m = 0u; m < CLASSES; m++) {
      let p = exp4(load_z(at + m * LANES) - largest) / sum;
      store_dz(at + m * LANES, select(vec4f(), sqrt(p) * sign_of(index[i], m) - p * mean, present));
    }
  }
}
