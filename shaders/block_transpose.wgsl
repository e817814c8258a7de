// block_transpose: N[j/32, i][j mod 32] = M[i/32, j][i mod 32] of every job: rows of N are the columns of M, and the
// other way round.
// M: [row blocks][columns_m][32 rows], N: [row blocks][columns_n][32 rows], both in m; all columns_m × columns_n
// entries. The workgroups along y do a job each, one of them every so many rows of M.
override WIDTH: u32;
const BLOCK = 32u;         // rows of a row block
const LANES = BLOCK / 4u;  // vec4 of its columns
struct TransposeJob { source: u32, target_quad: u32, columns_m: u32, columns_n: u32 }
@group(0) @binding(0) var<storage, read>      jobs: array<TransposeJob>;
@group(0) @binding(1) var<quads, read_write>  m: array<vec4f>;

@compute @workgroup_size(WIDTH)
fn main(@builtin(local_invocation_index) index: u32, @builtin(workgroup_id) group: vec3u,
        @builtin(num_workgroups) groups: vec3u) {
  let job = jobs[group.y];
  for (var i = group.x; i < job.columns_n; i += groups.x) {  // a row of M
    let row = job.source + i / BLOCK * job.columns_m * LANES + i % BLOCK / 4u;
    let e = i % 4u;
    for (var q = index; q < job.columns_m / 4u; q += WIDTH) {  // four columns of M
      let at = row + q * (4u * LANES);
      store_m(job.target_quad + (q / LANES * job.columns_n + i) * LANES + q % LANES,
              vec4f(load_m(at)[e], load_m(at + LANES)[e], load_m(at + 2u * LANES)[e], load_m(at + 3u * LANES)[e]));
    }
  }
}
