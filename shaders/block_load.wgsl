// block_load: M = [A + δI; I], the factor A in SIDE rows and columns, padded with those of the identity to multiples of 32.
// a: [SIDE][SIDE], symmetric; M: [row blocks][COLUMNS][32 rows], of which 2·COLUMNS/32 row blocks are written.
override SIDE: u32;
override COLUMNS: u32;
@group(0) @binding(0) var<storage, read>  a: array<f32>;
@group(0) @binding(1) var<storage, read>  delta: f32;
@group(0) @binding(2) var<quads, write>   m: array<vec4f>;

fn entry(row: u32, col: u32) -> f32 {
  let inside = (row < SIDE) & (col < SIDE);
  let value = a[select(0u, col * SIDE + row, inside)];
  let diagonal = select(1.0, value + delta, inside);
  let other = select(0.0, value, inside);
  return select(other, diagonal, row % COLUMNS == col);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < COLUMNS / 2u * COLUMNS; i += groups.x * 64u) {
    let row = i / 8u / COLUMNS * 32u + i % 8u * 4u;
    let col = i / 8u % COLUMNS;
    store_m(i, vec4f(entry(row, col), entry(row + 1u, col), entry(row + 2u, col), entry(row + 3u, col)));
  }
}
