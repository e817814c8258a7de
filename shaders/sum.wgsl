// sum: y = f(a + b), or mask ⊙ (a + b), element by element: where two paths of a network meet, and where their
// cotangents do. Channel c of y has channel c + shift of a term, and zero where there is none: terms may have fewer
// channels, or more, and two that are shifted past each other are put one after the other.
// y: [N/B][C][H·W][B], a: [N/B][C_A][H·W][B], b: [N/B][C_B][H·W][B].
#import finish
override C: u32;
override C_A: u32;
override C_B: u32;   // 0 where there is no b
override PLANE: u32;  // vec4 of a channel: H·W·B / 4
override SHIFT_A: u32;  // in vec4; a shift below zero wraps around, beyond all that there is
override SHIFT_B: u32;
@group(0) @binding(0) var<quads, read>           a: array<vec4f>;
@group(0) @binding(1) var<quads, read>           b: array<vec4f>;
@group(0) @binding(2) var<quads, read>           mask: array<vec4f>;
@group(0) @binding(3) var<uniform>               blocks: u32;
@group(0) @binding(4) var<quads, write>          y: array<vec4f>;
@group(0) @binding(5) var<quads, write>          derivative: array<vec4f>;
@group(0) @binding(6) var<storage, read_write>   found: atomic<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < blocks * C * PLANE; i += groups.x * 64u) {
    let block = i / (C * PLANE);
    let within = i % (C * PLANE);
    var z = vec4f();
    let of_a = within + SHIFT_A;
    let of_b = within + SHIFT_B;
    if (of_a < C_A * PLANE) { z = load_a(block * C_A * PLANE + of_a); }
    if (of_b < C_B * PLANE) { z += load_b(block * C_B * PLANE + of_b); }
    finish(i, z);
  }
  mark_found();
}
