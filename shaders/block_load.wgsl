// block_load: M = [A + δI; I] of every matrix, a factor A in SIDE rows and columns padded with those of the identity to
// multiples of 32.
// a: matrices [side][side], symmetric; M: [row blocks][columns][32 rows], of which 2·columns/32 row blocks are written.
// The workgroups along y do a matrix each, one of them every so many of its columns.
override WIDTH: u32;
const BLOCK = 32u;         // rows of a row block
const LANES = BLOCK / 4u;  // vec4 of its columns
struct LoadJob { a: u32, side: u32, columns: u32, target_quad: u32, matrix: u32 }
@group(0) @binding(0) var<storage, read>  jobs: array<LoadJob>;
@group(0) @binding(1) var<storage, read>  a: array<f32>;
@group(0) @binding(2) var<storage, read>  deltas: array<f32>;
@group(0) @binding(3) var<quads, write>   m: array<vec4f>;

fn entry(job: LoadJob, delta: f32, row: u32, col: u32) -> f32 {
  let inside = (row < job.side) & (col < job.side);
  let value = a[job.a + select(0u, col * job.side + row, inside)];
  return select(0.0, value, inside) + select(0.0, select(1.0, delta, inside), row == col);
}

@compute @workgroup_size(WIDTH)
fn main(@builtin(local_invocation_index) index: u32, @builtin(workgroup_id) group: vec3u,
        @builtin(num_workgroups) groups: vec3u) {
  let job = jobs[group.y];
  let delta = deltas[job.matrix];
  for (var col = group.x; col < job.columns; col += groups.x) {
    for (var q = index; q < job.columns / 4u; q += WIDTH) {
      let at = job.target_quad + (q / LANES * job.columns + col) * LANES + q % LANES;
      let row = 4u * q;
      store_m(at, vec4f(entry(job, delta, row, col), entry(job, delta, row + 1u, col),
                        entry(job, delta, row + 2u, col), entry(job, delta, row + 3u, col)));
      store_m(at + job.columns / 4u * job.columns,
              select(vec4f(), vec4f(1.0), vec4u(row, row + 1u, row + 2u, row + 3u) == vec4u(col)));
    }
  }
}
