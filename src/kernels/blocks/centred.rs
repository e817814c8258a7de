//! Parts of a parameter vector times the inverses of their layer's matrices, where there is one a layer, of the
//! outputs, and of the inputs a mean and a scale (see [`centred`](super::super::centred)).

use super::super::grid::{check_turns, turns};
use super::super::jobs::{CentredDirectionJob, word};
use super::between::Part;
use super::placement::Placement;
use super::room::{Blocks, strides};
use crate::device::{Buf, Gpu};
use crate::error::Result;
use crate::program::{Dispatch, Shader, shader};

pub(in crate::kernels) const CENTRED_DIRECTION: Shader = shader!("centred_direction");

/// A layer's part of the room of all moments, and how many places T of an image its A sums over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Centre {
    /// First word of its moments.
    pub start: usize,
    /// R, features of a patch.
    pub features: usize,
    /// T.
    pub places: usize,
}

impl Blocks {
    /// The steps that make d = G⁻¹ V A⁻¹ of each layer's part V of the vector `g`, G being the layer's matrix and A
    /// what `moments` and `scales` say.
    ///
    /// # Errors
    /// As [`Dispatch::new`].
    pub fn apply_centred(
        &self,
        gpu: &Gpu,
        parts: &[(Part, Centre)],
        [moments, scales]: [&Buf; 2],
        g: &Buf,
        d: &Buf,
    ) -> Result<Vec<Dispatch>> {
        let layers: Vec<_> = parts.iter().zip(&self.placements).enumerate().collect();
        let fits = |(_, ((part, centre), place)): &(usize, (&(Part, Centre), &Placement))| {
            place.side == part.outputs && centre.features == part.patches
        };
        assert!(parts.len() == self.placements.len() && layers.iter().all(fits));
        let operands: Vec<_> = layers.iter().map(|&(_, ((part, _), place))| (part, place)).collect();
        let mut steps = vec![self.load_gradient(gpu, &operands, true, g)?];
        steps.extend(self.multiply(gpu, |_| true)?);

        let store = |&(l, ((part, centre), place)): &(usize, (&(Part, Centre), &Placement))| CentredDirectionJob {
            layer: word(l),
            d: word(part.start),
            biases: word(part.biases),
            outputs: word(part.outputs),
            patches: word(part.patches),
            columns: word(place.columns()),
            source: word(place.quad(place.places()[2], 0)),
            moments: word(centre.start),
        };
        let jobs: Vec<CentredDirectionJob> = layers.iter().map(store).collect();
        let table = gpu.upload("centred.direction", &jobs)?;
        let bindings = [table.into(), moments.into(), scales.into(), (&self.m).into(), d.into()];
        let most = |of: fn(&Part) -> usize| parts.iter().map(|(part, _)| of(part)).max().unwrap_or(1);
        // twice over the patches, and over the sums of all
        let inside = 2 * strides(gpu, most(|part| part.patches)) + turns(gpu.profile.width(), 0);
        check_turns(gpu, CENTRED_DIRECTION.name, inside)?;
        let outputs = [most(|part| part.outputs), jobs.len(), 1];
        let width = [("WIDTH", gpu.profile.width())];
        steps.push(Dispatch::new(gpu, &CENTRED_DIRECTION, &width, &bindings, outputs)?);
        Ok(steps)
    }
}
