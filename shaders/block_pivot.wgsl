// block_pivot: the block at target_quad ← L⁻¹, L Lᵀ being the Cholesky factorisation of the 32 × 32 block at `source`,
// of every job.
// In exact arithmetic no pivot of A + δI is below δ, so a smaller one is rounding and is raised to δ.
// M: blocks of [32 columns][32 rows]. A workgroup does a job: invocation i owns row i of the factorisation, then column
// i of the inverse.
const BLOCK = 32u;         // rows, and columns, of a block
const LANES = BLOCK / 4u;  // vec4 of its columns
struct PivotJob { source: u32, target_quad: u32, matrix: u32, padding: u32 }
@group(0) @binding(0) var<storage, read>      jobs: array<PivotJob>;
@group(0) @binding(1) var<storage, read>      deltas: array<f32>;  // of each matrix
@group(0) @binding(2) var<quads, read_write>  m: array<vec4f>;
var<workgroup> l: array<f32, BLOCK * BLOCK>;        // [column][row]
var<workgroup> inverse: array<f32, BLOCK * BLOCK>;  // [column][row]
var<workgroup> column: array<f32, 2u * BLOCK>;      // of L, the latest and the one before

@compute @workgroup_size(BLOCK)
fn main(@builtin(local_invocation_index) i: u32, @builtin(workgroup_id) group: vec3u) {
  let job = jobs[group.x];
  let delta = deltas[job.matrix];
  let source = job.source + i * LANES;
  for (var q = 0u; q < LANES; q++) {
    let four = load_m(source + q);
    for (var e = 0u; e < 4u; e++) {
      l[i * BLOCK + q * 4u + e] = four[e];
      inverse[i * BLOCK + q * 4u + e] = 0.0;
    }
  }
  for (var j = 0u; j < BLOCK; j++) {
    workgroupBarrier();
    let lij = l[j * BLOCK + i] / sqrt(max(l[j * BLOCK + j], delta));
    let latest = j % 2u * BLOCK;
    column[latest + i] = select(lij, sqrt(max(l[j * BLOCK + j], delta)), i == j);
    workgroupBarrier();
    l[j * BLOCK + i] = column[latest + i];
    for (var c = j + 1u; c <= i; c++) {
      l[c * BLOCK + i] -= lij * column[latest + c];
    }
  }
  workgroupBarrier();
  // forward substitution: L times column i of the inverse is column i of I
  for (var row = i; row < BLOCK; row++) {
    var sum = select(0.0, 1.0, row == i);
    for (var c = i; c < row; c++) {
      sum -= l[c * BLOCK + row] * inverse[i * BLOCK + c];
    }
    inverse[i * BLOCK + row] = sum / l[row * BLOCK + row];
  }
  let target_quad = job.target_quad + i * LANES;
  for (var q = 0u; q < LANES; q++) {
    let at = i * BLOCK + q * 4u;
    store_m(target_quad + q, vec4f(inverse[at], inverse[at + 1u], inverse[at + 2u], inverse[at + 3u]));
  }
}
