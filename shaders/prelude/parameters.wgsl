// Word i of a layer's part of a parameter vector, [OUTPUTS][PATCHES] weights and then [OUTPUTS] biases, row PATCHES.
// needs: OUTPUTS, PATCHES

struct Place { output: u32, row: u32 }

fn place_of(i: u32) -> Place {
  let is_weight = i < OUTPUTS * PATCHES;
  return Place(select(i - OUTPUTS * PATCHES, i / PATCHES, is_weight), select(PATCHES, i % PATCHES, is_weight));
}
