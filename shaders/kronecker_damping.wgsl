// kronecker_damping: δ_A = π √λ and δ_G = √λ / π with π² = (tr A / dim A) / (tr G / dim G) of every layer: factored
// Tikhonov damping (Martens and Grosse 2015, section 6.3). a, g: matrices [side][side]; deltas: of each layer those of
// A and G. A workgroup does a layer.
struct DampingJob { layer: u32, a: u32, side_a: u32, g: u32, side_g: u32 }
@group(0) @binding(0) var<storage, read>       jobs: array<DampingJob>;
@group(0) @binding(1) var<storage, read>       a: array<f32>;
@group(0) @binding(2) var<storage, read>       g: array<f32>;
@group(0) @binding(3) var<storage, read>       lambda: f32;
@group(0) @binding(4) var<storage, read_write> deltas: array<vec2f>;
var<workgroup> traces: array<vec2f, 64>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) index: u32, @builtin(workgroup_id) group: vec3u) {
  let job = jobs[group.x];
  var trace = vec2f();
  for (var i = index; i < job.side_a; i += 64u) { trace.x += a[job.a + i * (job.side_a + 1u)]; }
  for (var i = index; i < job.side_g; i += 64u) { trace.y += g[job.g + i * (job.side_g + 1u)]; }
  traces[index] = trace;
  workgroupBarrier();
  if (index == 0u) {
    var sum = vec2f();
    for (var i = 0u; i < 64u; i++) { sum += traces[i]; }
    // a factor that is zero, as behind units that never fire, counts as small
    let mean = max(sum / vec2f(f32(job.side_a), f32(job.side_g)), vec2f(1e-20));
    let pi = clamp(sqrt(mean.x / mean.y), 1e-5, 1e5);
    deltas[job.layer] = vec2f(pi, 1.0 / pi) * sqrt(lambda);
  }
}
