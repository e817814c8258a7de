// reduce_partials: g[w[co,r], b[co]] = base + Σ_s partial[s,r,co] of every job, in the order of the splits; base is
// what g holds, or λ theta where DECAY.
// partial: of each job [splits][rows, padded][outputs, padded], row `patches` being the bias; g, theta: of each
// [outputs][patches] weights, then [outputs] biases. The workgroups along y do a job each.
override DECAY: bool;
struct ReduceJob { g: u32, partial: u32, outputs: u32, patches: u32, splits: u32 }
@group(0) @binding(0) var<storage, read>       jobs: array<ReduceJob>;
@group(0) @binding(1) var<storage, read>       partial: array<f32>;
@group(0) @binding(2) var<storage, read>       decay: f32;  // λ
@group(0) @binding(3) var<storage, read>       theta: array<f32>;
@group(0) @binding(4) var<storage, read_write> g: array<f32>;
const PARTIAL_MULTIPLE = 8u;  // rows and columns of partial are padded to multiples of this

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let job = jobs[id.y];
  let weights = job.outputs * job.patches;
  let stride = (job.outputs + PARTIAL_MULTIPLE - 1u) / PARTIAL_MULTIPLE * PARTIAL_MULTIPLE;
  let split = (job.patches + PARTIAL_MULTIPLE) / PARTIAL_MULTIPLE * PARTIAL_MULTIPLE * stride;
  for (var i = id.x; i < weights + job.outputs; i += groups.x * 64u) {
    let is_weight = i < weights;
    let output = select(i - weights, i / job.patches, is_weight);
    let row = select(job.patches, i % job.patches, is_weight);
    let first = job.partial + row * stride + output;
    var sum = 0.0;
    for (var s = 0u; s < job.splits; s++) {
      sum += partial[first + s * split];
    }
    let at = job.g + i;
    var base = 0.0;
    if (DECAY) { base = decay * theta[at]; } else { base = g[at]; }
    g[at] = base + sum;
  }
}
