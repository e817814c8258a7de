// The window of a line of patches, as a weight gradient meets it: the columns of x under the taps of PIXELS neighbours.
// needs: load_x, LANES, TAPS, window

override W: u32;
override STRIDE: u32;
override IS_PADDED: bool;  // a window may lie outside the image

fn fetch(i: u32, row: u32, inside: bool, left: i32, lane: u32) {
  // windows of neighbours overlap where the stride is small; else column i is tap i mod TAPS of pixel i / TAPS
  let col = left + i32(select(i, i / TAPS * STRIDE + i % TAPS, STRIDE > TAPS));
  if (IS_PADDED) {
    let value = load_x((row + u32(clamp(col, 0, i32(W) - 1))) * LANES + lane);
    window[i] = select(vec4f(), value, inside & (col >= 0) & (col < i32(W)));
  } else {
    window[i] = load_x((row + u32(col)) * LANES + lane);
  }
}
