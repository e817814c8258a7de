// How the groups of an example are normalised, x̂ = (x - pivot - mean) scale, four examples a vec4: by what
// group_norm_statistics left, normals [N/B][GROUPS][3][B].
// needs: normals, LANES

override GROUPS: u32;
override GROUP_CHANNELS: u32;  // of each group

struct Normal { pivot: vec4f, mean: vec4f, scale: vec4f }

fn normal_of(block: u32, channel: u32, lane: u32) -> Normal {
  let at = (block * GROUPS + channel / GROUP_CHANNELS) * 3u * LANES + lane;
  return Normal(normals[at], normals[at + LANES], normals[at + 2u * LANES]);
}

fn normalised(n: Normal, x: vec4f) -> vec4f {
  return (x - n.pivot - n.mean) * n.scale;
}
