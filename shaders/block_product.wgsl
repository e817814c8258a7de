// block_product: M[out+b, 32(col+c)+o] = base ± Σ_{from ≤ r < to} M[x+b, r] · M[w+c, r][o], rows o of row block w+c being the weights:
// X Wᵀ of parts of one matrix, the step from which Cholesky's factor, its inverse and products with it are made; base is what
// M held there, or 0.
// M: [row blocks][COLUMNS][32 rows]. An invocation owns 4 rows of a row block and 32 columns. What is read and what is written
// are apart, but for x = out on the columns of the same invocation.
override LANES: u32;     // 8
override ROWS: u32;
override ROW: u32;       // vec4 of four columns of weights
override OUTPUTS: u32;   // 32
override SUBTRACT: bool;
@group(0) @binding(0) var<storage, read>      step: array<u32, 9>;
@group(0) @binding(1) var<quads, read_write>  m: array<vec4f>;
var<private> acc: array<vec4f, 32>;

const BLOCK = 32u;

fn load_weights(source: u32, i: u32) -> vec4f {
  return load_m(i);
}

fn add_terms(o: u32, a: vec4f, b: vec4f, c: vec4f, d: vec4f) {
  acc[o] += a * weight(o) + b * weight(32u + o) + c * weight(64u + o) + d * weight(96u + o);
}

fn finish(o: u32, at: u32) {
  if (SUBTRACT) { store_m(at + o * LANES, load_m(at + o * LANES) - acc[o]); } else { store_m(at + o * LANES, acc[o]); }
}

@compute @workgroup_size(LANES, ROWS)
fn main(@builtin(local_invocation_id) local: vec3u, @builtin(local_invocation_index) index: u32,
        @builtin(workgroup_id) group: vec3u) {
  let columns = step[0];
  let blocks = step[1];  // row blocks
  let c = group.y;
  let b = min(group.x * ROWS + local.y, blocks - 1u);
  let x = (step[3] + b) * columns;
  let w = (step[4] + c) * columns;
  let first_column = step[6] + c * step[8];  // a later block of weights may begin later
  for (var r = first_column; r < step[7]; r += 4u) {
    load_row(0u, (w + r) * LANES, index);
    let at = (x + r) * LANES + local.x;
    let first = load_m(at);
    let second = load_m(at + LANES);
    let third = load_m(at + 2u * LANES);
    let fourth = load_m(at + 3u * LANES);
    unroll(o, OUTPUTS) { add_terms(o, first, second, third, fourth); }
  }
  let at = ((step[2] + b) * columns + BLOCK * (step[5] + c)) * LANES + local.x;
  if (group.x * ROWS + local.y < blocks) {
    unroll(o, OUTPUTS) { finish(o, at); }
  }
}
