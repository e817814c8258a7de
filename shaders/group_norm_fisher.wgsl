// group_norm_fisher: f[c] = keep f[c] + scale Σ over examples of (a², a b, b²), a and b an example's sums of dy x̂ and
// of dy over the pixels: the blocks of γ and β in a Gauss-Newton matrix.
// products: what group_norm_products left of dy, zero on padding; f: [CHANNELS][3]. A workgroup does a channel.
#import group_products
#import total
override CHANNELS: u32;
override LANES: u32;
override ROWS: u32;
@group(0) @binding(0) var<storage, read>        products: array<vec4f>;
@group(0) @binding(1) var<storage, read>        coefficients: vec2f;  // keep, scale
@group(0) @binding(2) var<uniform>              blocks: u32;
@group(0) @binding(3) var<storage, read_write>  f: array<f32>;

fn update(at: u32, sum: f32) {
  // with keep = 0 what was there is not read, so that it may hold anything
  f[at] = select(coefficients.x * f[at], 0.0, coefficients.x == 0.0) + coefficients.y * sum;
}

@compute @workgroup_size(LANES, ROWS)
fn main(@builtin(local_invocation_id) local: vec3u, @builtin(local_invocation_index) index: u32,
        @builtin(workgroup_id) group: vec3u) {
  let channel = group.x;
  var all = vec3f();
  for (var block = local.y; block < blocks; block += ROWS) {
    let of_block = products_of(block, channel, local.x);
    let a = of_block.with_x;
    let b = of_block.alone;
    all += vec3f(dot(a, a), dot(a, b), dot(b, b));
  }
  let sum = total(vec4f(all, 0.0), index);
  if (index == 0u) {
    update(3u * channel, sum.x);
    update(3u * channel + 1u, sum.y);
    update(3u * channel + 2u, sum.z);
  }
}
