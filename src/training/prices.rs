//! What a method's calls cost on a network, before there is a device.

use super::matrices::hidden_weights;
use crate::batch::Looks;
use crate::cost::{Cost, Yardstick};
use crate::kernels::{newton_schulz, selection};
use crate::model::Model;
use crate::objective::FactorWork;
use crate::optimise::Calls;

/// Curvature is that of a quarter of the examples, of this many at least: fewer, and steps that a small loss makes long
/// go too far (a subset of 7,500 needed 26 passes to a loss of 0.001 with 512 examples, 20 with a quarter). The full
/// set's needs no more than so many: with a quarter of 60,000, `growing` and `full` cost a fifth more and got no
/// further (docs/lab-notes.md).
const CURVATURE_SHARE: usize = 4;
const CURVATURE_EXAMPLES: [usize; 2] = [512, 4096];

/// Examples of a block, on any adapter.
const LARGEST_BLOCK: usize = 64;

/// Examples that tell the curvature of so many.
pub(super) fn curvature_examples(all: usize) -> usize {
    let [least, most] = CURVATURE_EXAMPLES;
    (all / CURVATURE_SHARE).clamp(least, most).min(all)
}

/// What calls cost on a network, at most.
#[derive(Clone, Copy, Debug)]
pub struct Prices {
    yardstick: Yardstick,
    parameters: u64,
    classes: usize,
    /// Multiply-adds of bringing in an example.
    of_copy: u64,
    factors: FactorWork,
    /// Examples of a look at a sample.
    first_look: usize,
    /// Multiply-adds of orthogonalising the hidden weights.
    orthogonalisation: u64,
}

/// That many times a cost.
fn times(count: usize, cost: Cost) -> Cost {
    let times = |of: u64| of.saturating_mul(count as u64);
    let Cost { forward, backward, tangent, besides, in_place } = cost;
    Cost {
        forward: times(forward),
        backward: times(backward),
        tangent: times(tangent),
        besides: times(besides),
        in_place: times(in_place),
    }
}

impl Prices {
    /// On a model whose examples take so many multiply-adds to be brought in, each, with factors from such looks.
    pub fn new(model: &Model, of_copy: u64, looks: Looks) -> Self {
        Self {
            yardstick: Yardstick::new(model.multiply_adds()),
            parameters: model.parameters() as u64,
            classes: model.classes,
            of_copy,
            factors: FactorWork::of(model, looks),
            first_look: looks.first,
            orthogonalisation: newton_schulz::multiply_adds(&hidden_weights(model)),
        }
    }

    /// Passes of so many examples, with so many multiply-adds a parameter.
    fn passes(&self, examples: usize, [forward, backward, tangent]: [u64; 3], of_vectors: u64) -> Cost {
        let all = |passes: u64| passes.saturating_mul(examples as u64);
        let copies = self.yardstick.cost(all(self.of_copy));
        let vectors = self.yardstick.cost(of_vectors.saturating_mul(self.parameters));
        Cost { forward: all(forward), backward: all(backward), tangent: all(tangent), ..Cost::default() }
            + copies
            + vectors
    }

    /// An evaluation that takes no gradient.
    pub fn loss(&self, examples: usize) -> Cost {
        self.passes(examples, [1, 0, 0], 1)
    }

    /// A mini-batch all of whose examples go backward.
    pub fn minibatch(&self, examples: usize) -> Cost {
        let choice = self.yardstick.cost(selection::multiply_adds(examples, self.classes));
        self.passes(examples, [1, 1, 0], 1) + choice
    }

    /// A look at examples that went forward.
    fn look(&self, examples: usize) -> Cost {
        let cost = self.yardstick.cost(self.factors.look(examples));
        Cost { in_place: 2 * examples as u64, ..cost }
    }

    /// What calls cost on so many examples, where the factors look at so many of a mini-batch, or at a sample that goes
    /// forward first.
    pub fn of(&self, work: Calls, examples: usize, of_minibatch: Option<usize>) -> Cost {
        let Calls { evaluations, products, planes, refreshes, looks, preconditions, inversions, .. } = work;
        let curvature = curvature_examples(examples);
        // factors are summed over whole blocks of examples
        let sampled = self.first_look.min(examples).next_multiple_of(LARGEST_BLOCK);
        let refresh = self.passes(sampled, [1, 0, 0], 0) + self.look(sampled);
        let product = self.factors.product.max(2 * self.parameters);
        let parts = [
            (evaluations, self.passes(examples, [1, 1, 0], 3)),
            (products, self.passes(curvature, [1, 1, 1], 3)),
            (planes, self.passes(curvature, [1, 0, 2], 0)),
            (refreshes, refresh),
            (looks, of_minibatch.map_or(refresh, |examples| self.look(examples))),
            (preconditions, self.yardstick.cost(product)),
            (inversions, self.yardstick.cost(self.factors.inverses)),
            // each operation is rounded up by itself
            (work.vectors, self.yardstick.cost(self.parameters)),
            (work.orthogonalisations, self.yardstick.cost(self.orthogonalisation)),
        ];
        parts.into_iter().fold(Cost::default(), |sum, (count, cost)| sum + times(count, cost))
    }
}
