// block_gradient: M[o/32, r][o mod 32] = g[o,r], each layer's gradient as a matrix of outputs × (patches and bias),
// zero beside it; where TRANSPOSED, M[r/32, o][r mod 32], of (patches and bias) × outputs.
// g: of each layer [outputs][patches] weights, and [outputs] biases; M: [row blocks][columns][32 rows]. The workgroups
// along y do a layer each, one of them every so many columns.
override WIDTH: u32;
override TRANSPOSED: bool;
const BLOCK = 32u;         // rows of a row block
const LANES = BLOCK / 4u;  // vec4 of its columns
struct GradientJob { g: u32, biases: u32, outputs: u32, patches: u32, columns: u32, target_quad: u32 }
@group(0) @binding(0) var<storage, read>  jobs: array<GradientJob>;
@group(0) @binding(1) var<storage, read>  g: array<f32>;
@group(0) @binding(2) var<quads, write>   m: array<vec4f>;

fn entry(job: GradientJob, row: u32, column: u32) -> f32 {
  let o = select(row, column, TRANSPOSED);
  let r = select(column, row, TRANSPOSED);
  let at = select(job.g + o * job.patches + r, job.biases + o, r == job.patches);
  let inside = (o < job.outputs) & (r <= job.patches);
  return select(0.0, g[select(job.g, at, inside)], inside);
}

@compute @workgroup_size(WIDTH)
fn main(@builtin(local_invocation_index) index: u32, @builtin(workgroup_id) group: vec3u,
        @builtin(num_workgroups) groups: vec3u) {
  let job = jobs[group.y];
  let rows = select(job.outputs, job.patches + 1u, TRANSPOSED);
  for (var column = group.x; column < job.columns; column += groups.x) {
    for (var q = index; q < (rows + BLOCK - 1u) / BLOCK * LANES; q += WIDTH) {
      let row = 4u * q;
      store_m(job.target_quad + (q / LANES * job.columns + column) * LANES + q % LANES,
              vec4f(entry(job, row, column), entry(job, row + 1u, column),
                    entry(job, row + 2u, column), entry(job, row + 3u, column)));
    }
  }
}
