// What the softmax of four images is compared with at class m: 1 for the label's, else 0; where SMOOTHS,
// (1 - s) onehot + s / CLASSES with s = smoothing.
// needs: label, smoothing, CLASSES
override SMOOTHS: bool;

fn target_of(i: u32, m: u32) -> vec4f {
  let onehot = select(vec4f(), vec4f(1.0), label[i] == vec4u(m));
  if (SMOOTHS) {
    return (1.0 - smoothing) * onehot + smoothing / f32(CLASSES);
  }
  return onehot;
}
