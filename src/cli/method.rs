//! `--method` and `--schedule`, and what they and the options of each method come to.

use super::given::Given;
use super::method_options::{
    BatchArgs, DampingArgs, GaussNewtonArgs, LbfgsArgs, MomentumArgs, MuonArgs, NcgArgs, RateArgs, SgdArgs, SweepArgs,
    check,
};
use super::values::named;
use crate::error::{Error, Result, UsageError};
use crate::optimise::{Adam, BatchPlan, Method, Rule, Sweep};
use crate::run::{MethodName, Schedule, ScheduleName, pairing};
use clap::Args;

const SCHEDULES: &[(ScheduleName, &str)] = &[
    (ScheduleName::Sweep, "One small disjoint subset after another, a K-FAC step on each, within --budget"),
    (ScheduleName::Paper, "One subset to its minimum, then the full set for a short adaptation"),
    (
        ScheduleName::Growing,
        "Nested subsets up to the full set, each four times the one before and started from where that ended",
    ),
    (ScheduleName::Full, "The full set alone, as a whole"),
    (ScheduleName::Minibatch, "Mini-batches of the full set, within --budget"),
];

const METHODS: &[(MethodName, &str)] = &[
    (MethodName::Kfac, "K-FAC with exact steps and momentum: fewest passes over a subset"),
    (MethodName::Lbfgs, "Limited-memory BFGS"),
    (MethodName::Ncg, "Nonlinear conjugate gradients"),
    (MethodName::GaussNewton, "Hessian-free Gauss-Newton: truncated conjugate gradients in each step"),
    (MethodName::Adam, "Adam on mini-batches of the full set"),
    (MethodName::Sgd, "Stochastic gradient descent with momentum on mini-batches of the full set"),
    (
        MethodName::Muon,
        "Muon on mini-batches of the full set: orthogonalised momentum for hidden weights, Adam for the rest",
    ),
];

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Method (docs/choosing-a-method.md)")]
pub(super) struct MethodArgs {
    /// How the loss is minimised [default: kfac; adam with --schedule minibatch]
    #[arg(long, value_parser = named(METHODS), value_name = "NAME")]
    method: Option<MethodName>,
    /// What is minimised, in which order [default: sweep; with --method paper, or minibatch for adam, sgd and muon]
    #[arg(long, value_parser = named(SCHEDULES), value_name = "NAME")]
    schedule: Option<ScheduleName>,
    #[command(flatten)]
    ncg: NcgArgs,
    #[command(flatten)]
    lbfgs: LbfgsArgs,
    #[command(flatten)]
    damping: DampingArgs,
    #[command(flatten)]
    gauss_newton: GaussNewtonArgs,
    #[command(flatten)]
    rate: RateArgs,
    #[command(flatten)]
    batches: BatchArgs,
    #[command(flatten)]
    momentum: MomentumArgs,
    #[command(flatten)]
    sgd: SgdArgs,
    #[command(flatten)]
    muon: MuonArgs,
    #[command(flatten)]
    sweep: SweepArgs,
}

impl MethodArgs {
    /// Schedule and method, each as the other suggests where it is not given.
    ///
    /// # Errors
    /// [`Error::Usage`] for a method that is no match for the schedule.
    pub(super) fn names(&self) -> Result<(ScheduleName, MethodName)> {
        pairing(self.schedule, self.method).map_err(|error| match error {
            Error::Usage(UsageError::Mismatch { method, why: [who, goes_with], .. }) => {
                Error::usage(format!("--method {method}: {who}--schedule {goes_with}"))
            }
            other => other,
        })
    }

    /// The schedule, with the method and its settings.
    ///
    /// # Errors
    /// [`Error::Usage`] for an option that is another method's, and a method that is no match for the schedule.
    pub(super) fn choose(&self, given: &Given) -> Result<Schedule> {
        let (schedule, method) = self.names()?;
        let is_sweep = schedule == ScheduleName::Sweep;
        check::<NcgArgs>(given, is_sweep, method)?;
        check::<LbfgsArgs>(given, is_sweep, method)?;
        check::<DampingArgs>(given, is_sweep, method)?;
        check::<GaussNewtonArgs>(given, is_sweep, method)?;
        check::<RateArgs>(given, is_sweep, method)?;
        check::<BatchArgs>(given, is_sweep, method)?;
        check::<MomentumArgs>(given, is_sweep, method)?;
        check::<SgdArgs>(given, is_sweep, method)?;
        check::<MuonArgs>(given, is_sweep, method)?;
        check::<SweepArgs>(given, is_sweep, method)?;
        let Self { ncg, lbfgs, damping, gauss_newton, rate, batches, momentum, sgd, muon, sweep, .. } = self;
        Schedule::of(Some(schedule), Some(method))?.with_settings(
            |method| {
                Ok(match method {
                    Method::Kfac(_) => Method::Kfac(damping.kfac()),
                    Method::Lbfgs(_) => Method::Lbfgs(lbfgs.settings()),
                    Method::Ncg(_) => Method::Ncg(ncg.settings()),
                    Method::GaussNewton(_) => Method::GaussNewton(gauss_newton.settings(damping)),
                })
            },
            |rule| {
                Ok(match rule {
                    Rule::Sweep(_) => Rule::Sweep(sweep.settings(damping, momentum, batches)),
                    Rule::Adam(adam) => Rule::Adam(Adam { batches: rate.settings(batches, adam.batches), ..adam }),
                    Rule::Sgd(_) => Rule::Sgd(sgd.settings(momentum, rate, batches)),
                    Rule::Muon(_) => Rule::Muon(muon.settings(momentum, rate, batches)),
                })
            },
        )
    }

    /// How mini-batches are made up, as this says, or as in a sweep.
    pub(super) fn batches_of_sweep(&self) -> BatchPlan {
        self.batches.settings(Sweep::default().batches)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_offered() {
        assert_eq!(METHODS.iter().map(|(method, _)| *method).collect::<Vec<_>>(), MethodName::ALL);
        assert_eq!(SCHEDULES.iter().map(|(schedule, _)| *schedule).collect::<Vec<_>>(), ScheduleName::ALL);
    }
}
