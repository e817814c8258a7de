//! The sum of two tensors, of which one may have fewer channels: where paths of a network meet.

use super::epilogue::{Epilogue, Mask};
use super::grid::elementwise_grid;
use crate::device::{Gpu, Quads};
use crate::error::Result;
use crate::program::{Dispatch, Shader, shader};
use crate::shape::Shape;

pub(super) const SUM: Shader = shader!("sum");

/// y = f(a + b), or mask ⊙ (a + b), with `y` `[N/B][shape][B]`; without b, of a alone. Both have the pixels of y. Where
/// they have fewer channels, the rest counts as zeros; where they have more, these are left out.
///
/// # Errors
/// As [`Dispatch::new`].
///
/// # Panics
/// When the lengths are not of whole channels of as many blocks as y has.
pub fn sum(
    gpu: &Gpu,
    shape: Shape,
    (a, b): (&Quads, Option<&Quads>),
    y: &Quads,
    epilogue: &Epilogue,
) -> Result<Dispatch> {
    let blocks = y.len() / (shape.len() * gpu.profile.block);
    let plane = shape.pixels() * gpu.profile.lanes();
    let channels = |x: &Quads| {
        assert!(x.len().is_multiple_of(4 * blocks * plane), "whole channels");
        x.len() / (4 * blocks * plane)
    };
    let mut constants = vec![("C", shape.channels), ("C_A", channels(a)), ("C_B", b.map_or(0, channels))];
    constants.push(("PLANE", plane));
    constants.extend(epilogue.constants());
    let (derivative, found) = epilogue.outputs(gpu)?;
    let bindings = [
        a.into(),
        b.unwrap_or(a).into(),
        Mask::binding(epilogue.mask.as_ref(), a),
        y.block_count(gpu, blocks)?.into(),
        y.into(),
        (&derivative).into(),
        (&found).into(),
    ];
    Dispatch::new(gpu, &SUM, &constants, &bindings, elementwise_grid(gpu, y.len() / 4))
}

/// The same in f64.
pub mod reference {
    /// The sum of terms on plain `[N][C][H][W]`, with so many features an example of which a term may have fewer, or
    /// more.
    pub fn sum(features: usize, examples: usize, terms: &[&[f64]]) -> Vec<f64> {
        let at = |term: &[f64], n: usize, i: usize| {
            let of_term = term.len() / examples;
            if i < of_term { term[n * of_term + i] } else { 0.0 }
        };
        let places = (0..examples).flat_map(|n| (0..features).map(move |i| (n, i)));
        places.map(|(n, i)| terms.iter().map(|term| at(term, n, i)).sum()).collect()
    }
}
