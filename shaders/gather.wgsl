// gather: x[n,f] = (data[index[n] mod EXAMPLES, f] - mean[c]) · inverse_std[c], c the channel of feature f; zero for a
// padded example.
// Indices beyond the examples stand for copies of them, which another kernel changes.
// data: [examples][QUADS] of four words, each of PER_WORD features (four bytes or an f32), from feature FIRST on (a
// page: a data set larger than a binding is split along its features); x: [N/B][FEATURES][B]. An invocation owns four
// words of four images.
override FEATURES: u32;
override PIXELS: u32;  // features of a channel
override FIRST: u32;
override QUADS: u32;
override PER_WORD: u32;
override EXAMPLES: u32;
override LANES: u32;
override ROWS: u32;
@group(0) @binding(0) var<quads, read>    data: array<vec4u>;
@group(0) @binding(1) var<storage, read>  index: array<vec4u>;  // [N/B][B]; 0xffffffff: padding
@group(0) @binding(2) var<quads, read>    channel: array<vec4f>;  // [C] mean, inverse_std, in units of the data
@group(0) @binding(3) var<quads, write>   x: array<vec4f>;

// The next features, a word of each image.
fn unpack(words: vec4u, first: u32, at: u32, present: vec4<bool>) {
  var four = words;
  for (var k = 0u; k < PER_WORD; k++) {
    let feature = first + k;
    if (feature < FEATURES) {
      let by = load_channel(feature / PIXELS);
      let value = select(bitcast<vec4f>(four), vec4f(four & vec4u(255u)), PER_WORD == 4u);
      store_x(at + feature * LANES, select(vec4f(), (value - by.x) * by.y, present));
    }
    four >>= vec4u(8u);
  }
}

@compute @workgroup_size(LANES, ROWS)
fn main(@builtin(local_invocation_id) local: vec3u, @builtin(workgroup_id) group: vec3u) {
  let lane = local.x;
  let quad = group.x * ROWS + local.y;
  let block = group.y;
  if (quad < QUADS) {
    let image = index[block * LANES + lane];
    let present = image != vec4u(0xffffffffu);
    let row = select(vec4u(), image % EXAMPLES, present) * QUADS + quad;
    let a = load_data(row.x);
    let b = load_data(row.y);
    let c = load_data(row.z);
    let d = load_data(row.w);
    let first = FIRST + quad * 4u * PER_WORD;
    let at = block * FEATURES * LANES + lane;
    unpack(vec4u(a.x, b.x, c.x, d.x), first, at, present);
    unpack(vec4u(a.y, b.y, c.y, d.y), first + PER_WORD, at, present);
    unpack(vec4u(a.z, b.z, c.z, d.z), first + 2u * PER_WORD, at, present);
    unpack(vec4u(a.w, b.w, c.w, d.w), first + 3u * PER_WORD, at, present);
  }
}
