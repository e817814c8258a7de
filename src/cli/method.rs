//! `--method`, `--schedule` and the options of each method: a struct a method, which says whose options it holds and
//! turns them into the method's settings. Options that methods share are a struct of their own.

use super::given::Given;
use super::values::{Switch, named, non_negative, value_name};
use crate::error::{Error, Result};
use crate::optimise::{
    Adam, BatchPlan, Beta, Decay, GaussNewtonSettings, KfacSettings, LbfgsSettings, Method, NcgSettings,
    Preconditioner, Rule, Sgd, Sweep,
};
use crate::run::Schedule;
use clap::{Args, ValueEnum};

/// The methods by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum MethodName {
    /// K-FAC with exact steps and momentum: fewest passes over a subset
    Kfac,
    /// Limited-memory BFGS
    Lbfgs,
    /// Nonlinear conjugate gradients
    Ncg,
    /// Hessian-free Gauss-Newton: truncated conjugate gradients in each step
    GaussNewton,
    /// Adam on mini-batches of the full set
    Adam,
    /// Stochastic gradient descent with momentum on mini-batches of the full set
    Sgd,
}

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

const BETAS: &[(Beta, &str)] =
    &[(Beta::PolakRibierePlus, "Polak and Ribière's, not below zero"), (Beta::HagerZhang, "Hager and Zhang's")];

const DECAYS: &[(Decay, &str)] =
    &[(Decay::Constant, "Not at all"), (Decay::Cosine, "Half a cosine to zero"), (Decay::Linear, "Linearly to zero")];

const PRECONDITIONERS: &[(Preconditioner, &str)] = &[
    (Preconditioner::None, "Nothing"),
    (Preconditioner::Kronecker, "Kronecker factors"),
    (Preconditioner::Diagonal, "Their diagonals"),
];

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Method (docs/choosing-a-method.md)")]
pub(super) struct MethodArgs {
    /// How the loss is minimised [default: kfac; adam with --schedule minibatch]
    #[arg(long, value_enum, value_name = "NAME")]
    method: Option<MethodName>,
    /// What is minimised, in which order [default: sweep; with --method paper, or minibatch for adam and sgd]
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
    sgd: SgdArgs,
}

/// Options that only some methods take.
trait Options: Args {
    /// Whose they are.
    const OF: &'static [MethodName];

    /// Whether a sweep takes them as well.
    const IN_SWEEP: bool = false;
}

/// Nonlinear conjugate gradients.
#[derive(Args, Clone, Debug)]
struct NcgArgs {
    /// ncg: the formula for β [default: polak-ribiere-plus]
    #[arg(long, value_parser = named(BETAS), value_name = "NAME")]
    beta: Option<Beta>,
}

impl Options for NcgArgs {
    const OF: &'static [MethodName] = &[MethodName::Ncg];
}

impl NcgArgs {
    fn settings(&self) -> NcgSettings {
        let defaults = NcgSettings::default();
        NcgSettings { beta: self.beta.unwrap_or(defaults.beta), ..defaults }
    }
}

/// L-BFGS.
#[derive(Args, Clone, Debug)]
struct LbfgsArgs {
    /// lbfgs: pairs remembered [default: 20]
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pairs: Option<u32>,
}

impl Options for LbfgsArgs {
    const OF: &'static [MethodName] = &[MethodName::Lbfgs];
}

impl LbfgsArgs {
    fn settings(&self) -> LbfgsSettings {
        let defaults = LbfgsSettings::default();
        LbfgsSettings { memory: self.pairs.map_or(defaults.memory, |pairs| pairs as usize), ..defaults }
    }
}

/// K-FAC, alone and in a sweep, and Gauss-Newton.
#[derive(Args, Clone, Debug)]
struct DampingArgs {
    /// kfac, gauss-newton: λ added to the curvature in the first step [default: 0.01, 0.1; 0.1 in a sweep]
    #[arg(long, value_name = "LAMBDA", value_parser = non_negative)]
    damping: Option<f64>,
}

impl Options for DampingArgs {
    const OF: &'static [MethodName] = &[MethodName::Kfac, MethodName::GaussNewton];
}

impl DampingArgs {
    fn kfac(&self) -> KfacSettings {
        let defaults = KfacSettings::default();
        KfacSettings { damping: self.damping.unwrap_or(defaults.damping), ..defaults }
    }
}

/// Gauss-Newton.
#[derive(Args, Clone, Debug)]
struct GaussNewtonArgs {
    /// gauss-newton: what speeds up its inner iteration [default: none]
    #[arg(long, value_parser = named(PRECONDITIONERS), value_name = "NAME")]
    preconditioner: Option<Preconditioner>,
    /// gauss-newton: inner iterations of a step, at most [default: 50]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    inner_iterations: Option<u32>,
}

impl Options for GaussNewtonArgs {
    const OF: &'static [MethodName] = &[MethodName::GaussNewton];
}

impl GaussNewtonArgs {
    fn settings(&self, damping: &DampingArgs) -> GaussNewtonSettings {
        let defaults = GaussNewtonSettings::default();
        GaussNewtonSettings {
            damping: damping.damping.unwrap_or(defaults.damping),
            iterations: self.inner_iterations.map_or(defaults.iterations, |n| n as usize),
            preconditioner: self.preconditioner.unwrap_or(defaults.preconditioner),
            ..defaults
        }
    }
}

/// The conventional baselines.
#[derive(Args, Clone, Debug)]
struct RateArgs {
    /// adam, sgd: the largest learning rate [default: 8e-3, 0.05]
    #[arg(long, value_name = "RATE", value_parser = non_negative)]
    learning_rate: Option<f64>,
    /// adam, sgd: epochs over which the learning rate rises from zero [default: 0.1]
    #[arg(long, value_name = "EPOCHS", value_parser = non_negative)]
    warm_up: Option<f64>,
    /// adam, sgd: how the learning rate falls then [default: linear]
    #[arg(long, value_parser = named(DECAYS), value_name = "NAME")]
    decay: Option<Decay>,
    /// adam, sgd: only the examples of a mini-batch that are worth it go backward
    #[arg(long)]
    select: bool,
    /// adam, sgd: keep a running average of the weights
    #[arg(long)]
    average: bool,
}

impl Options for RateArgs {
    const OF: &'static [MethodName] = &[MethodName::Adam, MethodName::Sgd];
}

impl RateArgs {
    fn settings(&self, batches: &BatchArgs, defaults: BatchPlan) -> BatchPlan {
        BatchPlan {
            learning_rate: self.learning_rate.unwrap_or(defaults.learning_rate),
            warm_up: self.warm_up.unwrap_or(defaults.warm_up),
            decay: self.decay.unwrap_or(defaults.decay),
            select: self.select,
            average: self.average,
            ..batches.settings(defaults)
        }
    }
}

/// All that go over mini-batches.
#[derive(Args, Clone, Debug)]
struct BatchArgs {
    /// sweep, adam, sgd: examples of a mini-batch [default: 192, 32, 32]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    batch: Option<u32>,
    /// sweep, adam, sgd: a linear model tells first which examples are worth it (docs/how-a-run-works.md) [default: on,
    /// off, off]
    #[arg(long, value_enum, value_name = "on|off")]
    screen: Option<Switch>,
}

impl Options for BatchArgs {
    const OF: &'static [MethodName] = &[MethodName::Adam, MethodName::Sgd];
    const IN_SWEEP: bool = true;
}

impl BatchArgs {
    fn settings(&self, defaults: BatchPlan) -> BatchPlan {
        let batch = self.batch.map_or(defaults.batch, |batch| batch as usize);
        BatchPlan { batch, screen: self.screen.map_or(defaults.screen, Switch::is_on), ..defaults }
    }
}

/// Stochastic gradient descent.
#[derive(Args, Clone, Debug)]
struct SgdArgs {
    /// sgd: how much of the velocity is kept [default: 0.9]
    #[arg(long, value_name = "MU", value_parser = non_negative)]
    momentum: Option<f64>,
    /// sgd: Nesterov's momentum
    #[arg(long)]
    nesterov: bool,
}

impl Options for SgdArgs {
    const OF: &'static [MethodName] = &[MethodName::Sgd];
}

impl SgdArgs {
    fn settings(&self, rate: &RateArgs, batches: &BatchArgs) -> Sgd {
        let defaults = Sgd::default();
        let momentum = self.momentum.unwrap_or(defaults.momentum);
        Sgd { momentum, nesterov: self.nesterov, batches: rate.settings(batches, defaults.batches) }
    }
}

impl MethodArgs {
    /// Schedule and method, each as the other suggests where it is not given.
    ///
    /// # Errors
    /// [`Error::Usage`] for a method that is no match for the schedule.
    pub(super) fn names(&self) -> Result<(ScheduleName, MethodName)> {
        use {MethodName as M, ScheduleName as S};
        let is_stochastic = |method| matches!(method, M::Adam | M::Sgd);
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
            S::Minibatch => "--schedule minibatch takes adam or sgd",
            _ => "adam and sgd go with --schedule minibatch",
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
        check::<SgdArgs>(given, is_sweep, method)?;
        let Self { ncg, lbfgs, damping, gauss_newton, rate, batches, sgd, .. } = self;
        let method = match method {
            MethodName::Kfac if is_sweep => {
                let Sweep { batches: defaults, damping: usual, .. } = Sweep::default();
                let damping = damping.damping.unwrap_or(usual);
                let sweep = Sweep { damping, batches: batches.settings(defaults), ..Sweep::default() };
                return Ok(Schedule::Stochastic(Rule::Sweep(sweep)));
            }
            MethodName::Adam => {
                let defaults = Adam::default();
                let adam = Adam { batches: rate.settings(batches, defaults.batches), ..defaults };
                return Ok(Schedule::Stochastic(Rule::Adam(adam)));
            }
            MethodName::Sgd => return Ok(Schedule::Stochastic(Rule::Sgd(sgd.settings(rate, batches)))),
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

    /// Whether screening was switched on or off.
    pub(super) fn screen(&self) -> Option<bool> {
        self.batches.screen.map(Switch::is_on)
    }
}

/// Whether no option of a group was given that is another method's.
fn check<G: Options>(given: &Given, is_sweep: bool, method: MethodName) -> Result<()> {
    let fits = G::OF.contains(&method) || is_sweep && G::IN_SWEEP;
    match given.first_of::<G>().filter(|_| !fits) {
        None => Ok(()),
        Some(option) => Err(Error::usage(format!(
            "{option}: an option of {}--method {}, not of {}",
            if G::IN_SWEEP { "--schedule sweep, or of " } else { "" },
            G::OF.iter().map(value_name).collect::<Vec<_>>().join(" or "),
            value_name(&method)
        ))),
    }
}
