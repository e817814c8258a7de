//! Sums over the examples of a group: the statistics, what a gradient or a tangent needs of them, running ones.

use super::norm::{BatchNorm, Statistics};
use crate::device::{Buf, Gpu, Quads};
use crate::error::Result;
use crate::kernels::grid::{check_turns, looping_grid, turns};
use crate::program::{Dispatch, Shader, shader};

pub(in crate::kernels) const STATISTICS: Shader = shader!("batch_norm_statistics");
pub(in crate::kernels) const PRODUCTS: Shader = shader!("batch_norm_products");
pub(in crate::kernels) const COLLECT: Shader = shader!("batch_norm_collect");

impl BatchNorm {
    /// Partial sums of x `[N/B][C][H·W][B]`, the first `examples` of which are real, in groups of so many blocks:
    /// `sums` holds [`BatchNorm::statistics_len`].
    ///
    /// # Errors
    /// As [`Dispatch::new`].
    pub fn statistics(
        &self,
        gpu: &Gpu,
        x: &Quads,
        examples: usize,
        group_blocks: usize,
        sums: &Buf,
    ) -> Result<Dispatch> {
        let blocks = examples.div_ceil(gpu.profile.block);
        assert!(examples > 0 && blocks <= self.blocks(gpu, x), "{examples} examples");
        let (pixels, groups) = (self.summed(gpu), blocks.div_ceil(group_blocks));
        assert!(sums.len() >= self.statistics_len(gpu, groups));
        check_turns(gpu, STATISTICS.name, self.sum_turns(gpu, group_blocks.min(blocks)))?;
        let constants = self.pixel_constants(gpu, pixels, gpu.profile.rows);
        let bindings = [x.into(), gpu.uniform(examples)?.into(), gpu.uniform(group_blocks)?.into(), sums.into()];
        Dispatch::new(gpu, &STATISTICS, &constants, &bindings, [self.shape.channels, pixels.parts, groups])
    }

    /// Partial sums of u x̂ and of u over the first `examples`, by group and part: of u = dy those of the gradients to
    /// γ and β, as [`reduce_partials`](crate::kernels::weights::reduce_partials) adds them up; of u = tx what a jvp
    /// needs. `partial` holds [`BatchNorm::partial_len`]; running statistics have one group.
    ///
    /// Where u and x are of examples that were kept of a batch, there is one group, and u is zero on padding.
    ///
    /// # Errors
    /// As [`Dispatch::new`].
    pub fn products(
        &self,
        gpu: &Gpu,
        [u, x]: [&Quads; 2],
        examples: usize,
        statistics: Statistics<'_>,
        partial: &Buf,
    ) -> Result<Dispatch> {
        let blocks = self.blocks(gpu, u);
        assert_eq!(x.len(), u.len());
        self.check(gpu, statistics, blocks);
        let (pixels, group) = (self.summed(gpu), statistics.group(blocks));
        let groups = blocks.div_ceil(group);
        assert_eq!(partial.len(), self.partial_len(gpu, groups));
        check_turns(gpu, PRODUCTS.name, self.sum_turns(gpu, group.min(blocks)))?;
        let mut constants = self.pixel_constants(gpu, pixels, gpu.profile.rows);
        constants.extend(self.normal_constants(gpu, statistics));
        let bindings = [
            u.into(),
            x.into(),
            statistics.words().into(),
            u.block_count(gpu, blocks)?.into(),
            gpu.uniform(examples)?.into(),
            gpu.uniform(group)?.into(),
            partial.into(),
        ];
        Dispatch::new(gpu, &PRODUCTS, &constants, &bindings, [self.shape.channels, pixels.parts, groups])
    }

    /// running ← keep · running + scale · Σ over so many groups of m `[C]` and of v n / (n − 1) `[C]`, v with n values
    /// being biased, which PyTorch's running variance is not. `coefficients` are \[keep, scale\]; with keep 0 `running`
    /// may hold anything.
    ///
    /// # Errors
    /// As [`Dispatch::new`].
    pub fn collect(&self, gpu: &Gpu, sums: &Buf, groups: usize, coefficients: &Buf, running: &Buf) -> Result<Dispatch> {
        let channels = self.shape.channels;
        assert!(sums.len() >= self.statistics_len(gpu, groups) && coefficients.len() == 2);
        assert_eq!(running.len(), 2 * channels);
        let constants = [("CHANNELS", channels), ("PARTS", self.parts(gpu)), ("FIXED", 0)];
        let grid = looping_grid(gpu, &COLLECT, channels, turns(groups, turns(self.parts(gpu), 0)))?;
        let bindings = [sums.into(), coefficients.into(), gpu.uniform(groups)?.into(), running.into()];
        Dispatch::new(gpu, &COLLECT, &constants, &bindings, grid)
    }
}
