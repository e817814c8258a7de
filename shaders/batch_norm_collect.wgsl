// batch_norm_collect: running[0,c] = keep running[0,c] + scale Σ over groups of the mean of channel c, and running[1,c]
// the same of the variance without bias, variance · n / (n - 1) of n values.
// statistics: as batch_norm_statistics leaves them; running: [2][CHANNELS].
#import normal
override CHANNELS: u32;
@group(0) @binding(0) var<storage, read>        statistics: array<f32>;
@group(0) @binding(1) var<storage, read>        coefficients: vec2f;  // keep, scale
@group(0) @binding(2) var<uniform>              groups: u32;
@group(0) @binding(3) var<storage, read_write>  running: array<f32>;

fn update(at: u32, sum: f32) {
  // with keep = 0 what was there is not read, so that it may hold anything
  running[at] = select(coefficients.x * running[at], 0.0, coefficients.x == 0.0) + coefficients.y * sum;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  for (var channel = id.x; channel < CHANNELS; channel += workgroups.x * 64u) {
    var sums = vec2f();
    for (var g = 0u; g < groups; g++) {
      let n = normal_of(g, channel);
      sums += vec2f(n.pivot + n.mean, n.variance * (n.count / max(n.count - 1.0, 1.0)));
    }
    update(channel, sums.x);
    update(CHANNELS + channel, sums.y);
  }
}
