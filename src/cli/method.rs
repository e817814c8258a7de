//! `--method` and the options of each.

use super::choices::{Switch, non_negative};
use super::values;
use crate::error::{Error, Result};
use crate::optimise::{
    Adam, BatchPlan, Beta, Decay, GaussNewtonSettings, KfacSettings, LbfgsSettings, Method, NcgSettings,
    Preconditioner, Sgd, Sweep,
};
use crate::subset;
use clap::{Args, ValueEnum};

/// Options of the mini-batch methods that the sweep has as well.
const IN_SWEEP: [&str; 2] = ["--batch", "--screen"];

/// The methods by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Name {
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

/// β of nonlinear conjugate gradients.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum BetaName {
    /// Polak and Ribière's, not below zero
    PolakRibierePlus,
    /// Hager and Zhang's
    HagerZhang,
}

/// How the learning rate falls.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum DecayName {
    /// Not at all
    Constant,
    /// Half a cosine to zero
    Cosine,
    /// Linearly to zero
    Linear,
}

/// What speeds up the inner iteration of `gauss-newton`.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum PreconditionerName {
    /// Nothing
    None,
    /// Kronecker factors
    Kronecker,
    /// Their diagonals
    Diagonal,
}

#[derive(Args)]
#[command(next_help_heading = "Method (docs/choosing-a-method.md)")]
pub(super) struct MethodArgs {
    /// How the loss is minimised [default: kfac; adam with --schedule minibatch]
    #[arg(long, value_enum, value_name = "NAME")]
    method: Option<Name>,
    /// What is minimised, in which order [default: sweep; with --method paper, or minibatch for adam and sgd]
    #[arg(long, value_name = "NAME", value_parser = values::schedule())]
    schedule: Option<subset::Name>,
    /// ncg: the formula for β [default: polak-ribiere-plus]
    #[arg(long, value_enum, value_name = "NAME")]
    beta: Option<BetaName>,
    /// lbfgs: pairs remembered [default: 20]
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pairs: Option<u32>,
    /// kfac, gauss-newton: λ added to the curvature in the first step [default: 0.01, 0.1; 0.1 in a sweep]
    #[arg(long, value_name = "LAMBDA", value_parser = non_negative, allow_negative_numbers = true)]
    damping: Option<f64>,
    /// gauss-newton: what speeds up its inner iteration [default: none]
    #[arg(long, value_enum, value_name = "NAME")]
    preconditioner: Option<PreconditionerName>,
    /// gauss-newton: inner iterations of a step, at most [default: 50]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    inner_iterations: Option<u32>,
    /// adam, sgd: the largest learning rate [default: 8e-3, 0.05]
    #[arg(long, value_name = "RATE", value_parser = non_negative, allow_negative_numbers = true)]
    learning_rate: Option<f64>,
    /// sweep, adam, sgd: examples of a mini-batch [default: 192, 32, 32]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    batch: Option<u32>,
    /// adam, sgd: epochs over which the learning rate rises from zero [default: 0.1]
    #[arg(long, value_name = "EPOCHS", value_parser = non_negative, allow_negative_numbers = true)]
    warm_up: Option<f64>,
    /// adam, sgd: how the learning rate falls then [default: linear]
    #[arg(long, value_enum, value_name = "NAME")]
    decay: Option<DecayName>,
    /// adam, sgd: only the examples of a mini-batch that are worth it go backward
    #[arg(long)]
    select: bool,
    /// sweep, adam, sgd: a linear model tells first which examples are worth it (docs/how-a-run-works.md) [default: on, off, off]
    #[arg(long, value_enum, value_name = "on|off")]
    screen: Option<Switch>,
    /// adam, sgd: keep a running average of the weights
    #[arg(long)]
    average: bool,
    /// sgd: how much of the velocity is kept [default: 0.9]
    #[arg(long, value_name = "MU", value_parser = non_negative, allow_negative_numbers = true)]
    momentum: Option<f64>,
    /// sgd: Nesterov's momentum
    #[arg(long)]
    nesterov: bool,
}

impl MethodArgs {
    /// Schedule and method, each as the other suggests where it is not given.
    fn names(&self) -> Result<(subset::Name, Name)> {
        let is_stochastic = |method| matches!(method, Name::Adam | Name::Sgd);
        let (schedule, method) = match (self.schedule, self.method) {
            (None, None) => (subset::Name::Sweep, Name::Kfac),
            (None, Some(method)) if is_stochastic(method) => (subset::Name::Minibatch, method),
            (None, Some(method)) => (subset::Name::Paper, method),
            (Some(subset::Name::Minibatch), None) => (subset::Name::Minibatch, Name::Adam),
            (Some(schedule), None) => (schedule, Name::Kfac),
            (Some(schedule), Some(method)) => (schedule, method),
        };
        let fits = match schedule {
            subset::Name::Sweep => method == Name::Kfac,
            subset::Name::Minibatch => is_stochastic(method),
            subset::Name::Paper | subset::Name::Growing | subset::Name::Full => !is_stochastic(method),
        };
        if fits {
            return Ok((schedule, method));
        }
        let of = match schedule {
            subset::Name::Sweep => "--schedule sweep takes kfac alone",
            subset::Name::Minibatch => "--schedule minibatch takes adam or sgd",
            _ => "adam and sgd go with --schedule minibatch",
        };
        Err(Error::usage(format!("--method {}: {of}", value_name(&method))))
    }

    /// The schedule's name, and the method with its choices.
    ///
    /// # Errors
    /// [`Error::Usage`] for an option that is another method's, and a method that is no match for the schedule.
    pub fn choose(&self, seed: u64) -> Result<(subset::Name, Method)> {
        let (schedule, name) = self.names()?;
        self.check(schedule, name)?;
        let method = if schedule == subset::Name::Sweep { self.sweep(seed) } else { self.method(name, seed) };
        Ok((schedule, method))
    }

    fn sweep(&self, seed: u64) -> Method {
        let Sweep { training, damping, .. } = Sweep::default();
        let batch = self.batch.map_or(training.batch, |batch| batch as usize);
        let damping = self.damping.unwrap_or(damping);
        let screen = self.screen.map_or(training.screen, Switch::is_on);
        Method::Sweep(Sweep { damping, training: BatchPlan { batch, screen, seed, ..training }, ..Sweep::default() })
    }

    fn method(&self, name: Name, seed: u64) -> Method {
        let training = |defaults: BatchPlan| BatchPlan {
            learning_rate: self.learning_rate.unwrap_or(defaults.learning_rate),
            batch: self.batch.map_or(defaults.batch, |batch| batch as usize),
            warm_up: self.warm_up.unwrap_or(defaults.warm_up),
            schedule: match self.decay {
                None => defaults.schedule,
                Some(DecayName::Constant) => Decay::Constant,
                Some(DecayName::Cosine) => Decay::Cosine,
                Some(DecayName::Linear) => Decay::Linear,
            },
            select: self.select,
            screen: self.screen.is_some_and(Switch::is_on),
            average: self.average,
            seed,
            ..defaults
        };
        match name {
            Name::Kfac => {
                let defaults = KfacSettings::default();
                Method::Kfac(KfacSettings { damping: self.damping.unwrap_or(defaults.damping), ..defaults })
            }
            Name::Lbfgs => {
                let defaults = LbfgsSettings::default();
                let memory = self.pairs.map_or(defaults.memory, |pairs| pairs as usize);
                Method::Lbfgs(LbfgsSettings { memory, ..defaults })
            }
            Name::Ncg => {
                let beta = match self.beta {
                    None | Some(BetaName::PolakRibierePlus) => Beta::PolakRibierePlus,
                    Some(BetaName::HagerZhang) => Beta::HagerZhang,
                };
                Method::Ncg(NcgSettings { beta, ..NcgSettings::default() })
            }
            Name::GaussNewton => {
                let defaults = GaussNewtonSettings::default();
                Method::GaussNewton(GaussNewtonSettings {
                    damping: self.damping.unwrap_or(defaults.damping),
                    iterations: self.inner_iterations.map_or(defaults.iterations, |n| n as usize),
                    preconditioner: match self.preconditioner {
                        None | Some(PreconditionerName::None) => Preconditioner::None,
                        Some(PreconditionerName::Kronecker) => Preconditioner::Kronecker,
                        Some(PreconditionerName::Diagonal) => Preconditioner::Diagonal,
                    },
                    ..defaults
                })
            }
            Name::Adam => {
                let defaults = Adam::default();
                Method::Adam(Adam { training: training(defaults.training), ..defaults })
            }
            Name::Sgd => {
                let defaults = Sgd::default();
                Method::Sgd(Sgd {
                    momentum: self.momentum.unwrap_or(defaults.momentum),
                    nesterov: self.nesterov,
                    training: training(defaults.training),
                })
            }
        }
    }

    /// Whether every option given is one of the method's.
    fn check(&self, schedule: subset::Name, method: Name) -> Result<()> {
        use Name::{Adam, GaussNewton, Kfac, Lbfgs, Ncg, Sgd};
        let given: [(&str, bool, &[Name]); 14] = [
            ("--beta", self.beta.is_some(), &[Ncg]),
            ("--pairs", self.pairs.is_some(), &[Lbfgs]),
            ("--damping", self.damping.is_some(), &[Kfac, GaussNewton]),
            ("--preconditioner", self.preconditioner.is_some(), &[GaussNewton]),
            ("--inner-iterations", self.inner_iterations.is_some(), &[GaussNewton]),
            ("--learning-rate", self.learning_rate.is_some(), &[Adam, Sgd]),
            ("--batch", self.batch.is_some(), &[Adam, Sgd]),
            ("--warm-up", self.warm_up.is_some(), &[Adam, Sgd]),
            ("--decay", self.decay.is_some(), &[Adam, Sgd]),
            ("--select", self.select, &[Adam, Sgd]),
            ("--screen", self.screen.is_some(), &[Adam, Sgd]),
            ("--average", self.average, &[Adam, Sgd]),
            ("--momentum", self.momentum.is_some(), &[Sgd]),
            ("--nesterov", self.nesterov, &[Sgd]),
        ];
        let is_of = |option: &str, of: &[Name]| {
            of.contains(&method) || (schedule == subset::Name::Sweep && IN_SWEEP.contains(&option))
        };
        match given.iter().find(|(option, is_given, of)| *is_given && !is_of(option, of)) {
            None => Ok(()),
            Some((option, _, of)) => Err(Error::usage(format!(
                "{option}: an option of {}--method {}, not of {}",
                if IN_SWEEP.contains(option) { "--schedule sweep, or of " } else { "" },
                of.iter().map(value_name).collect::<Vec<_>>().join(" or "),
                value_name(&method)
            ))),
        }
    }
}

/// A value as the command line has it.
pub(super) fn value_name(value: &impl ValueEnum) -> String {
    value.to_possible_value().map_or(String::new(), |value| value.get_name().to_owned())
}
