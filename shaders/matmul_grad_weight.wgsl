// matmul_grad_weight: partial[s,r,o] = Σ_{n in split s} dy[n,o] · x[n,r]; the row after the last is Σ dy, the bias.
// x: [N/B][INPUTS][B], dy: [N/B][CO][B], partial: [splits][INPUTS and bias, padded][CO, padded].
// A workgroup owns QUADS·4 outputs × LINES lines of TAPS inputs of one split of the batch blocks; an invocation sums 4
// images of PIXELS blocks a step (see outer_tile). reduce_partials sums the splits.
#import outer_tile
override INPUTS: u32;
override CO: u32;
override LANES: u32;
override ROWS: u32;
@group(0) @binding(0) var<quads, read>          x: array<vec4f>;
@group(0) @binding(1) var<quads, read>          dy: array<vec4f>;
@group(0) @binding(2) var<uniform>              blocks: u32;
@group(0) @binding(3) var<storage, read_write>  partial: array<vec4f>;
const PARTIAL_MULTIPLE = 8u;  // rows and columns of partial are padded to multiples of this

fn gradient(block: u32, output: u32, lane: u32) -> vec4f {
  let at = (min(block, blocks - 1u) * CO + min(output, CO - 1u)) * LANES + lane;
  return select(vec4f(), load_dy(at), block < blocks);
}

fn fetch_gradients(pixel: u32, quad: u32, first: u32, output: u32, lane: u32) {
  let block = first + pixel;
  let o = output + quad * 4u;
  set_gradients(pixel, quad, gradient(block, o, lane), gradient(block, o + 1u, lane),
                gradient(block, o + 2u, lane), gradient(block, o + 3u, lane));
}

fn fetch_block(pixel: u32, first: u32, output: u32, lane: u32) {
  unroll(q, QUADS) { fetch_gradients(pixel, q, first, output, lane); }
}

fn fetch(i: u32, first: u32, input: u32, lane: u32) {
  window[i] = load_x((min(first + i / TAPS, blocks - 1u) * INPUTS + min(input + i % TAPS, INPUTS - 1u)) * LANES + lane);
}

fn sum_line(line: u32, first: u32, input: u32, lane: u32) {
  unroll(i, SPAN) { fetch(i, first, input + line * TAPS, lane); }
  add_line(line);
}

@compute @workgroup_size(LANES, ROWS)
fn main(@builtin(local_invocation_id) local: vec3u, @builtin(local_invocation_index) index: u32,
        @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let output = group.x * QUADS * 4u;
  let input = group.y * LINES * TAPS;
  for (var first = (group.z * ROWS + local.y) * PIXELS; first < blocks; first += groups.z * ROWS * PIXELS) {
    unroll(t, PIXELS) { fetch_block(t, first, output, local.x); }
    unroll(l, LINES) { sum_line(l, first, input, local.x); }
  }
  let padded = (INPUTS + PARTIAL_MULTIPLE) / PARTIAL_MULTIPLE * PARTIAL_MULTIPLE;
  let stride = (CO + PARTIAL_MULTIPLE - 1u) / PARTIAL_MULTIPLE * (PARTIAL_MULTIPLE / 4u);
  write_tile(Target(group.z * padded * stride, input, INPUTS, stride, output / 4u, index));
}
