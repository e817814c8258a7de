// muon_update: W -= η norms[matrix] / √(shorter side) · O of every matrix W of x, O being M's transposed where that is
// its shorter side; squares[matrix, part] = Σ W².
// M: [row blocks][width columns][32 rows], rows of the longer side and columns of the shorter; squares:
// [matrices][PARTS]. The workgroups along y do a job each, one of them every so many words of W.
override WIDTH: u32;
override PARTS: u32;       // workgroups along x
const BLOCK = 32u;         // rows of a row block
const LANES = BLOCK / 4u;  // vec4 of its columns
struct MatrixJob { start: u32, rows: u32, columns: u32, width: u32, source: u32, matrix: u32 }
@group(0) @binding(0) var<storage, read>        jobs: array<MatrixJob>;
@group(0) @binding(1) var<storage, read>        coefficients: array<vec4f, 2>;  // the last is η
@group(0) @binding(2) var<storage, read>        norms: array<f32>;
@group(0) @binding(3) var<quads, read>          m: array<vec4f>;
@group(0) @binding(4) var<storage, read_write>  x: array<f32>;
@group(0) @binding(5) var<storage, read_write>  squares: array<f32>;
var<workgroup> sums: array<f32, WIDTH>;

@compute @workgroup_size(WIDTH)
fn main(@builtin(local_invocation_index) index: u32, @builtin(workgroup_id) group: vec3u) {
  let job = jobs[group.y];
  let is_wide = job.rows <= job.columns;
  let step = coefficients[1].w * norms[job.matrix] / sqrt(f32(min(job.rows, job.columns)));
  var sum = 0.0;
  for (var i = group.x * WIDTH + index; i < job.rows * job.columns; i += PARTS * WIDTH) {
    let row = i / job.columns;
    let column = i % job.columns;
    let long = select(row, column, is_wide);
    let short = select(column, row, is_wide);
    let four = load_m(job.source + (long / BLOCK * job.width + short) * LANES + long % BLOCK / 4u);
    let moved = x[job.start + i] - step * four[long % 4u];
    x[job.start + i] = moved;
    sum += moved * moved;
  }
  sums[index] = sum;
  workgroupBarrier();
  if (index == 0u) {
    var total = 0.0;
    for (var i = 0u; i < WIDTH; i++) { total += sums[i]; }
    squares[job.matrix * PARTS + group.x] = total;
  }
}
