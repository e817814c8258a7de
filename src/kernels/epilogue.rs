//! What a product does with each value before it is stored, so that no pass over the values is spent on it.

use super::activation::Activation;
use crate::device::{Binding, Buf, Gpu, Quads};
use crate::error::Result;
use crate::program::KIND;

/// The derivative of an activation at every value of a tensor.
#[derive(Clone, Debug)]
pub struct Mask {
    /// f'(z) itself; or, for the ReLU, its output, which is positive where the derivative is 1.
    pub values: Quads,
    /// Whether `values` are the ReLU's output.
    pub is_relu: bool,
}

impl Mask {
    /// The override constant.
    pub(super) fn constant(mask: Option<&Self>) -> (&'static str, usize) {
        ("MASK", mask.map_or(0, |mask| if mask.is_relu { 1 } else { 2 }))
    }

    /// What to bind, `other` where nothing is masked.
    pub(super) fn binding(mask: Option<&Self>, other: &Quads) -> Binding {
        mask.map_or(other, |mask| &mask.values).into()
    }
}

/// The end of a product: y = f(z), or y = z ⊙ mask; of a [sum](super::sum), z has a second term.
#[derive(Clone, Debug, Default)]
pub struct Epilogue {
    /// What a sum adds before f.
    pub plus: Option<Quads>,
    /// f, the identity when there is none.
    pub activation: Option<Activation>,
    /// Where to put f'(z).
    pub derivative: Option<Quads>,
    /// A word that is set when a z is not finite: before f, because max(NaN, 0) is 0.
    pub found: Option<Buf>,
    /// In place of f.
    pub mask: Option<Mask>,
}

impl Epilogue {
    /// A product with a derivative.
    pub fn masked(mask: Option<&Mask>) -> Self {
        Self { mask: mask.cloned(), ..Self::default() }
    }

    pub(super) fn constants(&self) -> [(&'static str, usize); 4] {
        [
            (KIND, Activation::kind(self.activation)),
            ("DERIVATIVE", usize::from(self.derivative.is_some())),
            ("CHECK", usize::from(self.found.is_some())),
            Mask::constant(self.mask.as_ref()),
        ]
    }

    /// Derivative and mark to bind.
    pub(super) fn outputs(&self, gpu: &Gpu) -> Result<(Quads, Buf)> {
        let (quads, word) = gpu.placeholder()?;
        Ok((self.derivative.clone().unwrap_or(quads), self.found.clone().unwrap_or(word)))
    }
}
