// quads_copy: out = x, from wherever activations live to a storage buffer.
@group(0) @binding(0) var<quads, read>          x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write>  out: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < arrayLength(&out); i += groups.x * 64u) {
    out[i] = load_x(i);
  }
}
