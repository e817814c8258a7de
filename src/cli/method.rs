//! `--method` and `--schedule`, and what they and the options of each method come to.

use super::given::Given;
use super::method_options::{
    BatchArgs, DampingArgs, GaussNewtonArgs, LbfgsArgs, MethodName, MomentumArgs, MuonArgs, NcgArgs, RateArgs, SgdArgs,
    SweepArgs, check,
};
use super::values::value_name;
use crate::error::{Error, Result};
use crate::optimise::{Adam, BatchPlan, Method, Rule, Sweep};
use crate::run::Schedule;
use clap::{Args, ValueEnum};

/// The schedules by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ScheduleName {
    /// One small disjoint subset after another, a K-FAC step on each, within --budget
    Sweep,
    /// One subset to its minimum, then the full set for a short adaptation
    Paper,
    /// Nested subsets up to the full set, each four times the one before and started from where that ended
    Growing,
    /// The full set alone, as a whole
    Full,
    /// Mini-batches of the full set, within --budget
    Minibatch,
}

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Method (docs/choosing-a-method.md)")]
pub(super) struct MethodArgs {
    /// How the loss is minimised [default: kfac; adam with --schedule minibatch]
    #[arg(long, value_enum, value_name = "NAME")]
    method: Option<MethodName>,
    /// What is minimised, in which order [default: sweep; with --method paper, or minibatch for adam, sgd and muon]
    #[arg(long, value_enum, value_name = "NAME")]
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
        use {MethodName as M, ScheduleName as S};
        let is_stochastic = |method| matches!(method, M::Adam | M::Sgd | M::Muon);
        let (schedule, method) = match (self.schedule, self.method) {
            (None, None) => (S::Sweep, M::Kfac),
            (None, Some(method)) if is_stochastic(method) => (S::Minibatch, method),
            (None, Some(method)) => (S::Paper, method),
            (Some(S::Minibatch), None) => (S::Minibatch, M::Adam),
            (Some(schedule), None) => (schedule, M::Kfac),
            (Some(schedule), Some(method)) => (schedule, method),
        };
        let fits = match schedule {
            S::Sweep => method == M::Kfac,
            S::Minibatch => is_stochastic(method),
            S::Paper | S::Growing | S::Full => !is_stochastic(method),
        };
        if fits {
            return Ok((schedule, method));
        }
        let of = match schedule {
            S::Sweep => "--schedule sweep takes kfac alone",
            S::Minibatch => "--schedule minibatch takes muon, adam or sgd",
            _ => "adam, sgd and muon go with --schedule minibatch",
        };
        Err(Error::usage(format!("--method {}: {of}", value_name(&method))))
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
        let method = match method {
            MethodName::Kfac if is_sweep => {
                return Ok(Schedule::Stochastic(Rule::Sweep(sweep.settings(damping, momentum, batches))));
            }
            MethodName::Adam => {
                let defaults = Adam::default();
                let adam = Adam { batches: rate.settings(batches, defaults.batches), ..defaults };
                return Ok(Schedule::Stochastic(Rule::Adam(adam)));
            }
            MethodName::Sgd => return Ok(Schedule::Stochastic(Rule::Sgd(sgd.settings(momentum, rate, batches)))),
            MethodName::Muon => return Ok(Schedule::Stochastic(Rule::Muon(muon.settings(momentum, rate, batches)))),
            MethodName::Kfac => Method::Kfac(damping.kfac()),
            MethodName::Lbfgs => Method::Lbfgs(lbfgs.settings()),
            MethodName::Ncg => Method::Ncg(ncg.settings()),
            MethodName::GaussNewton => Method::GaussNewton(gauss_newton.settings(damping)),
        };
        Ok(match schedule {
            ScheduleName::Growing => Schedule::Growing(method),
            ScheduleName::Full => Schedule::Full(method),
            _ => Schedule::Paper(method),
        })
    }

    /// How mini-batches are made up, as this says, or as in a sweep.
    pub(super) fn batches_of_sweep(&self) -> BatchPlan {
        self.batches.settings(Sweep::default().batches)
    }
}
