// rows_select: y[j,f] = x[source[j],f], f = 0 .. FEATURES: chosen examples of a batch, brought together.
// x, y: [N/B][FEATURES][B]; source: [N/B][B], positions in x. A workgroup owns ROWS·EACH features of a block; an
// invocation owns EACH features of four images, since where these lie is looked up once.
override FEATURES: u32;
override LANES: u32;
override ROWS: u32;
override EACH: u32;
@group(0) @binding(0) var<quads, read>    x: array<vec4f>;
@group(0) @binding(1) var<storage, read>  source: array<vec4u>;
@group(0) @binding(2) var<quads, write>   y: array<vec4f>;

@compute @workgroup_size(LANES, ROWS)
fn main(@builtin(local_invocation_id) local: vec3u, @builtin(workgroup_id) group: vec3u) {
  let block = 4u * LANES;
  let images = source[group.y * LANES + local.x];
  let at = images / block * FEATURES * LANES + images % block / 4u;
  let part = images % 4u;
  let first = (group.x * ROWS + local.y) * EACH;
  for (var f = first; f < min(first + EACH, FEATURES); f++) {
    let from_quads = at + f * LANES;
    let value = vec4f(load_x(from_quads.x)[part.x], load_x(from_quads.y)[part.y],
                      load_x(from_quads.z)[part.z], load_x(from_quads.w)[part.w]);
    store_y((group.y * FEATURES + f) * LANES + local.x, value);
  }
}
