//! The subset sweep: one small disjoint subset after another, a natural gradient step on each.
//!
//! Directions are K⁻¹g with the Kronecker factors of recent subsets. A step is as long as the divergence of the
//! predictions allows, by the quadratic model, and that radius falls with the budget (Ba, Grosse and Martens 2017,
//! ICLR, section 5; Osawa and others 2019, arXiv 1811.12019). There is no learning rate, no line search and no loss to
//! look at.

use super::batch_plan::BatchPlan;
use super::minibatched::{Update, UpdateRule};
use super::outcome::Outcome;
use super::problem::{Calls, Curved, Refresh, Stochastic, Vector};
use super::space::Elementwise;
use crate::batch::Looks;
use crate::cost::Units;
use crate::error::Result;
use crate::update::NaturalUpdate;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// The choices of a sweep. `batches` has no learning rate: what falls is the share of the radius; a batch of 0 is as
/// suits a [budget](Sweep::within).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sweep {
    /// κ of a subset of 128 examples; it grows with the subset. None: as suits a [budget](Sweep::within).
    pub divergence: Option<f64>,
    /// μ of Nesterov's momentum.
    pub momentum: f64,
    /// λ at the start, halved every twenty updates …
    pub damping: f64,
    /// … and at the end.
    pub least_damping: f64,
    /// Updates from one refresh of the factors to the next, at least, …
    pub refresh_every: u64,
    /// … and so many times as many as there were before it: predictions change less and less.
    pub refresh_growth: f64,
    /// What the factors are estimated from.
    pub looks: Looks,
    /// The entropy of the classes, as a share of that of even ones ([`Dataset::class_entropy`]): what there is to
    /// learn. κ and λ are multiplied by it. Where nearly all examples are of one class, losses, divergences and
    /// curvature are all small, and the same κ and λ would be too much.
    ///
    /// [`Dataset::class_entropy`]: crate::data::Dataset::class_entropy
    pub entropy: f64,
    /// The subsets.
    pub batches: BatchPlan,
}

impl Default for Sweep {
    fn default() -> Self {
        let batches = BatchPlan {
            learning_rate: 1.0,
            batch: 0,
            warm_up: 0.0,
            select: true,
            screen: true,
            average: true,
            batches_per_step: 16,
            spread: true,
            ..BatchPlan::default()
        };
        Self {
            divergence: None,
            momentum: 0.85,
            damping: 0.03,
            least_damping: 3e-3,
            refresh_every: 16,
            refresh_growth: 0.1,
            looks: Looks {
                first: 256,
                examples: 64,
                positions: 4,
                whole_inputs: Looks::AS_SUITS,
                whole_outputs: Looks::AS_SUITS,
            },
            entropy: 1.0,
            batches,
        }
    }
}

/// The longest step, as a multiple of K⁻¹g.
const MOST: f64 = 10.0;

/// κ where nothing is said of it and nothing is known of the budget, and for small ones.
const MOST_DIVERGENCE: f64 = 1e-2;

/// Subsets whose size is not said are of a multiple of so many examples, up to so many times that.
const SUBSETS: usize = 32;
const MOST_SUBSETS: usize = 4;

/// What factors may cost with matrices for the inputs of all layers, as a part of the units of a subset.
const OF_WHOLE: f64 = 0.1;

/// What they may cost in any case, if blocks of G of [`BLOCKS`] outputs serve.
const OF_FACTORS: f64 = 0.3;
const BLOCKS: [usize; 5] = [512, 256, 128, 64, 32];

/// Of the factors before, a refresh keeps at most so much.
const KEEP: f64 = 0.95;

impl Sweep {
    /// The same for a budget of B units, unless it was said otherwise: with subsets of √B/2 examples, to the nearest 32
    /// and 128 at most, and κ = 1/√B, or 0.01 if that is less. In longer runs, what is left of the noise at their end
    /// weighs more than how far they come (measured: docs/lab-notes.md).
    #[must_use]
    pub fn within(self, budget: Units) -> Self {
        let root = budget.count().sqrt();
        let divergence = self.divergence.unwrap_or(MOST_DIVERGENCE.min(1.0 / root));
        let usual = SUBSETS * ((root / 2.0 / SUBSETS as f64).round() as usize).clamp(1, MOST_SUBSETS);
        let batch = if self.batches.batch == 0 { usual } else { self.batches.batch };
        Self { divergence: Some(divergence), batches: BatchPlan { batch, ..self.batches }, ..self }
    }

    /// The same for a network, of whose factors, from such looks, a product with the inverses and these cost so many
    /// units: those of the inputs are taken whole where that is a small part of a subset, those of the outputs in
    /// blocks that keep it one, unless it was said otherwise.
    #[must_use]
    pub fn suiting(self, units: impl Fn(Looks) -> [f64; 2]) -> Self {
        let is_within = |part: f64, looks: Looks| {
            let [product, inverses] = units(looks);
            product + inverses / self.refresh_every as f64 <= part * self.batches.batch as f64
        };
        let mut looks = self.looks;
        let is_left = |number: Option<usize>| number == Looks::AS_SUITS;
        if is_left(looks.whole_inputs) {
            let whole = Looks { whole_inputs: None, whole_outputs: None, ..looks };
            looks.whole_inputs = if is_within(OF_WHOLE, whole) { None } else { Some(Looks::MOST_INPUTS) };
        }
        if is_left(looks.whole_outputs) {
            let choices = std::iter::once(None).chain(BLOCKS.map(Some));
            let of_choice = |whole_outputs| is_within(OF_FACTORS, Looks { whole_outputs, ..looks });
            looks.whole_outputs = choices.into_iter().find(|&of| of_choice(of)).unwrap_or(BLOCKS.last().copied());
        }
        Self { looks, ..self }
    }

    /// Updates before each refresh of the factors.
    fn refreshes(&self) -> impl Iterator<Item = u64> {
        let until_next = |before: u64| self.refresh_every.max((self.refresh_growth * before as f64) as u64);
        std::iter::successors(Some(0_u64), move |&before| Some(before.saturating_add(until_next(before))))
    }

    /// The last refresh before an update: its number, and the updates before it.
    fn refresh_before(&self, update: u64) -> (usize, u64) {
        let so_far = self.refreshes().take_while(|&before| before < update).enumerate();
        so_far.last().expect("the first comes before all updates")
    }

    /// λ of an update: that of the refresh before it.
    fn damping_at(&self, update: u64) -> f64 {
        let (_, refreshed_at) = self.refresh_before(update);
        self.entropy * self.least_damping.max(self.damping * 0.5f64.powf(refreshed_at as f64 / 20.0))
    }

    /// What these updates take besides their gradients.
    fn calls(&self, Range { start, end }: Range<u64>) -> Calls {
        // the first update inverts, and none looks at its mini-batch before it
        let inversions = self.refreshes().take_while(|&at| at < end).filter(|&at| at >= start).count();
        let looks = inversions - usize::from(start == 0 && end > 0);
        let updates = (end - start) as usize;
        let (preconditions, vectors) = (updates, updates * NaturalUpdate::MULTIPLY_ADDS);
        Calls { looks, preconditions, inversions, vectors, ..Calls::default() }
    }

    /// κ of a subset out of so many examples.
    fn divergence_of(&self, examples: usize) -> f64 {
        self.entropy * self.divergence.unwrap_or(MOST_DIVERGENCE) * self.batches.batch_of(examples) as f64 / 128.0
    }
}

impl<P: Stochastic + Curved> UpdateRule<P> for Sweep {
    const MEMORY: &'static [&'static str] = &["velocity", "direction", "slopes"];

    fn batches(&self) -> &BatchPlan {
        &self.batches
    }

    /// The radius has fallen to nothing at the end, so only the last iterates are worth an average.
    fn averaging(&self) -> f64 {
        11.0
    }

    fn work(&self, updates: Range<u64>) -> Calls {
        self.calls(updates)
    }

    fn start(&self, problem: &mut P, x: &Vector<P>, _: &mut [Vector<P>]) -> Result<()> {
        problem.refresh_preconditioner(x, Refresh::anew(1))
    }

    fn update(
        &self,
        problem: &mut P,
        Update { number, rate }: Update,
        gradient: &Vector<P>,
        memory: &mut [Vector<P>],
        x: &mut Vector<P>,
    ) -> Result<()> {
        let [velocity, direction, slopes] = memory else { unreachable!("as many as MEMORY names") };
        let (refreshes, refreshed_at) = self.refresh_before(number);
        if number > 1 && refreshed_at + 1 == number {
            let keep = KEEP.min(refreshes as f64 / (refreshes as f64 + 2.0));
            problem.refresh_preconditioner(x, Refresh { seed: number, keep, at_minibatch: true })?;
        }
        problem.precondition(self.damping_at(number), gradient, direction)?;
        let divergence = self.divergence_of(problem.examples());
        let by = NaturalUpdate { momentum: self.momentum, rate, divergence, most: MOST, number };
        problem.space().natural(&by, gradient, direction, [velocity, slopes], x)
    }

    fn describe(&self, Update { number, rate }: Update, examples: usize, outcome: &mut Outcome) {
        outcome.damping = Some(self.damping_at(number));
        outcome.radius = Some(rate * self.divergence_of(examples).sqrt());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_are_whole_where_that_is_a_small_part_of_a_step() {
        let sweep = Sweep { batches: BatchPlan { batch: 64, ..Sweep::default().batches }, ..Sweep::default() };
        // as the product with G⁻¹ costs, and A besides where it is whole
        let units = |of_block: f64, of_whole: f64| {
            move |looks: Looks| {
                let whole = if looks.whole_inputs.is_none() { of_whole } else { 0.0 };
                [of_block * looks.whole_outputs.unwrap_or(1024) as f64, 16.0 * whole]
            }
        };
        let choice = |of_block, of_whole| {
            let looks = sweep.suiting(units(of_block, of_whole)).looks;
            (looks.whole_inputs, looks.whole_outputs)
        };
        assert_eq!(choice(6.0 / 1024.0, 0.3), (None, None));
        assert_eq!(choice(6.0 / 1024.0, 0.5), (Some(Looks::MOST_INPUTS), None), "more than a tenth of 64");
        assert_eq!(choice(20.0 / 1024.0, 0.3), (Some(Looks::MOST_INPUTS), Some(512)));
        assert_eq!(choice(20.0 / 100.0, 0.3), (Some(Looks::MOST_INPUTS), Some(64)));
        assert_eq!(choice(20.0, 0.3), (Some(Looks::MOST_INPUTS), Some(32)), "no block is small enough");
        let said = Sweep { looks: Looks { whole_inputs: Some(5), whole_outputs: None, ..sweep.looks }, ..sweep };
        assert_eq!(said.suiting(units(20.0, 0.3)), said);
        let blocks: Vec<_> = Looks { whole_outputs: Some(3), ..sweep.looks }.output_blocks(10).collect();
        assert_eq!(blocks, [0..2, 2..5, 5..7, 7..10]);
    }

    #[test]
    fn looks_become_rarer_as_told_and_work_is_what_updates_ask_for() {
        let at = |refresh_growth: f64| {
            let sweep = Sweep { refresh_every: 24, refresh_growth, ..Sweep::default() };
            sweep.refreshes().take(7).collect::<Vec<_>>()
        };
        assert_eq!(at(0.0), [0, 24, 48, 72, 96, 120, 144]);
        assert_eq!(at(0.5), [0, 24, 48, 72, 108, 162, 243]);
        let once = Sweep { refresh_every: 4, refresh_growth: 1e300, ..Sweep::default() };
        assert_eq!(once.refresh_before(u64::MAX), (1, 4), "never again, and no end of numbers");
        let sweep = Sweep { refresh_every: 4, refresh_growth: 0.5, damping: 0.1, ..Sweep::default() };
        let looks: Vec<u64> = (1..40).filter(|&update| sweep.refresh_before(update).1 + 1 == update).collect();
        assert_eq!(looks, [1, 5, 9, 13, 19, 28]);
        assert_eq!(sweep.refresh_before(18), (3, 12));
        let divergence = |budget| sweep.within(Units::new(budget)).divergence;
        assert_eq!([40_000.0, 10.0, 0.0].map(divergence), [Some(5e-3), Some(0.01), Some(0.01)]);
        assert_eq!(Sweep { divergence: Some(0.3), ..sweep }.within(Units::new(40_000.0)).divergence, Some(0.3));
        let batch = |budget| sweep.within(Units::new(budget)).batches.batch;
        assert_eq!([1.0, 13_200.0, 52_500.0, 150_000.0].map(batch), [32, 64, 128, 128]);
        let said = Sweep { batches: BatchPlan { batch: 7, ..sweep.batches }, ..sweep };
        assert_eq!(said.within(Units::new(52_500.0)).batches.batch, 7);
        let of_one_class = Sweep { entropy: 0.08, ..sweep };
        assert_eq!(of_one_class.damping_at(18), 0.08 * sweep.damping_at(18));
        assert_eq!(of_one_class.divergence_of(9000), 0.08 * sweep.divergence_of(9000));
        assert_eq!([sweep.damping_at(1), sweep.damping_at(18)], [0.1, 0.1 * 0.5f64.powf(0.6)]);
        for (range, looks, inversions) in [(0..1, 0, 1), (0..5, 1, 2), (4..5, 1, 1), (5..8, 0, 0), (0..40, 5, 6)] {
            let calls = sweep.calls(range.clone());
            assert_eq!((calls.looks, calls.inversions), (looks, inversions), "{range:?}");
            assert_eq!(calls.preconditions as u64, range.end - range.start);
        }
    }
}
