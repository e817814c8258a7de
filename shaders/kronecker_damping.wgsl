// kronecker_damping: δ_A = π √λ and δ_G = √λ / π with π² = (tr A / dim A) / (tr G / dim G): factored Tikhonov damping (Martens and
// Grosse 2015, section 6.3). a: [SIDE_A][SIDE_A], g: [SIDE_G][SIDE_G]. One workgroup.
override SIDE_A: u32;
override SIDE_G: u32;
@group(0) @binding(0) var<storage, read>       a: array<f32>;
@group(0) @binding(1) var<storage, read>       g: array<f32>;
@group(0) @binding(2) var<storage, read>       lambda: f32;
@group(0) @binding(3) var<storage, read_write> delta_a: f32;
@group(0) @binding(4) var<storage, read_write> delta_g: f32;
var<workgroup> traces: array<vec2f, 64>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) index: u32) {
  var trace = vec2f();
  for (var i = index; i < SIDE_A; i += 64u) { trace.x += a[i * SIDE_A + i]; }
  for (var i = index; i < SIDE_G; i += 64u) { trace.y += g[i * SIDE_G + i]; }
  traces[index] = trace;
  workgroupBarrier();
  if (index == 0u) {
    var sum = vec2f();
    for (var i = 0u; i < 64u; i++) { sum += traces[i]; }
    // a factor that is zero, as behind units that never fire, counts as small
    let mean = max(sum / vec2f(f32(SIDE_A), f32(SIDE_G)), vec2f(1e-20));
    let pi = clamp(sqrt(mean.x / mean.y), 1e-5, 1e5);
    delta_a = pi * sqrt(lambda);
    delta_g = sqrt(lambda) / pi;
  }
}
