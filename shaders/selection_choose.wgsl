// selection_choose: of the examples n of a batch with scores s, which are kept: n with probability P = min(1, s/τ), its
// weight divided by P, where τ minimises the variance of the sum over the kept ones times its cost:
// τ² = ⅔ mean(s²/P) / (⅓ + ⅔ mean P), found in so many ITERATIONS from the τ that is given, which is 0 for the first.
// score, index, label, weight: [padded]; draw: key, step, count, τ; chosen: [5][STRIDE] position, index, label, weight
// and 1/P of the kept ones in order, then padding; kept: how many, and their blocks. One workgroup.
#import philox
override STRIDE: u32;
override BLOCK: u32;
override WIDTH: u32;
override ITERATIONS: u32;
@group(0) @binding(0) var<storage, read>       score: array<f32>;
@group(0) @binding(1) var<storage, read>       index: array<u32>;
@group(0) @binding(2) var<storage, read>       label: array<u32>;
@group(0) @binding(3) var<storage, read>       weight: array<f32>;
@group(0) @binding(4) var<storage, read>       draw: array<u32, 5>;
@group(0) @binding(5) var<storage, read_write> chosen: array<u32>;
@group(0) @binding(6) var<storage, read_write> kept: u32;
@group(0) @binding(7) var<storage, read_write> blocks: u32;
var<workgroup> sums: array<vec2f, WIDTH>;
var<workgroup> counts: array<u32, WIDTH>;

fn is_kept(n: u32, tau: f32) -> bool {
  let key = vec2u(draw[0], draw[1]);
  return (n < draw[3]) & (unit(philox(vec4u(index[n], draw[2], 0u, 0u), key).x) * tau < score[n]);
}

@compute @workgroup_size(WIDTH)
fn main(@builtin(local_invocation_index) lane: u32) {
  let count = draw[3];
  var tau = bitcast<f32>(draw[4]);
  for (var iteration = 0u; iteration < ITERATIONS; iteration++) {
    var sum = vec2f();  // of s²/P and of P; with τ = 0 every P is 1
    for (var n = lane; n < count; n += WIDTH) {
      let s = score[n];
      sum += vec2f(s * max(s, tau), select(s / max(s, tau), 1.0, tau == 0.0));
    }
    sums[lane] = sum;
    workgroupBarrier();
    var total = vec2f();
    for (var i = 0u; i < WIDTH; i++) { total += sums[i]; }
    tau = sqrt(2.0 * total.x / (f32(count) + 2.0 * total.y));
    workgroupBarrier();  // all have read the sums
  }
  // invocations own neighbours, so that what is kept stays in order
  let padded = arrayLength(&score);
  let share = (padded + WIDTH - 1u) / WIDTH;
  let end = min((lane + 1u) * share, padded);
  var mine = 0u;
  for (var n = lane * share; n < end; n++) { mine += u32(is_kept(n, tau)); }
  counts[lane] = mine;
  workgroupBarrier();
  var at = 0u;
  var total = 0u;
  for (var i = 0u; i < WIDTH; i++) {
    at += select(0u, counts[i], i < lane);
    total += counts[i];
  }
  for (var n = lane * share; n < end; n++) {
    if (is_kept(n, tau)) {
      chosen[at] = n;
      chosen[STRIDE + at] = index[n];
      chosen[2u * STRIDE + at] = label[n];
      let inverse = max(1.0, tau / score[n]);
      chosen[3u * STRIDE + at] = bitcast<u32>(weight[n] * inverse);
      chosen[4u * STRIDE + at] = bitcast<u32>(inverse);
      at++;
    }
  }
  for (var j = total + lane; j < padded; j += WIDTH) {
    chosen[j] = 0u;
    chosen[STRIDE + j] = 0xffffffffu;
    chosen[2u * STRIDE + j] = 0u;
    chosen[3u * STRIDE + j] = 0u;
    chosen[4u * STRIDE + j] = 0u;
  }
  if (lane == 0u) {
    kept = total;
    blocks = (total + BLOCK - 1u) / BLOCK;
  }
}
