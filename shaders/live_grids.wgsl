// live_grids: grid k = that of job k with ⌈blocks / per⌉ on one side: indirect dispatches that follow a count of
// blocks.
// arguments: [grids][ALIGNMENT] words, of which three are a grid.
const ALIGNMENT = 64u;
struct GridJob { x: u32, y: u32, z: u32, side: u32, per: u32 }
@group(0) @binding(0) var<storage, read>       blocks: u32;
@group(0) @binding(1) var<storage, read>       jobs: array<GridJob>;
@group(0) @binding(2) var<storage, read_write> arguments: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let k = id.x;
  if (k < arrayLength(&jobs)) {
    let job = jobs[k];
    let most = vec3u(job.x, job.y, job.z);
    for (var side = 0u; side < 3u; side++) {
      arguments[ALIGNMENT * k + side] = select(most[side], (blocks + job.per - 1u) / job.per, side == job.side);
    }
  }
}
