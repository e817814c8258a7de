// newton_schulz_product: out[b, o] = α base[b, o] + γ Σ_r x[b, r] · w[o, r] of every job: α B + γ X Wᵀ of matrices, the
// step from which an iteration of Newton and Schulz is made; where α is 0, base may hold what is no number.
// M: matrices in [row blocks][columns][32 rows]. A workgroup does a job: so many row blocks of x, and of base and out,
// with the 32 rows of w as the weights of 32 columns of out; an invocation owns 4 rows of a row block. What is read and
// what is written are apart.
#import block_weights
#import terms
const BLOCK = 32u;       // rows of a row block
const TAPS = 4u;         // columns summed in one step
override LANES: u32;     // vec4 of a column: BLOCK / 4
override ROWS: u32;
override ROW: u32;       // vec4 of TAPS columns of weights
override STAGED: u32;    // ROW
override OUTPUTS: u32;   // BLOCK
struct NewtonSchulzJob { x: u32, w: u32, out: u32, base: u32, x_step: u32, out_step: u32, taps: u32, rows: u32 }
@group(0) @binding(0) var<storage, read>      jobs: array<NewtonSchulzJob>;
@group(0) @binding(1) var<storage, read>      coefficients: vec2f;  // α, γ
@group(0) @binding(2) var<quads, read_write>  m: array<vec4f>;
var<private> acc: array<vec4f, BLOCK>;

fn load_weights(source: u32, i: u32) -> vec4f {
  return load_m(i);
}

fn add_terms(o: u32, a: vec4f, b: vec4f, c: vec4f, d: vec4f) {
  let w = vec4f(weight(o), weight(BLOCK + o), weight(2u * BLOCK + o), weight(3u * BLOCK + o));
  acc[o] = add_four(acc[o], a, b, c, d, w);
}

fn finish(o: u32, base: u32, at: u32, by: vec2f) {
  let of_base = select(by.x * load_m(base + o * LANES), vec4f(), by.x == 0.0);
  store_m(at + o * LANES, of_base + by.y * acc[o]);
}

@compute @workgroup_size(LANES, ROWS)
fn main(@builtin(local_invocation_id) local: vec3u, @builtin(local_invocation_index) index: u32,
        @builtin(workgroup_id) group: vec3u) {
  let job = jobs[group.x];
  let x = job.x + min(local.y, job.rows - 1u) * job.x_step + local.x;
  for (var r = 0u; r < job.taps; r += TAPS) {
    load_row(0u, job.w + r * LANES, 1u, index);
    let at = x + r * LANES;
    let first = load_m(at);
    let second = load_m(at + LANES);
    let third = load_m(at + 2u * LANES);
    let fourth = load_m(at + 3u * LANES);
    unroll(o, OUTPUTS) { add_terms(o, first, second, third, fourth); }
  }
  if (local.y < job.rows) {
    let by = coefficients;
    let place = local.y * job.out_step + local.x;
    unroll(o, OUTPUTS) { finish(o, job.base + place, job.out + place, by); }
  }
}
