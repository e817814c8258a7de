// pack_weights: packed[i] = theta[source[i]], or zero where there is none: the weights of all layers in the order in
// which their products read them (Packing::sources says which word goes where). An invocation writes four.
@group(0) @binding(0) var<storage, read>  source: array<vec4u>;
@group(0) @binding(1) var<storage, read>  theta: array<f32>;
@group(0) @binding(2) var<quads, write>   packed: array<vec4f>;
const NONE = 0xffffffffu;

fn word(at: u32) -> f32 {
  return select(0.0, theta[select(at, 0u, at == NONE)], at != NONE);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < arrayLength(&source); i += groups.x * 64u) {
    let at = source[i];
    store_packed(i, vec4f(word(at.x), word(at.y), word(at.z), word(at.w)));
  }
}
