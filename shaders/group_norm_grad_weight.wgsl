// group_norm_grad_weight: partial[s,0,c] = Σ of dy x̂ and partial[s,1,c] = Σ of dy over the examples of part s: partial
// sums of the gradients to γ and β, which reduce_partials adds up.
// products: what group_norm_products left of dy, zero on padding; partial: [parts][2, padded][CHANNELS, padded]. A
// workgroup does a channel of a part of the blocks.
#import group_products
#import total
override CHANNELS: u32;
override LANES: u32;
override ROWS: u32;
@group(0) @binding(0) var<storage, read>        products: array<vec4f>;
@group(0) @binding(1) var<uniform>              blocks: u32;
@group(0) @binding(2) var<storage, read_write>  partial: array<f32>;
const PARTIAL_MULTIPLE = 8u;  // rows and columns of partial are padded to multiples of this

@compute @workgroup_size(LANES, ROWS)
fn main(@builtin(local_invocation_id) local: vec3u, @builtin(local_invocation_index) index: u32,
        @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let channel = group.x;
  let share = (blocks + groups.y - 1u) / groups.y;
  let end = min(group.y * share + share, blocks);
  var all = Products();
  for (var block = group.y * share + local.y; block < end; block += ROWS) {
    let of_block = products_of(block, channel, local.x);
    all = Products(all.with_x + of_block.with_x, all.alone + of_block.alone);
  }
  let ones = vec4f(1.0);
  let sum = total(vec4f(dot(all.with_x, ones), dot(all.alone, ones), 0.0, 0.0), index);
  if (index == 0u) {
    let stride = (CHANNELS + PARTIAL_MULTIPLE - 1u) / PARTIAL_MULTIPLE * PARTIAL_MULTIPLE;
    let at = group.y * PARTIAL_MULTIPLE * stride + channel;
    partial[at] = sum.x;
    partial[at + stride] = sum.y;
  }
}
