//! The memory of the factors of some layers and of their inverses, and what is multiplied with these.

use super::factors::Shapes;
use crate::batch::Looks;
use crate::device::{Buf, Gpu};
use crate::error::Result;
use crate::kernels::blocks::{Blocks, Centre, Part};
use crate::kernels::centred;
use crate::kernels::kronecker;
use crate::program::Dispatch;

/// As many layers together as a binding holds.
pub(super) struct Room {
    /// A and G of each layer in turn, or its G.
    pub blocks: Blocks,
    centred: Option<Centred>,
}

/// What is known of the inputs where that is not A.
struct Centred {
    centres: Vec<Centre>,
    moments: Buf,
    /// What the inverse of A is made of, four words a layer.
    scales: Buf,
}

impl Centred {
    fn new(gpu: &Gpu, layers: &[Shapes]) -> Result<Self> {
        let (mut centres, mut end) = (Vec::new(), 0);
        for shapes in layers {
            let centre = shapes.centre(end);
            end = centre.start + 2 * centre.features;
            centres.push(centre);
        }
        let (moments, scales) = (gpu.alloc("moments", end)?, gpu.alloc("scales", 4 * layers.len())?);
        Ok(Self { centres, moments, scales })
    }
}

impl Room {
    /// For layers whose A are all matrices, or all not.
    pub(super) fn new(gpu: &Gpu, layers: &[Shapes], looks: &Looks) -> Result<Self> {
        let sizes: Vec<_> = layers.iter().flat_map(|shapes| shapes.sizes(looks)).collect();
        let centred = (!layers[0].has_whole_inputs(looks)).then(|| Centred::new(gpu, layers)).transpose()?;
        Ok(Self { blocks: Blocks::new(gpu, &sizes)?, centred })
    }

    /// How many layers there are.
    pub(super) fn layers(&self) -> usize {
        self.blocks.count() / if self.centred.is_some() { 1 } else { 2 }
    }

    /// The memory of what is known of the inputs and of the outputs of layer i.
    pub(super) fn of(&self, i: usize) -> [Buf; 2] {
        match &self.centred {
            None => [self.blocks.matrix(2 * i), self.blocks.matrix(2 * i + 1)],
            Some(Centred { centres, moments, .. }) => {
                let Centre { start, features, .. } = centres[i];
                [moments.view(start..start + 2 * features), self.blocks.matrix(i)]
            }
        }
    }

    /// The steps that share λ, a word on the device, out between the factors of each layer.
    pub(super) fn damping(&self, gpu: &Gpu, lambda: &Buf) -> Result<Vec<Dispatch>> {
        match &self.centred {
            None => kronecker::damping(gpu, &self.blocks, lambda),
            Some(Centred { centres, moments, scales }) => {
                centred::damping(gpu, &self.blocks, centres, moments, lambda, scales)
            }
        }
    }

    /// The steps that make d = G⁻¹ V A⁻¹ of each layer's part V of g.
    pub(super) fn apply(&self, gpu: &Gpu, parts: &[Part], g: &Buf, d: &Buf) -> Result<Vec<Dispatch>> {
        match &self.centred {
            None => self.blocks.apply_inverse(gpu, parts, g, d),
            Some(Centred { centres, moments, scales }) => {
                let parts: Vec<_> = parts.iter().copied().zip(centres.iter().copied()).collect();
                self.blocks.apply_centred(gpu, &parts, [moments, scales], g, d)
            }
        }
    }
}
