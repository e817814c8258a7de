//! The maps between activations: forward, jvp and gradient to the input.

use super::norm::{ExampleSums, GroupNorm};
use crate::device::{Binding, Buf, Gpu, Quads};
use crate::error::Result;
use crate::kernels::epilogue::{Epilogue, Mask};
use crate::kernels::grid::check_turns;
use crate::program::{Dispatch, Shader, shader};

pub(in crate::kernels) const FORWARD: Shader = shader!("group_norm_forward");
pub(in crate::kernels) const JVP: Shader = shader!("group_norm_jvp");
pub(in crate::kernels) const GRAD_INPUT: Shader = shader!("group_norm_grad_input");

impl GroupNorm {
    /// A map of the blocks of x, which binds `inputs`, their number and `outputs`.
    fn map(
        &self,
        gpu: &Gpu,
        shader: &Shader,
        more: &[(&'static str, usize)],
        (x, room): (&Quads, ExampleSums<'_>),
        [inputs, outputs]: [Vec<Binding>; 2],
    ) -> Result<Dispatch> {
        let (norm, blocks) = (self.channels(), self.blocks(gpu, x));
        self.check(gpu, room, blocks);
        check_turns(gpu, shader.name, self.map_turns(gpu))?;
        let constants: Vec<_> = self.group_constants().into_iter().chain(more.iter().copied()).collect();
        let count = Binding::from(x.block_count(gpu, blocks)?);
        let bindings: Vec<Binding> = inputs.into_iter().chain([count]).chain(outputs).collect();
        norm.over_blocks(gpu, shader, norm.mapped(gpu), &constants, x, &bindings)
    }

    /// y = f(γ x̂ + β), or f(γ x̂ + β + skip), after [`GroupNorm::statistics`] of x; x, skip and y are
    /// `[N/B][C][H·W][B]`.
    ///
    /// # Errors
    /// As [`Dispatch::new`].
    pub fn forward(
        &self,
        gpu: &Gpu,
        [x, y]: [&Quads; 2],
        skip: Option<&Quads>,
        theta: &Buf,
        room: ExampleSums<'_>,
        epilogue: &Epilogue,
    ) -> Result<Dispatch> {
        assert!(x.len() == y.len() && skip.is_none_or(|skip| skip.len() == x.len()));
        assert_eq!(theta.len(), self.weights().len());
        let (derivative, found) = epilogue.outputs(gpu)?;
        let mut constants = vec![("SKIP", usize::from(skip.is_some()))];
        constants.extend(epilogue.constants());
        let mask = Mask::binding(epilogue.mask.as_ref(), x);
        let inputs = vec![x.into(), skip.unwrap_or(x).into(), mask, room.statistics.into(), theta.into()];
        let outputs = vec![y.into(), (&derivative).into(), (&found).into()];
        self.map(gpu, &FORWARD, &constants, (x, room), [inputs, outputs])
    }

    /// ty = mask ⊙ (γ r (tx − E\[tx\] − x̂ E\[x̂ tx\]) + γ' x̂ + β') along tx and `v` = γ', β', after
    /// [`GroupNorm::products`] of tx; the first part is missing without it.
    ///
    /// # Errors
    /// As [`Dispatch::new`].
    pub fn jvp(
        &self,
        gpu: &Gpu,
        [x, ty]: [&Quads; 2],
        [theta, v]: [&Buf; 2],
        tx: Option<&Quads>,
        room: ExampleSums<'_>,
        mask: Option<&Mask>,
    ) -> Result<Dispatch> {
        assert!(x.len() == ty.len() && tx.is_none_or(|tx| tx.len() == x.len()));
        assert!([theta, v].iter().all(|of| of.len() == self.weights().len()));
        let constants = [("INPUT", usize::from(tx.is_some())), Mask::constant(mask)];
        let inputs = vec![
            x.into(),
            tx.unwrap_or(x).into(),
            Mask::binding(mask, x),
            room.statistics.into(),
            room.products.into(),
            theta.into(),
            v.into(),
        ];
        self.map(gpu, &JVP, &constants, (x, room), [inputs, vec![ty.into()]])
    }

    /// dx = mask ⊙ r (γ dy − E\[γ dy\] − x̂ E\[γ dy x̂\]), after [`GroupNorm::products`] of dy.
    ///
    /// # Errors
    /// As [`Dispatch::new`].
    pub fn grad_input(
        &self,
        gpu: &Gpu,
        [dy, x, dx]: [&Quads; 3],
        theta: &Buf,
        room: ExampleSums<'_>,
        mask: Option<&Mask>,
    ) -> Result<Dispatch> {
        assert!(x.len() == dy.len() && dx.len() == dy.len());
        assert_eq!(theta.len(), self.weights().len());
        let inputs = vec![
            dy.into(),
            x.into(),
            Mask::binding(mask, dy),
            room.statistics.into(),
            room.products.into(),
            theta.into(),
        ];
        self.map(gpu, &GRAD_INPUT, &[Mask::constant(mask)], (dy, room), [inputs, vec![dx.into()]])
    }
}
