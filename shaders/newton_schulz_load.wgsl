// newton_schulz_load: M[row/32, column][row mod 32] = u[row, column] / √Σ squares[matrix] of every job, a matrix or its
// transpose, zero beside it and where the sum is zero; of a job of no matrix, those of the identity.
// M: [row blocks][width columns][32 rows]; squares: [matrices][PARTS]. The workgroups along y do a job each, one of
// them every so many columns.
override WIDTH: u32;
override PARTS: u32;
const BLOCK = 32u;         // rows of a row block
const LANES = BLOCK / 4u;  // vec4 of its columns
const NONE = 0xffffffffu;
struct OperandJob {
  start: u32, rows: u32, columns: u32, row_stride: u32, column_stride: u32, width: u32, target_quad: u32, matrix: u32
}
@group(0) @binding(0) var<storage, read>  jobs: array<OperandJob>;
@group(0) @binding(1) var<storage, read>  squares: array<f32>;
@group(0) @binding(2) var<storage, read>  u: array<f32>;
@group(0) @binding(3) var<quads, write>   m: array<vec4f>;

fn scale_of(matrix: u32) -> f32 {
  if (matrix == NONE) { return 0.0; }
  var sum = 0.0;
  for (var i = 0u; i < PARTS; i++) { sum += squares[matrix * PARTS + i]; }
  return select(1.0 / sqrt(sum), 0.0, sum == 0.0);
}

fn entry(job: OperandJob, scale: f32, row: u32, column: u32) -> f32 {
  if (job.matrix == NONE) { return select(0.0, 1.0, row == column); }
  let inside = (row < job.rows) & (column < job.columns);
  let at = job.start + select(0u, row * job.row_stride + column * job.column_stride, inside);
  return select(0.0, scale * u[at], inside);
}

@compute @workgroup_size(WIDTH)
fn main(@builtin(local_invocation_index) index: u32, @builtin(workgroup_id) group: vec3u,
        @builtin(num_workgroups) groups: vec3u) {
  let job = jobs[group.y];
  let scale = scale_of(job.matrix);
  for (var column = group.x; column < job.width; column += groups.x) {
    for (var q = index; q < (job.rows + BLOCK - 1u) / BLOCK * LANES; q += WIDTH) {
      let row = 4u * q;
      store_m(job.target_quad + (q / LANES * job.width + column) * LANES + q % LANES,
              vec4f(entry(job, scale, row, column), entry(job, scale, row + 1u, column),
                    entry(job, scale, row + 2u, column), entry(job, scale, row + 3u, column)));
    }
  }
}
