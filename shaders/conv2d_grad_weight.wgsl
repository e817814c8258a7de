// conv2d_grad_weight: partial[s,r,co] = Σ_{n in split s, oh, ow} dy[n,co,oh,ow] · patch[n,r,oh,ow],
// patch[r = (ci,kh,kw)] = x[n,ci, oh·STRIDE+kh-PADDING, ow·STRIDE+kw-PADDING], and patch[CI·SIZE·SIZE] = 1, whose row is the bias.
// x: [N/B][CI][H][W][B], dy: [N/B][CO][OH][OW][B], partial: [splits][patches to a multiple of 8][CO to a multiple of 8].
// A dense layer is the case of one pixel. A workgroup owns 8 channels × 8 patch rows of one split; an invocation sums its 4
// images into four mat4x4 (columns: patch rows, rows: channels), 16 vec4 loads for 256 multiply-adds. Lanes are summed in a
// fixed order at the end, the splits by reduce_partials.
override CI: u32;
override CO: u32;
override H: i32;
override W: i32;
override OH: u32;
override OW: u32;
override SIZE: u32;
override STRIDE: i32;
override PADDING: i32;
override LANES: u32;
override ROWS: u32;
@group(0) @binding(0) var<storage, read>       x: array<vec4f>;
@group(0) @binding(1) var<storage, read>       dy: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> partial: array<vec4f>;
var<workgroup> sums: array<vec4f, LANES * ROWS * 16>;

// Row r of the patch matrix at output pixel (oh, ow): where it lies in x, for four rows r at a time.
struct Patches {
  plane: vec4u,      // channel plane
  h: vec4i,          // row and column at output pixel (0, 0)
  w: vec4i,
  real: vec4<bool>,  // r < CI·SIZE·SIZE
  ones: vec4f,       // 1 on the bias row, else 0
}

fn patches(first: u32) -> Patches {
  let r = vec4u(first) + vec4u(0u, 1u, 2u, 3u);
  let rows = CI * SIZE * SIZE;
  let inside = min(r, vec4u(rows - 1u));
  let tap = inside % (SIZE * SIZE);
  return Patches(inside / (SIZE * SIZE) * u32(H * W), vec4i(tap / SIZE) - PADDING, vec4i(tap % SIZE) - PADDING,
                 r < vec4u(rows), select(vec4f(), vec4f(1.0), r == vec4u(rows)));
}

fn value(image: u32, plane: u32, ih: i32, iw: i32, real: bool, one: f32) -> vec4f {
  let at = plane + u32(clamp(ih, 0, H - 1) * W + clamp(iw, 0, W - 1));
  // & and not &&, which is a branch: with eight times four of them in the loop SwiftShader compiles for minutes
  return select(vec4f(one), x[image + at * LANES], real & (ih >= 0) & (ih < H) & (iw >= 0) & (iw < W));
}

// columns: four patch rows, each with its four images
fn values(image: u32, p: Patches, oh: i32, ow: i32) -> mat4x4f {
  let ih = p.h + oh * STRIDE;
  let iw = p.w + ow * STRIDE;
  return mat4x4f(value(image, p.plane.x, ih.x, iw.x, p.real.x, p.ones.x),
                 value(image, p.plane.y, ih.y, iw.y, p.real.y, p.ones.y),
                 value(image, p.plane.z, ih.z, iw.z, p.real.z, p.ones.z),
                 value(image, p.plane.w, ih.w, iw.w, p.real.w, p.ones.w));
}

// columns: four channels (beyond the last: the last, never read), each with its four images
fn gradients(image: u32, channel: u32, at: u32) -> mat4x4f {
  let c = min(vec4u(channel) + vec4u(0u, 1u, 2u, 3u), vec4u(CO - 1u)) * OH * OW + image;
  return mat4x4f(dy[c.x * LANES + at], dy[c.y * LANES + at], dy[c.z * LANES + at], dy[c.w * LANES + at]);
}

fn keep(at: u32, upper: mat4x4f, lower: mat4x4f) {
  for (var r = 0u; r < 4u; r++) {
    sums[at + 2u * r] = upper[r];
    sums[at + 2u * r + 1u] = lower[r];
  }
}

@compute @workgroup_size(LANES, ROWS)
fn main(@builtin(local_invocation_id) local: vec3u, @builtin(local_invocation_index) index: u32,
        @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let lane = local.x;
  let channel = group.x * 8u;
  let left = patches(group.y * 8u);
  let right = patches(group.y * 8u + 4u);
  let blocks = arrayLength(&x) / (CI * u32(H * W) * LANES);

  var a0 = mat4x4f(); var a1 = mat4x4f();  // channels 0..4 × rows 0..4, 4..8
  var b0 = mat4x4f(); var b1 = mat4x4f();  // channels 4..8
  for (var block = group.z * ROWS + local.y; block < blocks; block += groups.z * ROWS) {
    let image = block * CI * u32(H * W) * LANES + lane;
    for (var oh = 0u; oh < OH; oh++) {
      for (var ow = 0u; ow < OW; ow++) {
        let at = (oh * OW + ow) * LANES + lane;
        let da = transpose(gradients(block * CO * OH * OW, channel, at));
        let db = transpose(gradients(block * CO * OH * OW, channel + 4u, at));
        let xl = values(image, left, i32(oh), i32(ow));
        let xr = values(image, right, i32(oh), i32(ow));
        a0 += da * xl; a1 += da * xr;
        b0 += db * xl; b1 += db * xr;
      }
    }
  }
  keep(index * 16u, a0, b0);
  keep(index * 16u + 8u, a1, b1);
  workgroupBarrier();
  for (var k = index; k < 16u; k += LANES * ROWS) {  // k = patch row · 2 + channel quad
    var sum = vec4f();
    for (var i = 0u; i < LANES * ROWS; i++) {
      sum += sums[i * 16u + k];
    }
    let row = (group.z * groups.y + group.y) * 8u + k / 2u;
    partial[(row * groups.x + group.x) * 2u + k % 2u] = sum;
  }
}
