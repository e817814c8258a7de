// live_grids: grid[k] = asked[k] with ⌈blocks / per⌉ on one side: indirect dispatches that follow a count of blocks.
// asked: [grids][2] vec4 (x, y, z, side), (per, ...); arguments: [grids][64] words, of which three are a grid.
@group(0) @binding(0) var<storage, read>       blocks: u32;
@group(0) @binding(1) var<storage, read>       asked: array<vec4u>;
@group(0) @binding(2) var<storage, read_write> arguments: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let k = id.x;
  if (2u * k < arrayLength(&asked)) {
    let most = asked[2u * k];
    let per = asked[2u * k + 1u].x;
    for (var side = 0u; side < 3u; side++) {
      arguments[64u * k + side] = select(most[side], (blocks + per - 1u) / per, side == most.w);
    }
  }
}
