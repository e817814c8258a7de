// rows_select: y[j,f] = x[source[j],f], f = 0 .. features, of every job: chosen examples of a batch, brought together.
// x, y: of each job [N/B][features][B], x in one array or the other; source: [N/B][B], positions in x. The workgroups
// along z do a job each. A workgroup owns ROWS·EACH features of a block; an invocation owns EACH features of four
// images, since where these lie is looked up once.
override LANES: u32;
override ROWS: u32;
override EACH: u32;
struct RowsJob { source: u32, target_quad: u32, features: u32, side: u32 }
@group(0) @binding(0) var<storage, read>  jobs: array<RowsJob>;
@group(0) @binding(1) var<quads, read>    even: array<vec4f>;
@group(0) @binding(2) var<quads, read>    odd: array<vec4f>;
@group(0) @binding(3) var<storage, read>  source: array<vec4u>;
@group(0) @binding(4) var<quads, write>   y: array<vec4f>;

@compute @workgroup_size(LANES, ROWS)
fn main(@builtin(local_invocation_id) local: vec3u, @builtin(workgroup_id) group: vec3u) {
  let job = jobs[group.z];
  let block = 4u * LANES;
  let images = source[group.y * LANES + local.x];
  let at = job.source + images / block * job.features * LANES + images % block / 4u;
  let part = images % 4u;
  let first = (group.x * ROWS + local.y) * EACH;
  let target_quad = job.target_quad + group.y * job.features * LANES + local.x;
  for (var f = first; f < min(first + EACH, job.features); f++) {
    let from_quads = at + f * LANES;
    var value: vec4f;
    if (job.side == 0u) {
      value = vec4f(load_even(from_quads.x)[part.x], load_even(from_quads.y)[part.y],
                    load_even(from_quads.z)[part.z], load_even(from_quads.w)[part.w]);
    } else {
      value = vec4f(load_odd(from_quads.x)[part.x], load_odd(from_quads.y)[part.y],
                    load_odd(from_quads.z)[part.z], load_odd(from_quads.w)[part.w]);
    }
    store_y(target_quad + f * LANES, value);
  }
}
