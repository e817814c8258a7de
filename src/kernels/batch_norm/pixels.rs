//! How the pixels of a channel are shared out among workgroups and among the invocations of one.

use super::norm::BatchNorm;
use crate::device::{Binding, Gpu, Quads, Variant};
use crate::error::Result;
use crate::kernels::grid::turns;
use crate::program::{Dispatch, Shader};

/// Parts of a sum, at most: whoever needs it adds them up.
const MOST_PARTS: usize = 16;

/// vec4 that an invocation of a map goes through, at least, where there are so many: what a channel is normalised by is
/// added up once for all of them. Lavapipe takes half a microsecond to start eight invocations.
const ITEMS: usize = 16;
const SOFTWARE_ITEMS: usize = 256;

/// Parts of the pixels of a channel, in steps of `each` neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::kernels) struct Pixels {
    /// Pixels of a step, a divisor of how many there are.
    pub each: usize,
    /// Steps of a part.
    steps: usize,
    pub parts: usize,
    /// Rows of invocations that share a part, a power of two; the others of a workgroup take other blocks.
    rows: usize,
}

/// vec4 that a workgroup of a map goes through, at least.
fn items(gpu: &Gpu) -> usize {
    let items = if gpu.profile.variant == Variant::Software { SOFTWARE_ITEMS } else { ITEMS };
    items * gpu.profile.rows
}

impl BatchNorm {
    /// Pixels of a step: as many as there are without a remainder, up to 8, or 4 on GPUs, where invocations are many.
    fn each(&self, gpu: &Gpu) -> usize {
        let most = if gpu.profile.variant == Variant::Software { 8 } else { 4 };
        (1..=most).rev().find(|&each| self.shape.pixels().is_multiple_of(each)).unwrap_or(1)
    }

    /// Parts of so many steps at least.
    fn pixels(&self, gpu: &Gpu, least: usize) -> Pixels {
        let each = self.each(gpu);
        let all = self.shape.pixels() / each;
        let parts = all.div_ceil(least.max(gpu.profile.rows).min(all));
        let steps = all.div_ceil(parts);
        let rows = gpu.profile.rows.min(1 << steps.ilog2());
        Pixels { each, steps, parts: all.div_ceil(steps), rows }
    }

    /// Of a sum: a workgroup has a part of all blocks of a group.
    pub(super) fn summed(&self, gpu: &Gpu) -> Pixels {
        let wanted = gpu.profile.workgroups.div_ceil(self.shape.channels).min(MOST_PARTS);
        self.pixels(gpu, (self.shape.pixels() / self.each(gpu)).div_ceil(wanted))
    }

    /// Of a map, and the blocks that a workgroup has a part of.
    pub(in crate::kernels) fn mapped(&self, gpu: &Gpu) -> (Pixels, usize) {
        self.sliced(gpu, items(gpu) / self.each(gpu))
    }

    /// Of sums over all pixels of each example, and the blocks that a workgroup does.
    pub(in crate::kernels) fn by_example(&self, gpu: &Gpu) -> (Pixels, usize) {
        self.sliced(gpu, self.shape.pixels())
    }

    fn sliced(&self, gpu: &Gpu, least: usize) -> (Pixels, usize) {
        let pixels = self.pixels(gpu, least);
        (pixels, (items(gpu) / (pixels.each * pixels.steps)).max(1))
    }

    /// A kernel that goes through the blocks of x so; what it is specialised to `more` is not of its pixels.
    ///
    /// # Errors
    /// As [`Dispatch::new`].
    pub(in crate::kernels) fn over_blocks(
        &self,
        gpu: &Gpu,
        shader: &Shader,
        (pixels, slice): (Pixels, usize),
        more: &[(&'static str, usize)],
        x: &Quads,
        bindings: &[Binding],
    ) -> Result<Dispatch> {
        let mut constants = self.pixel_constants(gpu, pixels, gpu.profile.rows);
        constants.push(("SLICE", slice));
        constants.extend(more);
        let slices = self.blocks(gpu, x).div_ceil(slice);
        let grid = x.grid(gpu, [self.shape.channels, pixels.parts, slices], 2, slice)?;
        Dispatch::new(gpu, shader, &constants, bindings, grid)
    }

    /// What the prelude `pixels` is specialised to, for workgroups of so many rows.
    pub(in crate::kernels) fn pixel_constants(
        &self,
        gpu: &Gpu,
        pixels: Pixels,
        rows: usize,
    ) -> Vec<(&'static str, usize)> {
        vec![
            ("CHANNELS", self.shape.channels),
            ("PIXELS", self.shape.pixels()),
            ("PART_PIXELS", pixels.steps * pixels.each),
            ("EACH", pixels.each),
            ("PIXEL_ROWS", pixels.rows),
            ("LANES", gpu.profile.lanes()),
            ("ROWS", rows),
        ]
    }

    /// Turns of the loops that add up what values are normalised by, and of those that add up a workgroup's sums.
    fn small_turns(&self, gpu: &Gpu) -> usize {
        2 * turns(self.parts(gpu), 0) + turns(gpu.profile.invocations().ilog2() as usize, 0)
    }

    /// Turns of a sum over a group of so many blocks.
    pub(super) fn sum_turns(&self, gpu: &Gpu, blocks: usize) -> usize {
        let pixels = self.summed(gpu);
        let of_block = turns(pixels.steps.div_ceil(pixels.rows), 0);
        turns(blocks.div_ceil(gpu.profile.rows / pixels.rows), of_block) + self.small_turns(gpu)
    }

    /// Turns of a map, at most: where each block is a group.
    pub(in crate::kernels) fn map_turns(&self, gpu: &Gpu) -> usize {
        self.turns_of(gpu, self.mapped(gpu))
    }

    /// Turns of a kernel over a part of the pixels of some blocks.
    pub(in crate::kernels) fn turns_of(&self, gpu: &Gpu, (pixels, slice): (Pixels, usize)) -> usize {
        let of_block = turns(1, turns(pixels.steps.div_ceil(pixels.rows), 0));
        turns(slice, of_block + self.small_turns(gpu))
    }

    /// Turns of the sums of each example of so many blocks.
    pub(super) fn example_turns(&self, gpu: &Gpu, blocks: usize) -> usize {
        let of_block = turns(self.shape.pixels() / self.each(gpu), 0);
        turns(blocks.div_ceil(gpu.profile.rows), of_block) + self.small_turns(gpu)
    }

    /// Turns of all loops of an invocation, at most, with groups of so many blocks.
    pub fn turns(&self, gpu: &Gpu, blocks: usize) -> usize {
        self.sum_turns(gpu, blocks).max(self.map_turns(gpu)).max(self.example_turns(gpu, blocks))
    }
}
