//! Reasons to end a stage: a function of the plan and of numbers, without a device.

use super::progress::ProgressScalars;
use crate::cost::Units;
use std::fmt;

/// When a stage ends.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StopRules {
    /// What it may cost.
    pub budget: Units,
    /// Examples of the stage.
    pub examples: usize,
    /// The share of its first norm to which the gradient has to fall; none where a mini-batch's is all that is known.
    pub tolerance: Option<f64>,
    /// Validations in a row without a lower held-out loss; 0: any number.
    pub patience: u64,
    /// Share of the held-out cross entropy below which the stage's own says no more; 0: never.
    pub gap: f64,
    /// What the stage's own is at least.
    pub least: f64,
    /// Share by which two iterations have to lower the loss; 0: any.
    pub stall: f64,
}

/// Why a stage ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StopReason {
    /// Its budget is spent: so many passes over its examples.
    Spent(f64),
    /// The gradient fell to this share.
    Minimum(f64),
    /// So many validations without a lower held-out loss.
    NoLowerHeldOutLoss(u64),
    /// The cross entropy is below this share of the held-out one.
    Gap(f64),
    /// Two iterations lowered the loss by less than this share.
    Stalled(f64),
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spent(passes) => write!(f, "{} passes are spent", (1e3 * passes).round() / 1e3),
            Self::Minimum(tolerance) => write!(f, "the gradient fell to {tolerance:e} of its start"),
            Self::NoLowerHeldOutLoss(times) => write!(f, "validations without a lower held-out loss: {times}"),
            Self::Gap(gap) => write!(f, "the subset's cross entropy is below {gap} of the held-out one"),
            Self::Stalled(stall) => write!(f, "two iterations lowered the loss by less than {stall}"),
        }
    }
}

/// Why a stage ends here, if it does, `spent` of its budget being gone.
pub fn reason_to_stop(rules: &StopRules, spent: Units, at: &ProgressScalars) -> Option<StopReason> {
    let StopRules { budget, examples, tolerance, patience, gap, least, stall } = *rules;
    let reached = tolerance.filter(|tolerance| at.state.gradient_norm <= tolerance * at.initial_gradient_norm);
    let held_out = at.last_validation.map_or(f64::NAN, |(_, held_out)| held_out.loss);
    if spent >= budget {
        Some(StopReason::Spent(budget.passes(examples)))
    } else if let Some(tolerance) = reached {
        Some(StopReason::Minimum(tolerance))
    } else if patience > 0 && at.validations_since_best >= patience {
        Some(StopReason::NoLowerHeldOutLoss(patience))
    } else if at.cross_entropy - least < gap * held_out {
        Some(StopReason::Gap(gap))
    } else if stall > 0.0 && at.state.loss > (1.0 - stall) * at.earlier_losses[1] {
        Some(StopReason::Stalled(stall))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::HeldOut;
    use super::*;
    use crate::optimise::StateScalars;

    const RULES: StopRules = StopRules {
        budget: Units::new(100.0),
        examples: 40,
        tolerance: Some(1e-2),
        patience: 3,
        gap: 0.5,
        least: 0.0,
        stall: 0.1,
    };

    /// In the middle of a stage that has no reason to end.
    fn middle() -> ProgressScalars {
        ProgressScalars {
            state: StateScalars { loss: 1.0, gradient_norm: 0.1, ..StateScalars::default() },
            initial_gradient_norm: 2.0,
            cross_entropy: 0.9,
            earlier_losses: [1.2, 1.5],
            last_validation: Some((4, HeldOut { loss: 1.1, accuracy: 0.5 })),
            validations_since_best: 2,
            ..ProgressScalars::default()
        }
    }

    #[test]
    fn each_reason_ends_a_stage_and_nothing_else_does() {
        let at = middle();
        let state = |loss, gradient_norm| StateScalars { loss, gradient_norm, ..StateScalars::default() };
        let spent = Units::new(99.6);
        let table = [
            ("goes on", spent, at.clone(), None),
            ("budget", Units::new(100.0), at.clone(), Some(StopReason::Spent(2.5))),
            ("gradient", spent, ProgressScalars { state: state(1.0, 0.02), ..at.clone() }, {
                Some(StopReason::Minimum(1e-2))
            }),
            ("patience", spent, ProgressScalars { validations_since_best: 3, ..at.clone() }, {
                Some(StopReason::NoLowerHeldOutLoss(3))
            }),
            ("gap", spent, ProgressScalars { cross_entropy: 0.54, ..at.clone() }, Some(StopReason::Gap(0.5))),
            ("stall", spent, ProgressScalars { earlier_losses: [1.05, 1.1], ..at.clone() }, {
                Some(StopReason::Stalled(0.1))
            }),
            ("no gap", spent, ProgressScalars { cross_entropy: 0.56, ..at.clone() }, None),
            // the budget is named first, then the gradient
            ("both", Units::new(200.0), ProgressScalars { state: state(1.0, 0.0), ..at.clone() }, {
                Some(StopReason::Spent(2.5))
            }),
            (
                "no validation yet",
                spent,
                ProgressScalars { cross_entropy: 0.0, last_validation: None, ..at.clone() },
                None,
            ),
            ("first iteration", spent, ProgressScalars { earlier_losses: [f64::INFINITY; 2], ..at.clone() }, None),
            ("NaN", spent, ProgressScalars { cross_entropy: f64::NAN, state: state(f64::NAN, f64::NAN), ..at }, None),
        ];
        for (name, spent, progress, want) in table {
            assert_eq!(reason_to_stop(&RULES, spent, &progress), want, "{name}");
            let smoothed = ProgressScalars { cross_entropy: progress.cross_entropy + 0.4, ..progress };
            assert_eq!(reason_to_stop(&StopRules { least: 0.4, ..RULES }, spent, &smoothed), want, "{name}, smoothed");
        }
    }

    #[test]
    fn rules_that_are_off_never_end_a_stage() {
        let off = StopRules { budget: Units::new(f64::INFINITY), examples: 40, ..StopRules::default() };
        let at = ProgressScalars {
            state: StateScalars { loss: 9.0, gradient_norm: 0.0, ..StateScalars::default() },
            cross_entropy: 0.0,
            validations_since_best: 1000,
            earlier_losses: [1.0, 1.0],
            ..middle()
        };
        assert_eq!(reason_to_stop(&off, Units::new(1e15), &at), None);
    }

    #[test]
    fn reasons_are_sentences() {
        let said = [StopReason::Spent(4.0 / 3.0), StopReason::Minimum(1e-4)].map(|reason| reason.to_string());
        assert_eq!(said, ["1.333 passes are spent", "the gradient fell to 1e-4 of its start"]);
    }
}
