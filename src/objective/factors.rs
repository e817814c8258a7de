//! The two Kronecker factors of each layer: what they are made of, and the sums that a look adds to them.

use crate::batch::Looks;
use crate::device::{ALIGNMENT, Buf, Gpu, Quads};
use crate::error::{MemoryError, ModelError, Result};
use crate::kernels::blocks::{Blocks, Centre, Part};
use crate::kernels::centred::Moments;
use crate::kernels::conv2d::Conv2d;
use crate::kernels::kronecker::{Factor, factor_side, factor_words};
use crate::kernels::patches::PatchSample;
use crate::model::Layer;
use crate::program::Program;
use std::ops::Range;

/// A of the inputs and G of the outputs of one layer, or of some of its outputs.
pub(super) struct LayerFactors {
    /// Which layer of the model, and its part of a parameter vector.
    pub layer: usize,
    pub part: Part,
    pub a: Inputs,
    pub g: Factor,
    /// What the layer reads, a patch for each place.
    patches: Conv2d,
    /// The places that A is summed over, where not all, or not all channels.
    sample: Option<PatchSample>,
    /// The outputs that G is of, where not all.
    block: Option<PatchSample>,
}

/// What stands for A.
pub(super) enum Inputs {
    Full(Factor),
    Scalar(Moments),
}

impl Inputs {
    /// What it remembers.
    pub(super) fn words(&self) -> &Buf {
        match self {
            Self::Full(factor) => &factor.matrix,
            Self::Scalar(moments) => &moments.words,
        }
    }

    /// Words of partial sums over so many blocks.
    fn partial_len(&self, gpu: &Gpu, blocks: usize) -> usize {
        match self {
            Self::Full(factor) => factor.partial_len(gpu, blocks),
            Self::Scalar(_) => 0,
        }
    }
}

/// What the factors of a layer are made of: its patches and a bias, and every pixel of every output, a patch of its
/// own. Of a convolution in groups, those of one group; of many outputs, those of one block of G.
#[derive(Clone, Copy)]
pub(super) struct Shapes {
    pub layer: usize,
    patches: Conv2d,
    /// The first channel that they read, and how many the layer reads.
    channels: [usize; 2],
    /// Among all outputs of the layer.
    outputs: PatchSample,
}

/// The parts of a layer that have factors of their own: the group, and its outputs among all.
pub(super) fn parts(layer: &Conv2d, looks: Looks) -> impl Iterator<Item = (usize, Range<usize>)> + use<> {
    let outputs = layer.of_group().channels;
    let of_group = move |group: usize| {
        let first = group * outputs;
        looks.output_blocks(outputs).map(move |block| (group, first + block.start..first + block.end))
    };
    (0..layer.groups).flat_map(of_group)
}

impl Shapes {
    fn of(number: usize, layer: Conv2d, (group, outputs): (usize, Range<usize>)) -> Self {
        let output = layer.output().expect("checked when the layer was made: the filter fits");
        let patches = layer.of_group();
        let channels = [group * patches.input.channels, layer.input.channels];
        Self { layer: number, patches, channels, outputs: PatchSample::of_pixels(output, outputs) }
    }

    /// Rows of each matrix that is inverted, and of what is multiplied with its inverse.
    pub(super) fn sizes(&self, looks: &Looks) -> Vec<[usize; 2]> {
        let (a, g) = (factor_side(&self.patches, true), factor_side(&self.outputs.filter, false));
        if self.has_whole_inputs(looks) { vec![[a, g], [g, a]] } else { vec![[g, a]] }
    }

    /// Whether A is a matrix.
    pub(super) fn has_whole_inputs(&self, looks: &Looks) -> bool {
        looks.takes_whole(self.patches.weights().patches())
    }

    /// Words of the layer's moments, and where they are when those of the layers before end at `start`.
    pub(super) fn centre(&self, start: usize) -> Centre {
        let places = self.patches.output().expect("the filter fits").pixels();
        Centre { start: start.next_multiple_of(ALIGNMENT), features: self.patches.weights().patches(), places }
    }

    /// Whether the device binds both factors of the layer of this name, and what their inverses are made in.
    pub(super) fn check(&self, gpu: &Gpu, layer: &str, looks: &Looks) -> Result<()> {
        let pixels = &self.outputs.filter;
        let (a, g) = (factor_side(&self.patches, true), factor_side(pixels, false));
        let binding = gpu.max_binding_words();
        let refuse = |rows: usize, words: usize, limit: usize| {
            let [bytes, limit] = [words, limit].map(|words| (words as u64).saturating_mul(4));
            MemoryError::Factor { layer: layer.to_owned(), rows, bytes, limit, adapter: gpu.info.name.clone() }
        };
        let of_a = Some((a, factor_words(&self.patches, true))).filter(|_| self.has_whole_inputs(looks));
        for (rows, words) in of_a.into_iter().chain([(g, factor_words(pixels, false))]) {
            if words > binding {
                return Err(refuse(rows, words, binding).into());
            }
        }
        let (words, most) = (Blocks::words(&self.sizes(looks)), gpu.max_quads_words());
        if words > most {
            return Err(refuse(a.max(g), words, most).into());
        }
        Ok(())
    }
}

/// What the factors of each layer with parameters are made of, of one after another; normalisations have none.
pub(super) fn shapes(layers: &[Box<dyn Layer>], looks: &Looks) -> Result<Vec<Shapes>> {
    let mut shapes = Vec::new();
    for (i, layer) in layers.iter().enumerate().filter(|(_, layer)| layer.is_product()) {
        // left out of every direction, its parameters would never move
        let patches = layer.patches().ok_or_else(|| ModelError::NoFactors { layer: layer.name().to_owned() })?;
        shapes.extend(parts(&patches, *looks).map(|part| Shapes::of(i, patches, part)));
    }
    Ok(shapes)
}

/// Layers whose factors share an array, in order: as many as it holds, those whose A are matrices and then others.
pub(super) fn groups(gpu: &Gpu, mut layers: Vec<Shapes>, looks: &Looks) -> Vec<Vec<Shapes>> {
    layers.sort_by_key(|shapes| !shapes.has_whole_inputs(looks));
    let mut groups: Vec<Vec<Shapes>> = Vec::new();
    for shapes in layers {
        let fits = |group: &&mut Vec<Shapes>| {
            let sizes: Vec<_> = group.iter().chain([&shapes]).flat_map(|shapes| shapes.sizes(looks)).collect();
            group[0].has_whole_inputs(looks) == shapes.has_whole_inputs(looks)
                && Blocks::words(&sizes) <= gpu.max_quads_words()
        };
        match groups.last_mut().filter(fits) {
            Some(group) => group.push(shapes),
            None => groups.push(vec![shapes]),
        }
    }
    groups
}

/// A look at some examples: their indices, the seed of what is random, and room for partial sums and for patches.
pub(super) struct LookAt<'a> {
    pub index: &'a Buf,
    pub seed: &'a Buf,
    pub partial: &'a Buf,
    pub patches: Option<&'a Quads>,
    /// Whether some of the examples are padding.
    pub is_padded: bool,
}

impl LookAt<'_> {
    /// What a sample takes of x, brought together in the room for patches; without one, x.
    fn gathered(&self, gpu: &Gpu, sample: Option<PatchSample>, x: &Quads, program: &mut Program) -> Result<Quads> {
        let Some((sample, room)) = sample.zip(self.patches) else { return Ok(x.clone()) };
        let patches = room.prefix(self.index.len() * sample.patches().input.len());
        program.push(sample.gather(gpu, x, [self.index, self.seed], &patches)?);
        Ok(patches)
    }
}

impl LayerFactors {
    /// With the memory of A, a matrix or moments, and of G.
    pub(super) fn new(gpu: &Gpu, shapes: &Shapes, start: usize, [a, g]: [Buf; 2], looks: Looks) -> Result<Self> {
        let &Shapes { layer, patches, channels, outputs } = shapes;
        let positions = if looks.positions == 0 { usize::MAX } else { looks.positions };
        let sample = PatchSample { among: channels, ..PatchSample::new(patches, positions) };
        // moments are of patches, which only pixels are by themselves
        let are_pixels = (patches.size, patches.stride, patches.padding) == (1, 1, 0);
        let is_whole = shapes.has_whole_inputs(&looks);
        let is_taken = !is_whole && !are_pixels || patches.input.channels < channels[1];
        let sample = (is_taken || sample.positions < sample.places()).then_some(sample);
        let seen = sample.map_or(patches, |sample| sample.patches());
        let features = patches.weights().patches();
        let a = if is_whole {
            Inputs::Full(Factor::new(gpu, seen, true, a)?)
        } else {
            Inputs::Scalar(Moments::new(gpu, features, seen.input.pixels(), a)?)
        };
        let g = Factor::new(gpu, outputs.filter, false, g)?;
        let [first, all] = outputs.among;
        let part = Part::whole(start, all, features).of_outputs(first..first + g.side());
        let block = (g.side() < all).then_some(outputs);
        Ok(Self { layer, part, a, g, patches, sample, block })
    }

    /// By which they are saved, in a layer of this name.
    pub(super) fn name(&self, layer: &str) -> String {
        match self.block {
            None => layer.to_owned(),
            Some(PatchSample { among: [first, _], .. }) => format!("{layer}.{first}"),
        }
    }

    /// Whether both factors are matrices of all inputs and all outputs.
    pub(super) fn are_whole(&self) -> bool {
        matches!(self.a, Inputs::Full(_)) && self.block.is_none()
    }

    /// What the next sums over so many examples are scaled with, and how much is kept of those before.
    pub(super) fn weigh(&self, gpu: &Gpu, examples: usize, keep: f64) {
        let (pixels, share) = (self.g.patches.input.pixels(), 1.0 - keep);
        let each = self.sample.map_or(1.0, |sample| sample.places() as f64 / sample.positions as f64);
        match &self.a {
            Inputs::Full(a) => a.weigh(gpu, keep, each * share / examples as f64, examples),
            Inputs::Scalar(moments) => moments.weigh(gpu, keep, examples),
        }
        self.g.weigh(gpu, keep, share / (examples * pixels) as f64, examples);
    }

    /// Words of partial sums over so many blocks.
    pub(super) fn partial_len(&self, gpu: &Gpu, blocks: usize) -> usize {
        self.a.partial_len(gpu, blocks).max(self.g.partial_len(gpu, blocks))
    }

    /// What of x is brought together first for A. The inputs of a padded example are what the layers before make of
    /// zeros, so they are left out on the way.
    fn gathered(&self, is_padded: bool) -> Option<PatchSample> {
        let Conv2d { input, .. } = self.patches;
        self.sample.or_else(|| is_padded.then(|| PatchSample::of_pixels(input, 0..input.channels)))
    }

    /// Words of the room for patches of one example.
    pub(super) fn patch_words(&self, is_padded: bool) -> usize {
        let gathered = self.gathered(is_padded).into_iter().chain(self.block);
        gathered.map(|sample| sample.patches().input.len()).max().unwrap_or(0)
    }

    /// Adds a stage's x and dy to the sums; dy of a padded example is zero.
    pub(super) fn record_sums(
        &self,
        gpu: &Gpu,
        look: &LookAt<'_>,
        [x, dy]: [&Quads; 2],
        program: &mut Program,
    ) -> Result<()> {
        let x = look.gathered(gpu, self.gathered(look.is_padded), x, program)?;
        let blocks = look.index.len() / gpu.profile.block;
        let partial = |factor: &Factor| look.partial.prefix(factor.partial_len(gpu, blocks));
        match &self.a {
            Inputs::Full(a) => program.extend(a.accumulate(gpu, &x, &partial(a))?),
            Inputs::Scalar(moments) => program.push(moments.update(gpu, &x)?),
        }
        let dy = look.gathered(gpu, self.block, dy, program)?;
        program.extend(self.g.accumulate(gpu, &dy, &partial(&self.g))?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::kernels::epilogue::{Epilogue, Mask};
    use crate::kernels::weights::WeightShape;
    use crate::model::reference::Map;
    use crate::model::{At, Description, Model};
    use crate::program::Dispatch;
    use crate::shape::Shape;

    /// A layer with parameters, of whose curvature nobody knows anything.
    #[derive(Debug)]
    struct Scale;

    impl Layer for Scale {
        fn name(&self) -> &str {
            "scale1"
        }
        fn input(&self) -> Shape {
            Shape::vector(3)
        }
        fn output(&self) -> Shape {
            Shape::vector(3)
        }
        fn weights(&self) -> Option<WeightShape> {
            Some(WeightShape { outputs: 3, inputs: 1, taps: 1 })
        }
        fn reference(&self) -> Map {
            unreachable!("never compared")
        }
        fn forward(&self, _: &At<'_>, _: &Quads, _: &Epilogue) -> Result<Vec<Dispatch>> {
            unreachable!("never recorded")
        }
        fn jvp(&self, _: &At<'_>, _: Option<&Quads>, _: &Quads, _: Option<&Mask>) -> Result<Vec<Dispatch>> {
            unreachable!("never recorded")
        }
        fn grad_input(&self, _: &At<'_>, _: &Quads, _: &Quads, _: Option<&Mask>) -> Result<Vec<Dispatch>> {
            unreachable!("never recorded")
        }
    }

    #[test]
    fn parameters_without_factors_are_refused_by_name() {
        let why = shapes(&[Box::new(Scale)], &Looks::USUAL).map(|_| ()).unwrap_err();
        assert!(matches!(&why, Error::Usage(_)) && why.to_string().contains("scale1"), "{why}");
        let digits = Model::new(&Description::open("digits-1k").unwrap(), Shape::new(1, 8, 8), 10).unwrap();
        shapes(digits.layers(), &Looks::USUAL).unwrap();
    }
}
