//! The maps between activations: forward, jvp and gradient to the input.

use super::norm::{BatchNorm, Statistics};
use crate::device::{Binding, Buf, Gpu, Quads};
use crate::error::Result;
use crate::kernels::epilogue::{Epilogue, Mask};
use crate::kernels::grid::check_turns;
use crate::program::{Dispatch, Shader, shader};

pub(in crate::kernels) const FORWARD: Shader = shader!("batch_norm_forward");
pub(in crate::kernels) const JVP: Shader = shader!("batch_norm_jvp");
pub(in crate::kernels) const GRAD_INPUT: Shader = shader!("batch_norm_grad_input");

/// What a map reads, its numbers left out, and what it writes.
struct Bindings<const I: usize, const O: usize> {
    inputs: [Binding; I],
    outputs: [Binding; O],
}

impl BatchNorm {
    /// A map of the blocks of x, normalised by `statistics`.
    fn map<const I: usize, const O: usize>(
        &self,
        gpu: &Gpu,
        shader: &Shader,
        more: &[(&'static str, usize)],
        (x, statistics): (&Quads, Statistics<'_>),
        bound: Bindings<I, O>,
    ) -> Result<Dispatch> {
        let blocks = self.blocks(gpu, x);
        self.check(gpu, statistics, blocks);
        check_turns(gpu, shader.name, self.map_turns(gpu))?;
        let constants: Vec<_> =
            self.normal_constants(gpu, statistics).into_iter().chain(more.iter().copied()).collect();
        let numbers = [x.block_count(gpu, blocks)?, gpu.uniform(statistics.group(blocks))?];
        let bindings: Vec<Binding> =
            bound.inputs.into_iter().chain(numbers.map(Binding::from)).chain(bound.outputs).collect();
        self.over_blocks(gpu, shader, self.mapped(gpu), &constants, x, &bindings)
    }

    /// y = f(γ x̂ + β), or f(γ x̂ + β + skip); x, y and skip are `[N/B][C][H·W][B]`.
    ///
    /// # Errors
    /// As [`Dispatch::new`].
    pub fn forward(
        &self,
        gpu: &Gpu,
        [x, y]: [&Quads; 2],
        skip: Option<&Quads>,
        theta: &Buf,
        statistics: Statistics<'_>,
        epilogue: &Epilogue,
    ) -> Result<Dispatch> {
        assert!(x.len() == y.len() && skip.is_none_or(|skip| skip.len() == x.len()));
        assert_eq!(theta.len(), self.weights().len());
        let (derivative, found) = epilogue.outputs(gpu)?;
        let mut constants = vec![("SKIP", usize::from(skip.is_some()))];
        constants.extend(epilogue.constants());
        let mask = Mask::binding(epilogue.mask.as_ref(), x);
        let inputs = [x.into(), skip.unwrap_or(x).into(), mask, statistics.words().into(), theta.into()];
        let outputs = [y.into(), (&derivative).into(), (&found).into()];
        self.map(gpu, &FORWARD, &constants, (x, statistics), Bindings { inputs, outputs })
    }

    /// ty = mask ⊙ (γ r (tx − E\[tx\] − x̂ E\[x̂ tx\]) + γ' x̂ + β') along tx and `v` = γ', β'; the first part is
    /// missing without tx, and its means with running statistics. tx comes with the sums that [`BatchNorm::products`]
    /// left of it, of which running statistics need none.
    ///
    /// # Errors
    /// As [`Dispatch::new`].
    pub fn jvp(
        &self,
        gpu: &Gpu,
        [x, ty]: [&Quads; 2],
        [theta, v]: [&Buf; 2],
        tx: Option<(&Quads, Option<&Buf>)>,
        statistics: Statistics<'_>,
        mask: Option<&Mask>,
    ) -> Result<Dispatch> {
        assert!(x.len() == ty.len() && tx.is_none_or(|(tx, _)| tx.len() == x.len()));
        assert!([theta, v].iter().all(|of| of.len() == self.weights().len()));
        let partial = tx.and_then(|(_, partial)| partial);
        assert!(tx.is_none() || statistics.are_fixed() || partial.is_some(), "the sums of tx are missing");
        let (_, unused) = gpu.placeholder()?;
        let constants = [("INPUT", usize::from(tx.is_some())), Mask::constant(mask)];
        let inputs = [
            x.into(),
            tx.map_or(x, |(tx, _)| tx).into(),
            Mask::binding(mask, x),
            statistics.words().into(),
            partial.unwrap_or(&unused).into(),
            theta.into(),
            v.into(),
        ];
        self.map(gpu, &JVP, &constants, (x, statistics), Bindings { inputs, outputs: [ty.into()] })
    }

    /// dx = mask ⊙ γ r (dy − w (c + x̂ e)), c and e being the sums of dy and of dy x̂ over the group, divided by the
    /// number of values that its statistics are of; dx = mask ⊙ γ r dy with running statistics. `means` are what
    /// [`BatchNorm::products`] left of dy, and w `[N/B][B]`: 1, 0 on padding; running statistics need none.
    ///
    /// Of the examples kept of a batch ([`selection`](crate::kernels::selection)), w is
    /// [`Kept::inverse`](crate::kernels::selection::Kept::inverse), which dy has as a factor; the statistics are those
    /// of the whole batch, one group. The mean of dx over the draws is then the gradient of all, but for terms of the
    /// order of 1/N.
    ///
    /// # Errors
    /// As [`Dispatch::new`].
    pub fn grad_input(
        &self,
        gpu: &Gpu,
        [dy, x, dx]: [&Quads; 3],
        theta: &Buf,
        statistics: Statistics<'_>,
        means: Option<[&Buf; 2]>,
        mask: Option<&Mask>,
    ) -> Result<Dispatch> {
        assert!(x.len() == dy.len() && dx.len() == dy.len());
        assert_eq!(theta.len(), self.weights().len());
        let blocks = self.blocks(gpu, dy);
        if let Some([partial, share]) = means {
            let groups = blocks.div_ceil(statistics.group(blocks));
            assert_eq!([partial.len(), share.len()], [self.partial_len(gpu, groups), blocks * gpu.profile.block]);
        }
        assert!(statistics.are_fixed() || means.is_some(), "the sums of dy are missing");
        let (_, unused) = gpu.placeholder()?;
        let [partial, share] = means.unwrap_or([&unused; 2]);
        let inputs = [
            dy.into(),
            x.into(),
            Mask::binding(mask, dy),
            statistics.words().into(),
            partial.into(),
            theta.into(),
            share.into(),
        ];
        let bound = Bindings { inputs, outputs: [dx.into()] };
        self.map(gpu, &GRAD_INPUT, &[Mask::constant(mask)], (dy, statistics), bound)
    }
}
