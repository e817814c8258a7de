//! The curvature of the scales and shifts of normalisations: a 2 × 2 block a channel of the Gauss-Newton matrix.

use crate::device::{ALIGNMENT, Buf, Gpu, Quads};
use crate::error::Result;
use crate::kernels::batch_norm::{NormPart, divide};
use crate::model::{At, Layer, Model};
use crate::program::{Dispatch, Program};

/// The blocks of all normalisations of a model.
pub(super) struct NormFactors {
    layers: Vec<NormFactor>,
    /// All blocks, where the model has any.
    words: Option<Buf>,
    /// What the next sums are scaled with, and how much is kept of those before.
    coefficients: Buf,
}

struct NormFactor {
    layer: usize,
    part: NormPart,
    fisher: Buf,
}

impl NormFactors {
    pub(super) fn new(gpu: &Gpu, model: &Model) -> Result<Self> {
        let mut end = 0;
        let layers = model.layers().iter().zip(model.ranges()).enumerate();
        let parts = layers.filter_map(|(layer, (norm, range))| {
            let (channels, range) = (norm.scales()?, range.as_ref()?);
            let part = NormPart { start: range.start, factor: end, channels };
            end = (end + part.words()).next_multiple_of(ALIGNMENT);
            Some((layer, part))
        });
        let parts: Vec<_> = parts.collect();
        let words = (end > 0).then(|| gpu.alloc("norm.factors", end)).transpose()?;
        let layer = |(layer, part): (usize, NormPart)| {
            let fisher = words.as_ref().expect("of as many words");
            NormFactor { layer, part, fisher: fisher.view(part.factor..part.factor + part.words()) }
        };
        let layers = parts.into_iter().map(layer).collect();
        Ok(Self { layers, coefficients: gpu.alloc("norm.coefficients", 2)?, words })
    }

    /// As [`LayerFactors::weigh`](super::factors::LayerFactors::weigh).
    pub(super) fn weigh(&self, gpu: &Gpu, examples: usize, keep: f64) {
        let scale = (1.0 - keep) / examples as f64;
        gpu.write(&self.coefficients, &[keep as f32, scale as f32]);
    }

    /// Adds a stage's x and dy to the sums, if it is a normalisation, `layer` being the model's of this number.
    pub(super) fn record_sums(
        &self,
        (number, layer): (usize, &dyn Layer),
        (at, dy): (&At<'_>, &Quads),
        program: &mut Program,
    ) -> Result<()> {
        if let Some(factor) = self.layers.iter().find(|factor| factor.layer == number) {
            program.extend(layer.fisher(at, dy, &self.coefficients, &factor.fisher)?);
        }
        Ok(())
    }

    /// The step that makes d = (F + λ)⁻¹ g of each block, λ being a word on the device.
    pub(super) fn apply(&self, gpu: &Gpu, lambda: &Buf, [g, d]: [&Buf; 2]) -> Result<Option<Dispatch>> {
        let parts: Vec<NormPart> = self.layers.iter().map(|factor| factor.part).collect();
        self.words.as_ref().map(|words| divide(gpu, &parts, words, lambda, [g, d])).transpose()
    }

    /// Every block by the name of its layer.
    pub(super) fn named<'a>(&'a self, model: &'a Model) -> impl Iterator<Item = (String, Buf)> + 'a {
        let name = |layer: usize| format!("{}.parameters", model.layers()[layer].name());
        self.layers.iter().map(move |factor| (name(factor.layer), factor.fisher.clone()))
    }
}
