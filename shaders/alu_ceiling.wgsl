// alu_ceiling: STEPS products and sums on each of 16 vec4 an invocation: the most arithmetic that a device does.
// For benchmarks.
override STEPS: u32;
@group(0) @binding(0) var<quads, read>          x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write>  out: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let b = load_x(id.x & 63u);
  let c = b * 0.5;
  var s = mat4x4f(b, c, b + c, b - c);
  var t = mat4x4f(c, b, c - b, c + b);
  var u = s * 0.25;
  var v = t * 0.25;
  let f = 0.999 + 1e-4 * b.x;  // the sums neither vanish nor overflow
  let g = mat4x4f(b, c, b, c) * 1e-3;
  for (var k = 0u; k < STEPS; k++) {
    s = s * f + g; t = t * f + g; u = u * f + g; v = v * f + g;
    s = s * f + g; t = t * f + g; u = u * f + g; v = v * f + g;
    s = s * f + g; t = t * f + g; u = u * f + g; v = v * f + g;
    s = s * f + g; t = t * f + g; u = u * f + g; v = v * f + g;
  }
  let sum = (s[0] + s[1] + s[2] + s[3]) + (t[0] + t[1] + t[2] + t[3])
            + (u[0] + u[1] + u[2] + u[3]) + (v[0] + v[1] + v[2] + v[3]);
  out[id.x] = sum.x + sum.y + sum.z + sum.w;
}
