//! What a run does.

use super::record::StageKind;
use super::stopping::StopRules;
use crate::batch::Looks;
use crate::cost::{Cost, Units};
use crate::optimise::{Calls, Importance, Method, Rule, Sweep};
use crate::training::Prices;
use serde::{Deserialize, Serialize};

/// What a run does, said once: it reaches the trainer as the configuration has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Plan {
    /// Mini-batches of all examples that are not held out, until a budget is spent.
    Stochastic {
        /// What the run may cost, its preparation included.
        budget: Units,
        /// The budget that its preparation was made for, where it has been raised since.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        prepared_for: Option<Units>,
        /// When held-out examples are looked at, if there are any.
        validation: Validation,
        /// What a mini-batch's gradient does.
        rule: Rule,
    },
    /// One fixed set of examples after another, each as a whole.
    Stages {
        /// How a set's loss is minimised.
        method: Method,
        /// The sets, in order.
        stages: Vec<StagePlan>,
    },
}

/// When held-out examples are looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Validation {
    /// Iterations between two validations; 0: only at the end of a stage.
    pub every: u64,
    /// Validations in a row without a lower held-out loss after which a stage ends; 0: never.
    pub patience: u64,
}

impl Validation {
    /// Whether one follows so many iterations of a stage.
    pub(super) fn is_due(&self, iteration: u64) -> bool {
        self.every > 0 && iteration.is_multiple_of(self.every)
    }
}

/// A set of examples, and how far its loss is minimised.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StagePlan {
    /// K, the examples of a subset; none: all that are not held out.
    pub subset: Option<usize>,
    /// Passes over the set, at most; a pass is K units. A stage that gets any gets those of its first step.
    pub passes: f64,
    /// When held-out examples are looked at.
    pub validation: Validation,
    /// The stage ends where the gradient is this much smaller than at its start: the minimum, near enough.
    pub tolerance: f64,
    /// It ends where the cross entropy over the set is below this share of the held-out one, after a validation: going
    /// on to the minimum would only fit the set. 0: never.
    pub gap: f64,
    /// It ends after two iterations that together lowered the loss by less than this share. 0: never.
    pub stall: f64,
    /// The next stage starts at so many times the parameters that this one ended at: nearer to zero they go wrong with
    /// less confidence where the next examples differ, and generalise better (Ash and Adams 2020, *On warm-starting
    /// neural network training*, arXiv 1910.08475, there with noise besides). 1: at the same.
    pub shrink: f64,
}

/// What may be chosen of a plan in stages; what is not has a default that suits the method.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StageOptions {
    /// Passes over a subset, at most; 0: no such stage.
    pub subset_passes: Option<f64>,
    /// Passes over the full set, at most; 0 after a subset: no such stage.
    pub full_passes: Option<f64>,
    /// Iterations between two validations; every iteration on the paper's full set is followed by one whatever this
    /// says.
    pub check_every: Option<u64>,
    /// Validations without a lower held-out loss after which a stage ends; 0: never.
    pub patience: u64,
    /// The share to which the gradient has to fall.
    pub tolerance: f64,
}

impl Default for StageOptions {
    fn default() -> Self {
        Self { subset_passes: None, full_passes: None, check_every: None, patience: 0, tolerance: 1e-4 }
    }
}

/// A budget chosen for the user has so many units of a sweep at least, …
const SWEEP: f64 = 20_000.0;

/// … or so many updates of other rules.
const UPDATES: usize = 1000;

/// Epochs of a budget chosen for the user, at least.
const EPOCHS: f64 = 1.5;

/// Each subset of a growing plan is so many times the one before.
const GROWTH: usize = 4;

impl Plan {
    /// Mini-batches by a rule out of so many examples, within a budget or one that suits both: a small set needs no
    /// fewer updates than a large one. What the rule leaves to the budget follows from it.
    pub fn stochastic(rule: Rule, budget: Option<Units>, examples: usize, options: &StageOptions) -> Self {
        let is_sweep = matches!(rule, Rule::Sweep(_));
        let usual = if is_sweep { SWEEP } else { (rule.batches().batch * UPDATES) as f64 };
        let usual = Units::new(usual.max(Units::of_passes(EPOCHS, examples).count()));
        let validation = Validation { every: options.check_every.unwrap_or(0), patience: options.patience };
        let budget = budget.unwrap_or(usual);
        Self::Stochastic { budget, prepared_for: None, validation, rule: rule.within(budget) }
    }

    /// The same [for a network](Sweep::suiting), of whose factors, from such looks, a product with the inverses and
    /// these cost so many units.
    #[must_use]
    pub fn suiting(mut self, units: impl Fn(Looks) -> [f64; 2]) -> Self {
        if let Self::Stochastic { rule, .. } = &mut self {
            *rule = rule.suiting(units);
        }
        self
    }

    /// The paper's: one subset of so many examples to its minimum, then the full set for a short adaptation.
    pub fn paper(method: Method, subset: usize, options: &StageOptions) -> Self {
        let passes = if matches!(method, Method::Kfac(_)) { 30.0 } else { 100.0 };
        let full = StagePlan { validation: Validation { every: 1, patience: options.patience }, ..options.full(8.0) };
        Self::in_stages(method, vec![options.subset(subset, passes, 5)], full)
    }

    /// Nested subsets up to the full set of so many examples, each four times the one before and started from where
    /// that ended.
    pub fn growing(method: Method, subset: usize, examples: usize, options: &StageOptions) -> Self {
        let sizes = std::iter::successors(Some(subset), |size| Some(GROWTH * size));
        let stage = |size| {
            let stage = options.subset(size, 25.0, 1);
            // a subset is left as soon as its loss says no more of the held-out one
            let validation = Validation { patience: 1, ..stage.validation };
            StagePlan { validation, gap: 0.4, stall: 1e-2, shrink: 0.9, ..stage }
        };
        let subsets = sizes.take_while(|&size| size < examples).map(stage).collect();
        Self::in_stages(method, subsets, options.full(8.0))
    }

    /// The full set alone.
    pub fn full(method: Method, options: &StageOptions) -> Self {
        let passes = if matches!(method, Method::Kfac(_)) { 30.0 } else { 100.0 };
        Self::in_stages(method, Vec::new(), options.full(passes))
    }

    /// Subsets that get any passes, then the full set unless it gets none after a subset.
    fn in_stages(method: Method, subsets: Vec<StagePlan>, full: StagePlan) -> Self {
        let mut stages: Vec<StagePlan> = subsets.into_iter().filter(|stage| stage.passes > 0.0).collect();
        if stages.is_empty() || full.passes > 0.0 {
            stages.push(full);
        }
        Self::Stages { method, stages }
    }

    /// Why it cannot be followed on so many examples, if it cannot.
    pub fn fault(&self, available: usize) -> Option<&'static str> {
        let required = match self {
            Self::Stochastic { budget, rule, .. } => {
                let refreshes = !matches!(rule, Rule::Sweep(Sweep { refresh_every: 0, .. }));
                let is_share = |share: f64| share > 0.0 && share <= 1.0;
                let entropy = !matches!(rule, Rule::Sweep(Sweep { entropy, .. }) if !is_share(*entropy));
                let (looks, Importance { one_in, side, least, power }) = (rule.looks(), rule.batches().importance);
                vec![
                    (budget.count() >= 0.0, "the budget of the plan is no number from 0 up"),
                    (rule.batches().batch > 0, "a mini-batch of the plan has no examples"),
                    (refreshes, "refresh_every of the plan is 0"),
                    (entropy, "entropy of the plan is no share above 0"),
                    (looks.first > 0 && looks.examples > 0, "a look of the plan takes no examples"),
                    (one_in > 0 && side > 0, "one_in or side of the plan is 0"),
                    (is_share(least), "least of the plan is no probability above 0"),
                    (power >= 0.0, "power of the plan is no number from 0 up"),
                ]
            }
            Self::Stages { stages, .. } => {
                let mut sizes: Vec<_> = stages.iter().map(|stage| stage.subset.unwrap_or(available)).collect();
                sizes.push(available);
                vec![
                    (!stages.is_empty(), "the plan has no stage"),
                    (stages.iter().all(|stage| stage.passes >= 0.0), "passes of the plan are no number from 0 up"),
                    (!sizes.contains(&0), "a stage of the plan has no examples"),
                    (sizes.is_sorted(), "a stage of the plan has more examples than the next, or than there are"),
                ]
            }
        };
        required.into_iter().find(|(holds, _)| !holds).map(|(_, why)| why)
    }

    /// The same with another budget, of a run that goes on: what came before its first step stays as it was. None in
    /// stages, which have passes.
    pub fn with_budget(&self, budget: Units) -> Option<Self> {
        let Self::Stochastic { validation, rule, .. } = *self else { return None };
        Some(Self::Stochastic { budget, prepared_for: self.budget_of_preparation(), validation, rule })
    }

    /// The budget that its preparation is made for, if it has one.
    pub(super) fn budget_of_preparation(&self) -> Option<Units> {
        match self {
            Self::Stochastic { budget, prepared_for, .. } => Some(prepared_for.unwrap_or(*budget)),
            Self::Stages { .. } => None,
        }
    }

    /// Whether its budget pays for a first step on so many examples after a preparation at this cost. Each stage gets
    /// what its first step takes.
    pub fn affords_first_step(&self, prices: &Prices, examples: usize, preparation: Cost) -> bool {
        self.affords((preparation + self.cost_of_start(prices, examples)).units())
    }

    /// Whether its budget, if it has one, leaves something after so much before the first mini-batch.
    pub fn affords(&self, before: Units) -> bool {
        self.budget_of_preparation().is_none_or(|budget| before < budget)
    }

    /// What comes before the first mini-batch of so many examples.
    pub fn cost_of_start(&self, prices: &Prices, examples: usize) -> Cost {
        self.rule().map_or(Cost::default(), |rule| prices.of(rule.start_calls(), examples, None))
    }

    /// The most that a stage over so many examples costs, where so many are held out for its validations. Mini-batches
    /// are rounded up to whole ones, so of these nothing is said.
    pub fn most(&self, prices: &Prices, stage: usize, examples: usize, held_out: usize) -> Option<Units> {
        let Self::Stages { method, .. } = self else { return None };
        let (budget, every) = (self.rules(prices, stage, examples).budget, self.validation(stage).every);
        let step = prices.of(method.least_step(), examples, None).network_units();
        let iterations = (budget.count() / step.count()).floor();
        let validations = if every > 0 { (iterations / every as f64).floor() + 1.0 } else { 1.0 };
        Some(budget + Units::new(validations * prices.loss(held_out).units().count()))
    }

    /// What a run over mini-batches may cost.
    pub fn budget(&self) -> Option<Units> {
        match self {
            Self::Stochastic { budget, .. } => Some(*budget),
            Self::Stages { .. } => None,
        }
    }

    /// How it goes over mini-batches, if it does.
    pub fn rule(&self) -> Option<&Rule> {
        match self {
            Self::Stochastic { rule, .. } => Some(rule),
            Self::Stages { .. } => None,
        }
    }

    /// What it looks at for a preconditioner.
    pub fn looks(&self) -> Looks {
        self.rule().map_or(Looks::USUAL, Rule::looks)
    }

    /// Whether its method asks for a preconditioner, which here is made of Kronecker factors.
    pub fn is_preconditioned(&self) -> bool {
        match self {
            Self::Stochastic { rule, .. } => rule.is_preconditioned(),
            Self::Stages { method, .. } => method.is_preconditioned(),
        }
    }

    /// How many stages there are; mini-batches are one.
    pub fn stages(&self) -> usize {
        match self {
            Self::Stochastic { .. } => 1,
            Self::Stages { stages, .. } => stages.len(),
        }
    }

    /// K of the subset of a stage, if it is one.
    pub fn subset(&self, stage: usize) -> Option<usize> {
        match self {
            Self::Stochastic { .. } => None,
            Self::Stages { stages, .. } => stages[stage].subset,
        }
    }

    /// What a stage works on.
    pub fn kind(&self, stage: usize) -> StageKind {
        if self.subset(stage).is_some() { StageKind::Subset } else { StageKind::Full }
    }

    /// When a stage over so many examples ends.
    pub fn rules(&self, prices: &Prices, stage: usize, examples: usize) -> StopRules {
        match self {
            Self::Stochastic { budget, validation, .. } => {
                StopRules { budget: *budget, examples, patience: validation.patience, ..StopRules::default() }
            }
            Self::Stages { method, stages } => {
                let StagePlan { passes, validation, tolerance, gap, stall, .. } = stages[stage];
                // before it, what the stage before ended at is shrunk
                let shrink = Calls { vectors: 1, ..Calls::default() };
                let first_step = prices.of(shrink + method.first_step(), examples, None).units();
                let least = if passes > 0.0 { first_step } else { Units::default() };
                let (budget, tolerance) = (Units::of_passes(passes, examples).max(least), Some(tolerance));
                StopRules { budget, examples, tolerance, patience: validation.patience, gap, least: 0.0, stall }
            }
        }
    }

    /// When a stage's held-out examples are looked at.
    pub fn validation(&self, stage: usize) -> Validation {
        match self {
            Self::Stochastic { validation, .. } => *validation,
            Self::Stages { stages, .. } => stages[stage].validation,
        }
    }

    /// What a stage's parameters are multiplied with before the next begins.
    pub(super) fn shrink(&self, stage: usize) -> f64 {
        match self {
            Self::Stochastic { .. } => 1.0,
            Self::Stages { stages, .. } => stages[stage].shrink,
        }
    }
}

impl StageOptions {
    /// A stage over a subset of so many examples, with these defaults.
    fn subset(&self, examples: usize, passes: f64, check_every: u64) -> StagePlan {
        let passes = self.subset_passes.unwrap_or(passes);
        StagePlan { subset: Some(examples), ..self.stage(passes, check_every) }
    }

    /// A stage over all examples.
    fn full(&self, passes: f64) -> StagePlan {
        self.stage(self.full_passes.unwrap_or(passes), 1)
    }

    fn stage(&self, passes: f64, check_every: u64) -> StagePlan {
        let validation = Validation { every: self.check_every.unwrap_or(check_every), patience: self.patience };
        let tolerance = self.tolerance;
        StagePlan { subset: None, passes, validation, tolerance, gap: 0.0, stall: 0.0, shrink: 1.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimise::{Adam, KfacSettings, LbfgsSettings, Sweep};

    fn stages(plan: &Plan) -> Vec<(Option<usize>, f64, u64, u64)> {
        let Plan::Stages { stages, .. } = plan else { panic!("{plan:?}") };
        stages.iter().map(|s| (s.subset, s.passes, s.validation.every, s.validation.patience)).collect()
    }

    #[test]
    fn plans_have_the_stages_of_their_kind() {
        let (kfac, lbfgs) = (Method::Kfac(KfacSettings::default()), Method::Lbfgs(LbfgsSettings::default()));
        let usual = StageOptions::default();
        assert_eq!(stages(&Plan::paper(kfac, 7, &usual)), [(Some(7), 30.0, 5, 0), (None, 8.0, 1, 0)]);
        assert_eq!(stages(&Plan::full(lbfgs, &usual)), [(None, 100.0, 1, 0)]);
        let growing = stages(&Plan::growing(kfac, 10, 200, &usual));
        assert_eq!(growing[..2], [(Some(10), 25.0, 1, 1), (Some(40), 25.0, 1, 1)]);
        assert_eq!(growing[2..], [(Some(160), 25.0, 1, 1), (None, 8.0, 1, 0)]);
        let chosen = StageOptions { check_every: Some(3), patience: 2, subset_passes: Some(4.0), ..usual };
        assert_eq!(stages(&Plan::paper(lbfgs, 7, &chosen)), [(Some(7), 4.0, 3, 2), (None, 8.0, 1, 2)]);
    }

    #[test]
    fn a_stage_without_passes_is_none_but_something_is_always_left() {
        let kfac = Method::Kfac(KfacSettings::default());
        let options = |subset, full| StageOptions { subset_passes: subset, full_passes: full, ..Default::default() };
        let paper = |subset, full| stages(&Plan::paper(kfac, 7, &options(subset, full))).len();
        assert_eq!([paper(Some(0.0), None), paper(None, Some(0.0)), paper(Some(0.0), Some(0.0))], [1, 1, 1]);
    }

    #[test]
    fn a_budget_that_nobody_chose_is_enough_for_a_small_set() {
        let budget = |rule, examples| match Plan::stochastic(rule, None, examples, &StageOptions::default()) {
            Plan::Stochastic { budget, .. } => budget.count(),
            other => panic!("{other:?}"),
        };
        assert_eq!(budget(Rule::Sweep(Sweep::default()), 60_000), 90_000.0);
        assert_eq!(budget(Rule::Sweep(Sweep::default()), 1437), 20_000.0);
        assert_eq!(budget(Rule::Adam(Adam::default()), 1437), 32_000.0);
    }

    #[test]
    fn a_plan_is_the_same_after_a_file() {
        let kfac = Method::Kfac(KfacSettings::default());
        for plan in [
            Plan::stochastic(Rule::Sweep(Sweep::default()), Some(Units::new(0.1 + 0.2)), 7, &StageOptions::default()),
            Plan::growing(kfac, 10, 200, &StageOptions::default()),
        ] {
            let text = toml::to_string(&plan).unwrap();
            assert_eq!(toml::from_str::<Plan>(&text).unwrap(), plan, "{text}");
        }
    }
}
