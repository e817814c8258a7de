// gather: x[n,f] = (bytes[index[n], f] - mean[c]) · inverse_std[c], c the channel of feature f; zero for a padded example.
// bytes: [examples][WORDS] of four bytes, the features FIRST .. FIRST + 4·WORDS of every example (a page: a data set larger
// than a binding is split along its features); x: [N/B][FEATURES][B]. An invocation owns four images and one word of each.
override FEATURES: u32;
override PIXELS: u32;  // features of a channel
override FIRST: u32;
override WORDS: u32;
override LANES: u32;
override ROWS: u32;
@group(0) @binding(0) var<storage, read>       bytes: array<u32>;
@group(0) @binding(1) var<storage, read>       index: array<vec4u>;       // [N/B][B]; 0xffffffff: padding
@group(0) @binding(2) var<storage, read>       mean: array<f32>;          // [C], in units of a byte
@group(0) @binding(3) var<storage, read>       inverse_std: array<f32>;   // [C]
@group(0) @binding(4) var<storage, read_write> x: array<vec4f>;

@compute @workgroup_size(LANES, ROWS)
fn main(@builtin(local_invocation_id) local: vec3u, @builtin(workgroup_id) group: vec3u) {
  let lane = local.x;
  let word = group.x * ROWS + local.y;
  let block = group.y;
  if (word < WORDS) {
    let image = index[block * LANES + lane];
    let present = image != vec4u(0xffffffffu);
    let row = select(vec4u(), image, present) * WORDS + word;
    var four = vec4u(bytes[row.x], bytes[row.y], bytes[row.z], bytes[row.w]);
    for (var k = 0u; k < 4u; k++) {
      let feature = FIRST + word * 4u + k;
      if (feature < FEATURES) {
        let c = feature / PIXELS;
        let value = (vec4f(four & vec4u(255u)) - mean[c]) * inverse_std[c];
        x[(block * FEATURES + feature) * LANES + lane] = select(vec4f(), value, present);
      }
      four >>= vec4u(8u);
    }
  }
}
