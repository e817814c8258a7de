// block_transpose: N[at_n + j/32, i][j mod 32] = M[at_m + i/32, j][i mod 32]: rows of N are the columns of M, and the other way round.
// M: [row blocks][COLUMNS_M][32 rows], N: [row blocks][COLUMNS_N][32 rows]; all COLUMNS_M × COLUMNS_N entries.
override COLUMNS_M: u32;
override COLUMNS_N: u32;
override AT_M: u32;  // first row blocks
override AT_N: u32;
@group(0) @binding(0) var<quads, read>   m: array<vec4f>;
@group(0) @binding(1) var<quads, write>  n: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var k = id.x; k < COLUMNS_M / 4u * COLUMNS_N; k += groups.x * 64u) {
    let j = k / 8u / COLUMNS_N * 32u + k % 8u * 4u;  // four columns of M
    let i = k / 8u % COLUMNS_N;                      // a row of M
    let at = ((AT_M + i / 32u) * COLUMNS_M + j) * 8u + i % 32u / 4u;
    let e = i % 4u;
    store_n(AT_N * COLUMNS_N * 8u + k,
            vec4f(load_m(at)[e], load_m(at + 8u)[e], load_m(at + 16u)[e], load_m(at + 24u)[e]));
  }
}
