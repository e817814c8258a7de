//! The curvature of γ and β: of each channel the 2 × 2 block of the Gauss-Newton matrix, and a gradient divided by it.

use super::norm::{BatchNorm, Statistics};
use crate::device::{Buf, Gpu, Quads};
use crate::error::Result;
use crate::kernels::grid::{check_turns, elementwise_grid};
use crate::kernels::jobs::{NormJob, word};
use crate::program::{Dispatch, Shader, shader};

pub(in crate::kernels) const FISHER: Shader = shader!("batch_norm_fisher");
pub(in crate::kernels) const DIVIDE: Shader = shader!("batch_norm_divide");

/// Words of a symmetric 2 × 2 block: γ with γ, γ with β, β with β.
const BLOCK_WORDS: usize = 3;

/// The parameters of one normalisation in a vector, and their blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NormPart {
    /// First word of γ; β follows.
    pub start: usize,
    /// First word of the blocks `[channels][3]`.
    pub factor: usize,
    /// C.
    pub channels: usize,
}

impl NormPart {
    /// Words of its blocks.
    pub fn words(&self) -> usize {
        BLOCK_WORDS * self.channels
    }
}

impl BatchNorm {
    /// Words of the blocks of γ and β.
    pub fn fisher_len(&self) -> usize {
        BLOCK_WORDS * self.shape.channels
    }

    /// f\[c\] ← keep · f\[c\] + scale · Σ over examples of (a², a b, b²), `[C][3]`, a and b being an example's sums of
    /// dy x̂ and of dy over the pixels; dy is zero on padding, and all of it one group. `coefficients` are
    /// \[keep, scale\]; with keep 0 `f` may hold anything.
    ///
    /// # Errors
    /// As [`Dispatch::new`].
    pub fn fisher(
        &self,
        gpu: &Gpu,
        [dy, x]: [&Quads; 2],
        statistics: Statistics<'_>,
        coefficients: &Buf,
        f: &Buf,
    ) -> Result<Dispatch> {
        let blocks = self.blocks(gpu, dy);
        assert!(x.len() == dy.len() && coefficients.len() == 2 && f.len() == self.fisher_len());
        assert!(statistics.group(blocks) >= blocks, "one group");
        self.check(gpu, statistics, blocks);
        check_turns(gpu, FISHER.name, self.example_turns(gpu, blocks))?;
        let mut constants = self.pixel_constants(gpu, self.summed(gpu), gpu.profile.rows);
        constants.extend(self.normal_constants(gpu, statistics));
        let bindings = [
            dy.into(),
            x.into(),
            statistics.words().into(),
            coefficients.into(),
            dy.block_count(gpu, blocks)?.into(),
            f.into(),
        ];
        Dispatch::new(gpu, &FISHER, &constants, &bindings, [self.shape.channels, 1, 1])
    }
}

/// d = (F + λ I)⁻¹ g of each channel of some normalisations, F being its block in `factors` and λ a word on the device;
/// other words of d stay as they are.
///
/// # Errors
/// As [`Dispatch::new`].
pub fn divide(gpu: &Gpu, parts: &[NormPart], factors: &Buf, lambda: &Buf, [g, d]: [&Buf; 2]) -> Result<Dispatch> {
    assert_eq!(g.len(), d.len());
    let fits =
        |part: &NormPart| part.start + 2 * part.channels <= g.len() && part.factor + part.words() <= factors.len();
    assert!(parts.iter().all(fits));
    let job = |part: &NormPart| {
        let [g, f, channels] = [part.start, part.factor, part.channels].map(word);
        NormJob { g, f, channels }
    };
    let jobs: Vec<NormJob> = parts.iter().map(job).collect();
    let most = parts.iter().map(|part| part.channels).max().unwrap_or(1);
    let [groups, _, _] = elementwise_grid(gpu, most);
    let table = gpu.upload("batch_norm.jobs", &jobs)?;
    let bindings = [table.into(), factors.into(), lambda.into(), g.into(), d.into()];
    Dispatch::new(gpu, &DIVIDE, &[], &bindings, [groups, jobs.len(), 1])
}
