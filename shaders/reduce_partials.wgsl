// reduce_partials: g[w[co,r], b[co]] += Σ_s partial[s,r,co], in the order of the splits.
// partial: [splits][ROWS8][OUTPUTS8], row PATCHES being the bias; g: [OUTPUTS][PATCHES] weights, then [OUTPUTS] biases.
#import parameters
override OUTPUTS: u32;
override PATCHES: u32;
@group(0) @binding(0) var<storage, read>       partial: array<f32>;
@group(0) @binding(1) var<storage, read_write> g: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let outputs8 = (OUTPUTS + 7u) / 8u * 8u;
  let split = (PATCHES + 8u) / 8u * 8u * outputs8;
  for (var i = id.x; i < OUTPUTS * (PATCHES + 1u); i += groups.x * 64u) {
    let place = place_of(i);
    var sum = 0.0;
    for (var at = place.row * outputs8 + place.output; at < arrayLength(&partial); at += split) {
      sum += partial[at];
    }
    g[i] += sum;
  }
}
