// How a channel of a group is normalised, x̂ = (x - pivot - mean) scale: by what batch_norm_statistics left, the parts
// added up; or, where FIXED, by means [CHANNELS] and then variances [CHANNELS].
// needs: statistics, CHANNELS

const EPSILON = 1e-5;
override PARTS: u32;   // of the pixels, each with its sums
override FIXED: bool;

struct Normal { pivot: f32, mean: f32, scale: f32, variance: f32, count: f32 }

fn normal_of(group: u32, channel: u32) -> Normal {
  if (FIXED) {
    let variance = statistics[CHANNELS + channel];
    return Normal(0.0, statistics[channel], 1.0 / sqrt(variance + EPSILON), variance, 1.0);
  }
  var sums = vec3f();  // of values, squares and ones
  var pivot = 0.0;
  for (var part = 0u; part < PARTS; part++) {
    let at = 4u * ((group * PARTS + part) * CHANNELS + channel);
    sums += vec3f(statistics[at], statistics[at + 1u], statistics[at + 3u]);
    pivot = statistics[at + 2u];
  }
  let mean = sums.x / sums.z;
  let variance = max(sums.y / sums.z - mean * mean, 0.0);
  return Normal(pivot, mean, 1.0 / sqrt(variance + EPSILON), variance, sums.z);
}

fn normalised(n: Normal, x: vec4f) -> vec4f {
  return (x - n.pivot - n.mean) * n.scale;
}
