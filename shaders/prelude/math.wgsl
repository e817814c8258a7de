// math: elementary functions with a known error, put after the shaders that need them.
// A driver's own exp is off by up to 63 ulp, its log by 5e-3 relative near 1, its tanh by 5e-4 near 0
// (lavapipe, Mesa 22.3).
// Polynomials and argument reduction after Cephes (S. L. Moshier, expf.c, logf.c, tanhf.c), on four lanes.

// e^x within 2 ulp for x in [-87, 88]; clamped outside, so the result is always finite and positive.
fn exp4(x: vec4f) -> vec4f {
  let v = clamp(x, vec4f(-87.0), vec4f(88.0));
  let k = floor(v * 1.44269504 + 0.5);                       // x = k ln 2 + r, |r| <= ln 2 / 2
  let r = (v - k * 0.693359375) + k * 2.12194440e-4;         // ln 2 in two parts, the first exact in 10 bits
  var p = vec4f(1.9875691500e-4);
  p = p * r + 1.3981999507e-3;
  p = p * r + 8.3334519073e-3;
  p = p * r + 4.1665795894e-2;
  p = p * r + 1.6666665459e-1;
  p = p * r + 5.0000001201e-1;
  let e = p * r * r + r + 1.0;
  return e * bitcast<vec4f>(vec4u(vec4i(k) + 127) << vec4u(23u));
}

// ln(1 + m) - m for m in [-0.29, 0.42]: small against m, so that m itself loses no digits.
fn log_remainder4(m: vec4f) -> vec4f {
  let z = m * m;
  var y = vec4f(7.0376836292e-2);
  y = y * m - 1.1514610310e-1;
  y = y * m + 1.1676998740e-1;
  y = y * m - 1.2420140846e-1;
  y = y * m + 1.4249322787e-1;
  y = y * m - 1.6668057665e-1;
  y = y * m + 2.0000714765e-1;
  y = y * m - 2.4999993993e-1;
  y = y * m + 3.3333331174e-1;
  return y * m * z - 0.5 * z;
}

// ln x within 2 ulp for normal x > 0.
fn log4(x: vec4f) -> vec4f {
  let bits = bitcast<vec4u>(x);
  let half = bitcast<vec4f>((bits & vec4u(0x7fffffu)) | vec4u(0x3f000000u));  // mantissa in [1/2, 1)
  let low = half < vec4f(0.70710678);
  let k = vec4f(vec4i((bits >> vec4u(23u)) & vec4u(255u)) - 126) - select(vec4f(), vec4f(1.0), low);
  let m = select(half, half + half, low) - 1.0;              // x = 2^k (1 + m)
  return (m + (log_remainder4(m) - k * 2.12194440e-4)) + k * 0.693359375;
}

// ln(1 + u) for u in [0, 1]; 1 + u would round away the digits of a small u.
fn log1p4(u: vec4f) -> vec4f {
  return select(log4(1.0 + u), u + log_remainder4(u), u < vec4f(0.41));
}

// tanh x = 1 - 2 / (e^2x + 1), by an odd polynomial below 0.625 where that cancels.
fn tanh4(x: vec4f) -> vec4f {
  let a = abs(x);
  let z = x * x;
  var p = vec4f(-5.70498872745e-3);
  p = p * z + 2.06390887954e-2;
  p = p * z - 5.37397155531e-2;
  p = p * z + 1.33314422036e-1;
  p = p * z - 3.33332819422e-1;
  let large = 1.0 - 2.0 / (exp4(min(a + a, vec4f(40.0))) + 1.0);
  return select(sign(x) * large, p * z * x + x, a < vec4f(0.625));
}

// 1 / (1 + e^-x), from the side where e^ does not overflow.
fn sigmoid4(x: vec4f) -> vec4f {
  let e = exp4(-abs(x));
  return select(vec4f(1.0), e, x < vec4f()) / (1.0 + e);
}
