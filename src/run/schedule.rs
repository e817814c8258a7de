//! What is minimised, in which order and by which method, before the numbers of data and model are known.

use super::choice::{MethodName, ScheduleName, pairing};
use crate::cost::Units;
use crate::error::Result;
use crate::model::Model;
use crate::optimise::{Adam, Method, Muon, Rule, Sgd, Sweep};
use crate::subset::Plan;

/// λ of the weight decay unless the user says otherwise: of a sweep, and of others.
const WEIGHT_DECAY: [f64; 2] = [2e-3, 1e-3];

/// Units of a budget beyond which a sweep over copies that differ has less: these leave less to a penalty (measured:
/// docs/lab-notes.md).
const LONG_BUDGET: f64 = 100_000.0;

/// What is minimised, in which order, before the numbers of data and model are known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Schedule {
    /// Mini-batches within a budget, by a rule.
    Stochastic(Rule),
    /// One subset to its minimum, then the full set for a short adaptation.
    Paper(Method),
    /// Nested subsets up to the full set.
    Growing(Method),
    /// The full set alone.
    Full(Method),
}

impl Schedule {
    /// By name, with the method's usual settings; what is not given [is as the other suggests](pairing).
    ///
    /// # Errors
    /// [`UsageError::Mismatch`](crate::error::UsageError::Mismatch) for a method that is no match for the schedule.
    pub fn of(schedule: Option<ScheduleName>, method: Option<MethodName>) -> Result<Self> {
        let (schedule, method) = pairing(schedule, method)?;
        let method = match method {
            MethodName::Kfac if schedule == ScheduleName::Sweep => {
                return Ok(Self::Stochastic(Rule::Sweep(Sweep::default())));
            }
            MethodName::Adam => return Ok(Self::Stochastic(Rule::Adam(Adam::default()))),
            MethodName::Sgd => return Ok(Self::Stochastic(Rule::Sgd(Sgd::default()))),
            MethodName::Muon => return Ok(Self::Stochastic(Rule::Muon(Muon::default()))),
            MethodName::Kfac => Method::Kfac(Default::default()),
            MethodName::Lbfgs => Method::Lbfgs(Default::default()),
            MethodName::Ncg => Method::Ncg(Default::default()),
            MethodName::GaussNewton => Method::GaussNewton(Default::default()),
        };
        Ok(match schedule {
            ScheduleName::Growing => Self::Growing(method),
            ScheduleName::Full => Self::Full(method),
            _ => Self::Paper(method),
        })
    }

    /// The same with other settings of its method, or of its rule for mini-batches.
    ///
    /// # Errors
    /// Those of the two functions.
    pub fn with_settings(
        self,
        method: impl FnOnce(Method) -> Result<Method>,
        rule: impl FnOnce(Rule) -> Result<Rule>,
    ) -> Result<Self> {
        match self {
            Self::Stochastic(usual) => rule(usual).map(Self::Stochastic),
            Self::Paper(usual) => method(usual).map(Self::Paper),
            Self::Growing(usual) => method(usual).map(Self::Growing),
            Self::Full(usual) => method(usual).map(Self::Full),
        }
    }

    /// λ of the weight decay unless the user says otherwise, on a set whose classes have [such an
    /// entropy](crate::data::Dataset::class_entropy). A sweep comes near the minimum of loss and penalty, where a
    /// penalty as large as the loss would leave nothing of the network.
    pub fn weight_decay(&self, entropy: f64) -> f64 {
        let [of_sweep, of_others] = WEIGHT_DECAY;
        if self.is_sweep() { of_sweep * entropy } else { of_others }
    }

    /// The same for a model and a plan. With copies that differ λ falls as the root of a long budget. A sweep over a
    /// network that normalises has none: nothing that is normalised depends on the size of what it is made by.
    pub(super) fn weight_decay_of(&self, entropy: f64, model: &Model, plan: &Plan, has_copies: bool) -> f64 {
        if self.is_sweep() && model.is_normalised() {
            return 0.0;
        }
        let units = plan.budget().filter(|_| self.is_sweep() && has_copies).map_or(0.0, Units::count);
        self.weight_decay(entropy) * (LONG_BUDGET / units.max(LONG_BUDGET)).sqrt()
    }

    pub(super) fn is_sweep(&self) -> bool {
        matches!(self, Self::Stochastic(Rule::Sweep(_)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use {MethodName as M, ScheduleName as S};

    #[test]
    fn names_are_schedules_with_the_usual_settings() {
        let (kfac, lbfgs) = (Method::Kfac(Default::default()), Method::Lbfgs(Default::default()));
        let sweep = Schedule::Stochastic(Rule::Sweep(Sweep::default()));
        for (schedule, method, expected) in [
            (None, None, sweep),
            (Some(S::Sweep), Some(M::Kfac), sweep),
            (None, Some(M::Kfac), Schedule::Paper(kfac)),
            (Some(S::Growing), None, Schedule::Growing(kfac)),
            (Some(S::Full), Some(M::Lbfgs), Schedule::Full(lbfgs)),
            (None, Some(M::Ncg), Schedule::Paper(Method::Ncg(Default::default()))),
            (Some(S::Full), Some(M::GaussNewton), Schedule::Full(Method::GaussNewton(Default::default()))),
            (Some(S::Minibatch), None, Schedule::Stochastic(Rule::Adam(Adam::default()))),
            (None, Some(M::Sgd), Schedule::Stochastic(Rule::Sgd(Sgd::default()))),
            (None, Some(M::Muon), Schedule::Stochastic(Rule::Muon(Muon::default()))),
        ] {
            assert_eq!(Schedule::of(schedule, method).unwrap(), expected);
        }
        assert!(Schedule::of(Some(S::Sweep), Some(M::Adam)).is_err());
    }

    #[test]
    fn settings_change_and_the_schedule_stays() {
        let ncg = Method::Ncg(Default::default());
        for schedule in [S::Paper, S::Growing, S::Full] {
            let usual = Schedule::of(Some(schedule), Some(M::Lbfgs)).unwrap();
            let other = usual.with_settings(|_| Ok(ncg), Ok).unwrap();
            assert_eq!(other, Schedule::of(Some(schedule), Some(M::Ncg)).unwrap());
        }
        let adam = Schedule::of(None, Some(M::Adam)).unwrap();
        let other = adam.with_settings(Ok, |_| Ok(Rule::Sgd(Sgd::default()))).unwrap();
        assert_eq!(other, Schedule::of(None, Some(M::Sgd)).unwrap());
    }
}
