//! What Kronecker factors cost, in multiply-adds.

use super::factors::parts;
use crate::batch::Looks;
use crate::cost::{Cost, Yardstick};
use crate::kernels::blocks::{Part, inverse_multiply_adds};
use crate::kernels::conv2d::Conv2d;
use crate::kernels::kronecker::{factor_multiply_adds, factor_side};
use crate::model::{Layer, Model};
use crate::shape::Shape;

/// Multiply-adds of a 2 × 2 block: its three sums; its determinant and a product with its inverse.
const OF_BLOCK: [u64; 2] = [3, 8];

/// Multiply-adds of what is done with the factors of a model, all layers together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FactorWork {
    /// Cotangents of one example back to the first layers with weights, whose input needs none: no gradient of weights
    /// is taken.
    pub back: u64,
    /// Sums over the patches and the pixels of one example.
    pub sums: u64,
    /// The inverses of all factors.
    pub inverses: u64,
    /// G⁻¹ V A⁻¹ of every layer's part V of a vector.
    pub product: u64,
}

impl FactorWork {
    /// Of a model, with factors from such looks; layers without patches have none.
    pub fn of(model: &Model, looks: Looks) -> Self {
        let layers = model.layers().iter().zip(model.is_input_gradient_needed());
        let mut work = Self::default();
        for (layer, is_input_gradient_needed) in layers.filter(|(layer, _)| layer.weights().is_some()) {
            if is_input_gradient_needed {
                work.back = work.back.saturating_add(layer.multiply_adds() as u64);
            }
            work.add(layer.as_ref(), looks);
        }
        work
    }

    fn add(&mut self, layer: &dyn Layer, looks: Looks) {
        if let Some(channels) = layer.scales() {
            let (channels, values) = (channels as u64, layer.output().len() as u64);
            self.sums = self.sums.saturating_add(2 * values + OF_BLOCK[0] * channels);
            self.product = self.product.saturating_add(OF_BLOCK[1] * channels);
        }
        let (Some(patches), Some(out)) = (layer.patches(), layer.patches().and_then(|patches| patches.output())) else {
            return;
        };
        let group = patches.of_group();
        parts(&patches, looks).for_each(|(_, outputs)| self.add_block(&group, outputs.len(), out, looks));
    }

    /// What is done for some of the outputs of a layer.
    fn add_block(&mut self, patches: &Conv2d, outputs: usize, out: Shape, looks: Looks) {
        let (side, pixels) = (factor_side(patches, true), out.pixels() as u64);
        let part = Part::whole(0, outputs, side - 1);
        let places = if looks.positions == 0 { pixels } else { pixels.min(looks.positions as u64) };
        let (sums, inverse, product) = if looks.takes_whole(part.patches) {
            (factor_multiply_adds(side, places), inverse_multiply_adds(side), part.multiply_adds())
        } else {
            // a sum and a sum of squares of each value, and their share of the damping
            let sums = (2 * places).saturating_mul(part.patches as u64);
            (sums, 2 * part.patches as u64, part.centred_multiply_adds())
        };
        self.sums = self.sums.saturating_add(sums).saturating_add(factor_multiply_adds(outputs, pixels));
        self.inverses = self.inverses.saturating_add(inverse).saturating_add(inverse_multiply_adds(outputs));
        self.product = self.product.saturating_add(product);
    }

    /// Units of a product with the inverses, and of these.
    pub fn units(&self, model: &Model) -> [f64; 2] {
        [self.product, self.inverses].map(|work| work as f64 / (3 * model.multiply_adds()) as f64)
    }

    /// A look at so many examples that went forward.
    pub fn look(&self, examples: usize) -> u64 {
        self.back.saturating_add(self.sums).saturating_mul(examples as u64)
    }
}

/// What was done with the factors of a model.
pub(super) struct FactorCost {
    work: FactorWork,
    parameters: u64,
    yardstick: Yardstick,
    cost: Cost,
    /// The λ whose inverses were charged since the last look.
    pub paid_for: Option<f64>,
}

impl FactorCost {
    pub(super) fn new(model: &Model, looks: Looks) -> Self {
        let (work, parameters) = (FactorWork::of(model, looks), model.parameters() as u64);
        let yardstick = Yardstick::new(model.multiply_adds());
        Self { work, parameters, yardstick, cost: Cost::default(), paid_for: None }
    }

    pub(super) fn cost(&self) -> Cost {
        self.cost
    }

    fn charge(&mut self, multiply_adds: u64) {
        self.cost += self.yardstick.cost(multiply_adds);
    }

    /// A look at examples that went forward, after which inverses are made anew.
    pub(super) fn look(&mut self, examples: usize) {
        self.charge(self.work.look(examples));
        self.cost.in_place += 2 * examples as u64;
        self.paid_for = None;
    }

    /// A product with the inverses for λ, and these where they are others than before.
    pub(super) fn product(&mut self, lambda: f64) {
        if self.paid_for != Some(lambda) {
            self.charge(self.work.inverses);
            self.paid_for = Some(lambda);
        }
        self.charge(self.work.product);
    }

    /// A product of diagonals, the damping and a division for each parameter.
    pub(super) fn diagonal_product(&mut self) {
        self.charge(2 * self.parameters);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Description;
    use crate::shape::Shape;

    #[test]
    fn products_and_inverses_cost_what_was_found_by_hand() {
        // outputs, patches and pixels of each layer
        let mnist = [(8, 25, 144), (16, 200, 16), (40, 256, 1), (10, 40, 1)];
        let cifar = [(12, 27, 256), (24, 108, 64), (32, 216, 16), (64, 512, 1), (10, 64, 1)];
        let nets = [
            ("mnist-14k", Shape::new(1, 28, 28), &mnist[..], [13.90, 114.31], [1.95, 1.79, 0.27]),
            ("cifar-43k", Shape::new(3, 32, 32), &cifar[..], [17.89, 139.19], [2.42, 2.79, 0.33]),
        ];
        for (name, input, layers, [product, inverses], of_sweep) in nets {
            let model = Model::new(&Description::open(name).unwrap(), input, 10).unwrap();
            let work = FactorWork::of(&model, Looks::USUAL);
            let sum = |of: fn(&(u64, u64, u64)) -> u64| layers.iter().map(of).sum::<u64>();
            assert_eq!(model.multiply_adds() as u64, sum(|(o, p, x)| o * p * x));
            let first = layers[0].0 * layers[0].1 * layers[0].2;
            let by_hand = FactorWork {
                back: sum(|(o, p, x)| o * p * x) - first,
                sums: sum(|(o, p, x)| x * ((p + 1) * (p + 2) + o * (o + 1)) / 2),
                inverses: sum(|&(o, p, _)| [o, p + 1].iter().map(|n| n * n * n + 48 * n * n + 853 * n).sum::<u64>()),
                product: sum(|(o, p, _)| o * (p + 1) * (o + p + 1)),
            };
            assert_eq!(work, by_hand);
            let yardstick = Yardstick::new(model.multiply_adds());
            for (multiply_adds, units) in [(work.product, product), (work.inverses, inverses)] {
                let found = yardstick.cost(multiply_adds).units().count();
                assert!((found - units).abs() < 0.01, "{name}: {found}, not {units}");
            }
            let looks = Looks { positions: 4, whole_inputs: Some(128), ..Looks::USUAL };
            let work = FactorWork::of(&model, looks);
            for (multiply_adds, units) in [work.product, work.inverses, work.look(1)].into_iter().zip(of_sweep) {
                let found = yardstick.cost(multiply_adds).units().count();
                assert!((found - units).abs() < 0.01, "{name}: {found}, not {units}");
            }
        }
    }
}
