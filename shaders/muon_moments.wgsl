// muon_moments: of every job that is a matrix v = μ v + g, u = g + μ v and squares[matrix, part] = Σ u²; of every other
// Adam's m = β₁ m + (1-β₁) g, s = β₂ s + (1-β₂) g², x -= step · m / (√s + ε), m being v.
// squares: [matrices][PARTS]. The workgroups along y do a job each, one of them every so many of its words.
override WIDTH: u32;
override PARTS: u32;        // workgroups along x
const NONE = 0xffffffffu;   // the matrix of what is none
struct SegmentJob { start: u32, len: u32, matrix: u32 }
@group(0) @binding(0) var<storage, read>        jobs: array<SegmentJob>;
@group(0) @binding(1) var<storage, read>        coefficients: array<vec4f, 2>;  // β₁, 1-β₁, β₂, 1-β₂; step, ε, μ
@group(0) @binding(2) var<storage, read>        g: array<f32>;
@group(0) @binding(3) var<storage, read_write>  v: array<f32>;
@group(0) @binding(4) var<storage, read_write>  s: array<f32>;
@group(0) @binding(5) var<storage, read_write>  x: array<f32>;
@group(0) @binding(6) var<storage, read_write>  u: array<f32>;
@group(0) @binding(7) var<storage, read_write>  squares: array<f32>;
var<workgroup> sums: array<f32, WIDTH>;

fn adam(at: u32) {
  let decay = coefficients[0];
  let by = coefficients[1];
  let mean = decay.x * v[at] + decay.y * g[at];
  let square = decay.z * s[at] + decay.w * (g[at] * g[at]);
  v[at] = mean;
  s[at] = square;
  x[at] -= by.x * mean / (sqrt(square) + by.y);
}

fn momentum(at: u32) -> f32 {
  let velocity = coefficients[1].z * v[at] + g[at];
  let ahead = g[at] + coefficients[1].z * velocity;
  v[at] = velocity;
  u[at] = ahead;
  return ahead * ahead;
}

@compute @workgroup_size(WIDTH)
fn main(@builtin(local_invocation_index) index: u32, @builtin(workgroup_id) group: vec3u) {
  let job = jobs[group.y];
  var sum = 0.0;
  for (var i = group.x * WIDTH + index; i < job.len; i += PARTS * WIDTH) {
    if (job.matrix == NONE) { adam(job.start + i); } else { sum += momentum(job.start + i); }
  }
  sums[index] = sum;
  workgroupBarrier();
  if ((index == 0u) & (job.matrix != NONE)) {
    var total = 0.0;
    for (var i = 0u; i < WIDTH; i++) { total += sums[i]; }
    squares[job.matrix * PARTS + group.x] = total;
  }
}
