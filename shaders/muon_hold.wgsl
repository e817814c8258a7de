// muon_hold: W *= norms[matrix] / √Σ squares[matrix] of every matrix W of x, as it is where the sum is zero.
// squares: [matrices][PARTS]. The workgroups along y do a job each, one of them every so many words.
override WIDTH: u32;
override PARTS: u32;
struct HeldJob { start: u32, len: u32, matrix: u32 }
@group(0) @binding(0) var<storage, read>        jobs: array<HeldJob>;
@group(0) @binding(1) var<storage, read>        norms: array<f32>;
@group(0) @binding(2) var<storage, read>        squares: array<f32>;
@group(0) @binding(3) var<storage, read_write>  x: array<f32>;

@compute @workgroup_size(WIDTH)
fn main(@builtin(local_invocation_index) index: u32, @builtin(workgroup_id) group: vec3u,
        @builtin(num_workgroups) groups: vec3u) {
  let job = jobs[group.y];
  var sum = 0.0;
  for (var i = 0u; i < PARTS; i++) { sum += squares[job.matrix * PARTS + i]; }
  let scale = select(norms[job.matrix] / sqrt(sum), 1.0, sum == 0.0);
  for (var i = group.x * WIDTH + index; i < job.len; i += groups.x * WIDTH) {
    x[job.start + i] *= scale;
  }
}
