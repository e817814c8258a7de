// reduce_partials: g[w[co,r], b[co]] += Σ_s partial[s,r,co], in the order of the splits.
// partial: [splits][rows, padded][OUTPUTS, padded], row PATCHES being the bias.
// g: [OUTPUTS][PATCHES] weights, then [OUTPUTS] biases.
#import parameters
override OUTPUTS: u32;
override PATCHES: u32;
@group(0) @binding(0) var<storage, read>       partial: array<f32>;
@group(0) @binding(1) var<storage, read_write> g: array<f32>;
const PARTIAL_MULTIPLE = 8u;  // rows and columns of partial are padded to multiples of this

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let stride = (OUTPUTS + PARTIAL_MULTIPLE - 1u) / PARTIAL_MULTIPLE * PARTIAL_MULTIPLE;
  let split = (PATCHES + PARTIAL_MULTIPLE) / PARTIAL_MULTIPLE * PARTIAL_MULTIPLE * stride;
  for (var i = id.x; i < OUTPUTS * (PATCHES + 1u); i += groups.x * 64u) {
    let place = place_of(i);
    var sum = 0.0;
    for (var at = place.row * stride + place.output; at < arrayLength(&partial); at += split) {
      sum += partial[at];
    }
    g[i] += sum;
  }
}
