//! Sums over the values of an example, and of these over examples.

use super::norm::{ExampleSums, GroupNorm, example_turns};
use crate::device::{Buf, Gpu, Quads};
use crate::error::Result;
use crate::kernels::grid::check_turns;
use crate::program::{Dispatch, Shader, shader};

pub(in crate::kernels) const STATISTICS: Shader = shader!("group_norm_statistics");
pub(in crate::kernels) const PRODUCTS: Shader = shader!("group_norm_products");
pub(in crate::kernels) const GRAD_WEIGHT: Shader = shader!("group_norm_grad_weight");
pub(in crate::kernels) const FISHER: Shader = shader!("group_norm_fisher");

impl GroupNorm {
    /// Mean and scale of each group of each example of x `[N/B][C][H·W][B]`.
    ///
    /// # Errors
    /// As [`Dispatch::new`].
    pub fn statistics(&self, gpu: &Gpu, x: &Quads, room: ExampleSums<'_>) -> Result<Dispatch> {
        let (norm, blocks) = (self.all_of_group(), self.blocks(gpu, x));
        self.check(gpu, room, blocks);
        check_turns(gpu, STATISTICS.name, example_turns(gpu, norm))?;
        let bindings = [x.into(), x.block_count(gpu, blocks)?.into(), room.statistics.into()];
        norm.over_blocks(gpu, &STATISTICS, norm.by_example(gpu), &[], x, &bindings)
    }

    /// Σ u x̂ and Σ u of each channel of each example, after [`GroupNorm::statistics`] of x: of a tangent what
    /// [`GroupNorm::jvp`] needs, of a cotangent what [`GroupNorm::grad_input`] does.
    ///
    /// # Errors
    /// As [`Dispatch::new`].
    pub fn products(&self, gpu: &Gpu, [u, x]: [&Quads; 2], room: ExampleSums<'_>) -> Result<Dispatch> {
        assert_eq!(u.len(), x.len());
        let (norm, blocks) = (self.channels(), self.blocks(gpu, x));
        self.check(gpu, room, blocks);
        check_turns(gpu, PRODUCTS.name, example_turns(gpu, norm))?;
        let count = u.block_count(gpu, blocks)?;
        let bindings = [u.into(), x.into(), room.statistics.into(), count.into(), room.products.into()];
        norm.over_blocks(gpu, &PRODUCTS, norm.by_example(gpu), &self.group_constants(), u, &bindings)
    }

    /// Parts into which a gradient over so many blocks is split.
    pub fn splits(&self, gpu: &Gpu, blocks: usize) -> usize {
        self.weights().splits(gpu, self.shape.channels, blocks)
    }

    /// The gradients to γ and β in as many partial sums as `partial` holds, after [`GroupNorm::products`] of `dy`,
    /// which is zero on padding.
    ///
    /// # Errors
    /// As [`Dispatch::new`].
    pub fn grad_weight(&self, gpu: &Gpu, dy: &Quads, room: ExampleSums<'_>, partial: &Buf) -> Result<Dispatch> {
        let blocks = self.blocks(gpu, dy);
        self.check(gpu, room, blocks);
        let splits = partial.len() / self.weights().partial_len();
        check_turns(gpu, GRAD_WEIGHT.name, self.sum_turns(gpu, blocks.div_ceil(splits)))?;
        let bindings = [room.products.into(), dy.block_count(gpu, blocks)?.into(), partial.into()];
        Dispatch::new(gpu, &GRAD_WEIGHT, &self.sum_constants(gpu), &bindings, [self.shape.channels, splits, 1])
    }

    /// f\[c\] ← keep · f\[c\] + scale · Σ over examples of (a², a b, b²), `[C][3]`, a and b being an example's sums of
    /// dy x̂ and of dy, after [`GroupNorm::products`] of `dy`, which is zero on padding. `coefficients` are
    /// \[keep, scale\]; with keep 0 `f` may hold anything.
    ///
    /// # Errors
    /// As [`Dispatch::new`].
    pub fn fisher(
        &self,
        gpu: &Gpu,
        dy: &Quads,
        room: ExampleSums<'_>,
        coefficients: &Buf,
        f: &Buf,
    ) -> Result<Dispatch> {
        assert!(coefficients.len() == 2 && f.len() == self.fisher_len());
        let blocks = self.blocks(gpu, dy);
        self.check(gpu, room, blocks);
        check_turns(gpu, FISHER.name, self.sum_turns(gpu, blocks))?;
        let count = dy.block_count(gpu, blocks)?;
        let bindings = [room.products.into(), coefficients.into(), count.into(), f.into()];
        Dispatch::new(gpu, &FISHER, &self.sum_constants(gpu), &bindings, [self.shape.channels, 1, 1])
    }

    fn sum_constants(&self, gpu: &Gpu) -> [(&'static str, usize); 3] {
        [("CHANNELS", self.shape.channels), ("LANES", gpu.profile.lanes()), ("ROWS", gpu.profile.rows)]
    }
}
