// activation_product: out = v ⊙ f'(x). An element-wise Jacobian is diagonal, so jvp and vjp are this kernel.
override KIND: u32;  // as in activation_forward
@group(0) @binding(0) var<storage, read>       x: array<vec4f>;
@group(0) @binding(1) var<storage, read>       v: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4f>;

fn derivative(x: vec4f) -> vec4f {
  switch KIND {
    case 0u: { return select(vec4f(), vec4f(1.0), x > vec4f()); }
    case 1u: { let t = tanh4(x); return 1.0 - t * t; }
    case 2u: { let s = sigmoid4(x); return s * (1.0 + x * (1.0 - s)); }
    default: { return sigmoid4(x); }
  }
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < arrayLength(&out); i += groups.x * 64u) {
    out[i] = v[i] * derivative(x[i]);
  }
}
