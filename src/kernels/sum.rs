//! The sum of two tensors, of which one may have other channels: where paths of a network meet.

use super::epilogue::{Epilogue, Mask};
use super::grid::elementwise_grid;
use crate::device::{Gpu, Quads};
use crate::error::Result;
use crate::program::{Dispatch, Shader, shader};
use crate::shape::Shape;

pub(super) const SUM: Shader = shader!("sum");

/// A tensor `[N/B][its channels][H][W][B]`, of which channel c + `shift` is a term of channel c of a sum.
#[derive(Clone, Copy, Debug)]
pub struct Term<'a> {
    /// The tensor.
    pub x: &'a Quads,
    /// In channels.
    pub shift: isize,
}

impl<'a> From<&'a Quads> for Term<'a> {
    fn from(x: &'a Quads) -> Self {
        Self { x, shift: 0 }
    }
}

/// y = f(a + b), or mask ⊙ (a + b), with `y` `[N/B][shape][B]`; without b, of a alone. Both have the pixels of y.
/// Channels that a term does not have count as zeros; those that y does not have are left out.
///
/// # Errors
/// As [`Dispatch::new`].
///
/// # Panics
/// When the lengths are not of whole channels of as many blocks as y has.
pub fn sum(
    gpu: &Gpu,
    shape: Shape,
    (a, b): (Term<'_>, Option<Term<'_>>),
    y: &Quads,
    epilogue: &Epilogue,
) -> Result<Dispatch> {
    let blocks = y.len() / (shape.len() * gpu.profile.block);
    let plane = shape.pixels() * gpu.profile.lanes();
    let channels = |term: Term<'_>| {
        assert!(term.x.len().is_multiple_of(4 * blocks * plane), "whole channels");
        term.x.len() / (4 * blocks * plane)
    };
    // as u32, which wraps around
    let shift = |term: Term<'_>| (term.shift * plane as isize) as u32 as usize;
    let mut constants = vec![("C", shape.channels), ("C_A", channels(a)), ("C_B", b.map_or(0, channels))];
    constants.extend([("PLANE", plane), ("SHIFT_A", shift(a)), ("SHIFT_B", b.map_or(0, shift))]);
    constants.extend(epilogue.constants());
    let (derivative, found) = epilogue.outputs(gpu)?;
    let bindings = [
        a.x.into(),
        b.unwrap_or(a).x.into(),
        Mask::binding(epilogue.mask.as_ref(), a.x),
        y.block_count(gpu, blocks)?.into(),
        y.into(),
        (&derivative).into(),
        (&found).into(),
    ];
    Dispatch::new(gpu, &SUM, &constants, &bindings, elementwise_grid(gpu, y.len() / 4))
}

/// The same in f64.
pub mod reference {
    /// The sum of terms on plain `[N][C][H][W]`, with so many features an example. Feature i has feature i + shift of
    /// each term, and zero where that is none of its own.
    pub fn sum(features: usize, examples: usize, terms: &[(&[f64], isize)]) -> Vec<f64> {
        let at = |(term, shift): (&[f64], isize), n: usize, i: usize| {
            let of_term = term.len() / examples;
            let own = i.checked_add_signed(shift).filter(|&own| own < of_term);
            own.map_or(0.0, |own| term[n * of_term + own])
        };
        let places = (0..examples).flat_map(|n| (0..features).map(move |i| (n, i)));
        places.map(|(n, i)| terms.iter().map(|&term| at(term, n, i)).sum()).collect()
    }
}
