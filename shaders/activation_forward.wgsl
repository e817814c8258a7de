// activation_forward: y = f(x), element by element, four images a step.
// The grid strides, so that any length fits into 65,535 workgroups.
#import activation
@group(0) @binding(0) var<quads, read>    x: array<vec4f>;
@group(0) @binding(1) var<uniform>        count: u32;  // vec4 of y
@group(0) @binding(2) var<quads, write>   y: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < count; i += groups.x * 64u) {
    store_y(i, activate(load_x(i)));
  }
}
