// gather: x[n,f] = (bytes[index[n] mod EXAMPLES, f] - mean[c]) · inverse_std[c], c the channel of feature f; zero for a
// padded example.
// Indices beyond the examples stand for copies of them, which another kernel changes.
// bytes: [examples][SIXTEENS] of sixteen bytes, the features FIRST .. FIRST + 16·SIXTEENS of every example (a page: a
// data set larger than a binding is split along its features); x: [N/B][FEATURES][B]. An invocation owns sixteen
// features of four images.
override FEATURES: u32;
override PIXELS: u32;  // features of a channel
override FIRST: u32;
override SIXTEENS: u32;
override EXAMPLES: u32;
override LANES: u32;
override ROWS: u32;
@group(0) @binding(0) var<quads, read>    bytes: array<vec4u>;
@group(0) @binding(1) var<storage, read>  index: array<vec4u>;  // [N/B][B]; 0xffffffff: padding
@group(0) @binding(2) var<quads, read>    channel: array<vec4f>;  // [C] mean, inverse_std, in units of a byte
@group(0) @binding(3) var<quads, write>   x: array<vec4f>;

// The next four features, a word of each image.
fn unpack(words: vec4u, first: u32, at: u32, present: vec4<bool>) {
  var four = words;
  for (var k = 0u; k < 4u; k++) {
    let feature = first + k;
    if (feature < FEATURES) {
      let by = load_channel(feature / PIXELS);
      let value = (vec4f(four & vec4u(255u)) - by.x) * by.y;
      store_x(at + feature * LANES, select(vec4f(), value, present));
    }
    four >>= vec4u(8u);
  }
}

@compute @workgroup_size(LANES, ROWS)
fn main(@builtin(local_invocation_id) local: vec3u, @builtin(workgroup_id) group: vec3u) {
  let lane = local.x;
  let sixteen = group.x * ROWS + local.y;
  let block = group.y;
  if (sixteen < SIXTEENS) {
    let image = index[block * LANES + lane];
    let present = image != vec4u(0xffffffffu);
    let row = select(vec4u(), image % EXAMPLES, present) * SIXTEENS + sixteen;
    let a = load_bytes(row.x);
    let b = load_bytes(row.y);
    let c = load_bytes(row.z);
    let d = load_bytes(row.w);
    let first = FIRST + sixteen * 16u;
    let at = block * FEATURES * LANES + lane;
    unpack(vec4u(a.x, b.x, c.x, d.x), first, at, present);
    unpack(vec4u(a.y, b.y, c.y, d.y), first + 4u, at, present);
    unpack(vec4u(a.z, b.z, c.z, d.z), first + 8u, at, present);
    unpack(vec4u(a.w, b.w, c.w, d.w), first + 12u, at, present);
  }
}
