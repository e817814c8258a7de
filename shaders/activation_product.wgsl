// activation_product: out = v ⊙ f'(x). An element-wise Jacobian is diagonal, so jvp and vjp are this kernel.
#import activation
@group(0) @binding(0) var<quads, read>    x: array<vec4f>;
@group(0) @binding(1) var<quads, read>    v: array<vec4f>;
@group(0) @binding(2) var<uniform>        count: u32;  // vec4 of out
@group(0) @binding(3) var<quads, write>   out: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < count; i += groups.x * 64u) {
    store_out(i, load_v(i) * derivative_of(load_x(i)));
  }
}
