// finite_check: sets found when any value of x is infinite or not a number. Tested on the bits, because compilers fold
// x != x to false, and before the activation, because max(NaN, 0) is 0. The order of the atomics changes nothing.
@group(0) @binding(0) var<storage, read>       x: array<vec4u>;
@group(0) @binding(1) var<storage, read_write> found: atomic<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  var bad = vec4<bool>(false);
  for (var i = id.x; i < arrayLength(&x); i += groups.x * 64u) {
    bad = bad | ((x[i] & vec4u(0x7f800000u)) == vec4u(0x7f800000u));
  }
  if (any(bad)) {
    atomicOr(&found, 1u);
  }
}
