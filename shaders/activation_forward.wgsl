// activation_forward: y = f(x), element by element, four images a step.
// The grid strides, so that any length fits into 65,535 workgroups.
override KIND: u32;  // 0 ReLU, 1 tanh, 2 SiLU x σ(x), 3 softplus ln(1 + e^x)
@group(0) @binding(0) var<storage, read>       x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;

fn f(x: vec4f) -> vec4f {
  switch KIND {
    case 0u: { return max(x, vec4f()); }
    case 1u: { return tanh4(x); }
    case 2u: { return x * sigmoid4(x); }
    default: { return max(x, vec4f()) + log1p4(exp4(-abs(x))); }
  }
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < arrayLength(&y); i += groups.x * 64u) {
    y[i] = f(x[i]);
  }
}
