// matmul: y[n,o] (+)= b[o] + Σ_r w[o,r] · x[n,r]; with the transposed weights packed it is the gradient to the input.
// x: [N/B][R][B], y: [N/B][O][B], w: packed [O/8][R (+1)][8].
// An invocation owns 4 images of each of 4 batch blocks and 8 outputs: eight mat4x4 accumulators (columns: outputs), so that
// six vec4 loads feed 128 multiply-adds. Blocks beyond the last are read as the last and not stored.
override OUTPUTS: u32;
override REDUCED: u32;
override PACKED_ROWS: u32;  // rows of a tile of w: REDUCED, and a row of biases where w is packed forward
override BIAS: bool;        // add the row of biases
override ACCUMULATE: bool;  // add to y
override LANES: u32;
override ROWS: u32;
@group(0) @binding(0) var<storage, read>       x: array<vec4f>;
@group(0) @binding(1) var<storage, read>       w: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

fn rank1(images: vec4f, outputs: vec4f) -> mat4x4f {
  return mat4x4f(images * outputs.x, images * outputs.y, images * outputs.z, images * outputs.w);
}

fn store(at: u32, output: u32, value: vec4f) {
  if (output < OUTPUTS) {
    if (ACCUMULATE) { y[at] += value; } else { y[at] = value; }
  }
}

fn store4(block: u32, output: u32, lane: u32, values: mat4x4f) {
  let at = (block * OUTPUTS + output) * LANES + lane;
  store(at, output, values[0]);
  store(at + LANES, output + 1u, values[1]);
  store(at + 2u * LANES, output + 2u, values[2]);
  store(at + 3u * LANES, output + 3u, values[3]);
}

@compute @workgroup_size(LANES, ROWS)
fn main(@builtin(local_invocation_id) local: vec3u, @builtin(workgroup_id) group: vec3u) {
  let blocks = arrayLength(&x) / (REDUCED * LANES);
  let lane = local.x;
  let block = (group.x * ROWS + local.y) * 4u;
  let output = group.y * 8u;
  let at = min(vec4u(block) + vec4u(0u, 1u, 2u, 3u), vec4u(blocks - 1u)) * REDUCED * LANES + lane;
  var tap = group.y * PACKED_ROWS * 2u;

  var a0 = mat4x4f(); var a1 = mat4x4f();
  var b0 = mat4x4f(); var b1 = mat4x4f();
  var c0 = mat4x4f(); var c1 = mat4x4f();
  var d0 = mat4x4f(); var d1 = mat4x4f();
  for (var r = 0u; r < REDUCED; r++) {
    let w0 = w[tap];
    let w1 = w[tap + 1u];
    tap += 2u;
    let p = at + r * LANES;
    let a = x[p.x]; a0 += rank1(a, w0); a1 += rank1(a, w1);
    let b = x[p.y]; b0 += rank1(b, w0); b1 += rank1(b, w1);
    let c = x[p.z]; c0 += rank1(c, w0); c1 += rank1(c, w1);
    let d = x[p.w]; d0 += rank1(d, w0); d1 += rank1(d, w1);
  }
  if (BIAS) {
    let bias0 = rank1(vec4f(1.0), w[tap]);
    let bias1 = rank1(vec4f(1.0), w[tap + 1u]);
    a0 += bias0; a1 += bias1; b0 += bias0; b1 += bias1; c0 += bias0; c1 += bias1; d0 += bias0; d1 += bias1;
  }
  if (block < blocks)      { store4(block, output, lane, a0);      store4(block, output + 4u, lane, a1); }
  if (block + 1u < blocks) { store4(block + 1u, output, lane, b0); store4(block + 1u, output + 4u, lane, b1); }
  if (block + 2u < blocks) { store4(block + 2u, output, lane, c0); store4(block + 2u, output + 4u, lane, c1); }
  if (block + 3u < blocks) { store4(block + 3u, output, lane, d0); store4(block + 3u, output + 4u, lane, d1); }
}
