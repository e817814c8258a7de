// block_gradient: M[at+o/32, r][o mod 32] = g[o,r], a layer's gradient as a matrix of outputs × (patches and bias), zero beside it.
// g: [OUTPUTS][PATCHES] weights, then [OUTPUTS] biases; M: [row blocks][COLUMNS][32 rows].
override OUTPUTS: u32;
override PATCHES: u32;
override COLUMNS: u32;
override AT: u32;  // first row block
@group(0) @binding(0) var<storage, read>  g: array<f32>;
@group(0) @binding(1) var<quads, write>   m: array<vec4f>;

fn entry(o: u32, r: u32) -> f32 {
  let at = select(o * PATCHES + r, OUTPUTS * PATCHES + o, r == PATCHES);
  let inside = (o < OUTPUTS) & (r <= PATCHES);
  return select(0.0, g[select(0u, at, inside)], inside);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < (OUTPUTS + 31u) / 32u * COLUMNS * 8u; i += groups.x * 64u) {
    let o = i / 8u / COLUMNS * 32u + i % 8u * 4u;
    let r = i / 8u % COLUMNS;
    store_m(AT * COLUMNS * 8u + i, vec4f(entry(o, r), entry(o + 1u, r), entry(o + 2u, r), entry(o + 3u, r)));
  }
}
