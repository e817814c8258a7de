// batch_norm_divide: (d[γ], d[β]) = (F + λ I)⁻¹ (g[γ], g[β]) of each channel of every job, F = [f₀, f₁; f₁, f₂].
// g, d: of each job [channels] γ, then β; f: of each [channels][3]. The workgroups along y do a job each.
struct NormJob { g: u32, f: u32, channels: u32 }
@group(0) @binding(0) var<storage, read>        jobs: array<NormJob>;
@group(0) @binding(1) var<storage, read>        f: array<f32>;
@group(0) @binding(2) var<storage, read>        lambda: f32;
@group(0) @binding(3) var<storage, read>        g: array<f32>;
@group(0) @binding(4) var<storage, read_write>  d: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let job = jobs[id.y];
  for (var channel = id.x; channel < job.channels; channel += groups.x * 64u) {
    let at = job.f + 3u * channel;
    let a = f[at];
    let b = f[at + 1u];
    let c = f[at + 2u];
    // F is a sum of squares: rounding must not make its determinant negative
    let determinant = max(a * c - b * b, 0.0) + lambda * (a + c + lambda);
    let scale = job.g + channel;
    let shift = scale + job.channels;
    d[scale] = ((c + lambda) * g[scale] - b * g[shift]) / determinant;
    d[shift] = ((a + lambda) * g[shift] - b * g[scale]) / determinant;
  }
}
