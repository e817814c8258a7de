//! The options of each method: a struct a method, which says whose options it holds and turns them into the method's
//! settings. Options that methods share are a struct of their own.

use super::given::Given;
use super::values::{Switch, named, non_negative, probability};
use crate::batch::Looks;
use crate::error::{Error, Result};
use crate::optimise::{
    BatchPlan, Beta, Decay, GaussNewtonSettings, Importance, KfacSettings, LbfgsSettings, Muon, NcgSettings,
    Preconditioner, Sgd, Sweep,
};
use crate::run::MethodName;
use clap::Args;

const BETAS: &[(Beta, &str)] =
    &[(Beta::PolakRibierePlus, "Polak and Ribière's, not below zero"), (Beta::HagerZhang, "Hager and Zhang's")];

const DECAYS: &[(Decay, &str)] =
    &[(Decay::Constant, "Not at all"), (Decay::Cosine, "Half a cosine to zero"), (Decay::Linear, "Linearly to zero")];

const PRECONDITIONERS: &[(Preconditioner, &str)] = &[
    (Preconditioner::None, "Nothing"),
    (Preconditioner::Kronecker, "Kronecker factors"),
    (Preconditioner::Diagonal, "Their diagonals"),
];

/// Options that only some methods take.
pub(super) trait Options: Args {
    /// Whose they are.
    const OF: &'static [MethodName];

    /// Whether a sweep takes them as well.
    const IN_SWEEP: bool = false;
}

/// Nonlinear conjugate gradients.
#[derive(Args, Clone, Debug)]
pub(super) struct NcgArgs {
    /// ncg: the formula for β [default: polak-ribiere-plus]
    #[arg(long, value_parser = named(BETAS), value_name = "NAME")]
    beta: Option<Beta>,
}

impl Options for NcgArgs {
    const OF: &'static [MethodName] = &[MethodName::Ncg];
}

impl NcgArgs {
    pub(super) fn settings(&self) -> NcgSettings {
        let defaults = NcgSettings::default();
        NcgSettings { beta: self.beta.unwrap_or(defaults.beta), ..defaults }
    }
}

/// L-BFGS.
#[derive(Args, Clone, Debug)]
pub(super) struct LbfgsArgs {
    /// lbfgs: pairs remembered [default: 20]
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pairs: Option<u32>,
}

impl Options for LbfgsArgs {
    const OF: &'static [MethodName] = &[MethodName::Lbfgs];
}

impl LbfgsArgs {
    pub(super) fn settings(&self) -> LbfgsSettings {
        let defaults = LbfgsSettings::default();
        LbfgsSettings { memory: self.pairs.map_or(defaults.memory, |pairs| pairs as usize), ..defaults }
    }
}

/// K-FAC, alone and in a sweep, and Gauss-Newton.
#[derive(Args, Clone, Debug)]
pub(super) struct DampingArgs {
    /// kfac, gauss-newton: λ added to the curvature in the first step [default: 0.01, 0.1; 0.03 in a sweep]
    #[arg(long, value_name = "LAMBDA", value_parser = non_negative)]
    damping: Option<f64>,
}

impl Options for DampingArgs {
    const OF: &'static [MethodName] = &[MethodName::Kfac, MethodName::GaussNewton];
}

impl DampingArgs {
    pub(super) fn kfac(&self) -> KfacSettings {
        let defaults = KfacSettings::default();
        KfacSettings { damping: self.damping.unwrap_or(defaults.damping), ..defaults }
    }
}

/// Gauss-Newton.
#[derive(Args, Clone, Debug)]
pub(super) struct GaussNewtonArgs {
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
    pub(super) fn settings(&self, damping: &DampingArgs) -> GaussNewtonSettings {
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
pub(super) struct RateArgs {
    /// adam, sgd, muon: the largest learning rate [default: 8e-3, 0.05, 0.1]
    #[arg(long, value_name = "RATE", value_parser = non_negative)]
    learning_rate: Option<f64>,
    /// adam, sgd, muon: epochs over which the learning rate rises from zero [default: 0.1, 0.1, 0.05]
    #[arg(long, value_name = "EPOCHS", value_parser = non_negative)]
    warm_up: Option<f64>,
    /// adam, sgd, muon: how the learning rate falls then [default: linear]
    #[arg(long, value_parser = named(DECAYS), value_name = "NAME")]
    decay: Option<Decay>,
    /// adam, sgd, muon: only the examples of a mini-batch that are worth it go backward
    #[arg(long)]
    select: bool,
    /// adam, sgd, muon: keep a running average of the weights
    #[arg(long)]
    average: bool,
}

impl Options for RateArgs {
    const OF: &'static [MethodName] = &[MethodName::Adam, MethodName::Sgd, MethodName::Muon];
}

impl RateArgs {
    pub(super) fn settings(&self, batches: &BatchArgs, defaults: BatchPlan) -> BatchPlan {
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
pub(super) struct BatchArgs {
    /// sweep, adam, sgd, muon: examples of a mini-batch [default: √units of the budget / 2 up to
    /// 128, 32, 32, 128]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    batch: Option<u32>,
    /// sweep, adam, sgd, muon: a linear model tells first which examples are worth it (docs/how-a-run-works.md)
    /// [default: on, off, off, off]
    #[arg(long, value_enum, value_name = "on|off")]
    pub(super) screen: Option<Switch>,
    /// sweep, adam, sgd, muon: the linear model learns from one in so many examples, at most; Q = 20 is enough for it
    /// [default: 20]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    screen_one_in: Option<u32>,
    /// sweep, adam, sgd, muon: it sees means of pixels, so many of the longer side at most [default: 8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    screen_side: Option<u32>,
    /// sweep, adam, sgd, muon: no example is less likely to be one of an epoch's, where they are screened
    /// [default: 0.05]
    #[arg(long, value_name = "P", value_parser = probability)]
    least_chance: Option<f64>,
    /// sweep, adam, sgd, muon: an example that is drawn with probability P counts (1/P)^α; 1 is without bias, less
    /// makes steps less noisy and easy examples count too little [default: 0.6]
    #[arg(long, value_name = "ALPHA", value_parser = non_negative)]
    weight_power: Option<f64>,
    /// sweep, adam, sgd, muon: spread the examples of each class evenly over an epoch [default: on, off, off, off]
    #[arg(long, value_enum, value_name = "on|off")]
    spread: Option<Switch>,
}

impl Options for BatchArgs {
    const OF: &'static [MethodName] = &[MethodName::Adam, MethodName::Sgd, MethodName::Muon];
    const IN_SWEEP: bool = true;
}

impl BatchArgs {
    pub(super) fn settings(&self, defaults: BatchPlan) -> BatchPlan {
        let batch = self.batch.map_or(defaults.batch, |batch| batch as usize);
        let usual = defaults.importance;
        let importance = Importance {
            one_in: self.screen_one_in.map_or(usual.one_in, |n| n as usize),
            side: self.screen_side.map_or(usual.side, |n| n as usize),
            least: self.least_chance.unwrap_or(usual.least),
            power: self.weight_power.unwrap_or(usual.power),
        };
        let is_on = |given: Option<Switch>, usual| given.map_or(usual, Switch::is_on);
        let [screen, spread] =
            [(self.screen, defaults.screen), (self.spread, defaults.spread)].map(|(g, u)| is_on(g, u));
        BatchPlan { batch, screen, spread, importance, ..defaults }
    }
}

/// Stochastic gradient descent, Muon and the sweep.
#[derive(Args, Clone, Debug)]
pub(super) struct MomentumArgs {
    /// sweep, sgd, muon: how much of the velocity is kept [default: 0.85, 0.9, 0.9]
    #[arg(long, value_name = "MU", value_parser = non_negative)]
    momentum: Option<f64>,
}

impl Options for MomentumArgs {
    const OF: &'static [MethodName] = &[MethodName::Sgd, MethodName::Muon];
    const IN_SWEEP: bool = true;
}

/// Stochastic gradient descent.
#[derive(Args, Clone, Debug)]
pub(super) struct SgdArgs {
    /// sgd: Nesterov's momentum
    #[arg(long)]
    nesterov: bool,
}

impl Options for SgdArgs {
    const OF: &'static [MethodName] = &[MethodName::Sgd];
}

impl SgdArgs {
    pub(super) fn settings(&self, momentum: &MomentumArgs, rate: &RateArgs, batches: &BatchArgs) -> Sgd {
        let defaults = Sgd::default();
        let momentum = momentum.momentum.unwrap_or(defaults.momentum);
        Sgd { momentum, nesterov: self.nesterov, batches: rate.settings(batches, defaults.batches) }
    }
}

/// Muon.
#[derive(Args, Clone, Debug)]
pub(super) struct MuonArgs {
    /// muon: the largest learning rate of Adam, which moves biases, first layer and last [default: 8e-3]
    #[arg(long, value_name = "RATE", value_parser = non_negative)]
    adam_rate: Option<f64>,
    /// muon: scale the weights of each hidden layer back to the norm that they began with after every step [default:
    /// on]
    #[arg(long, value_enum, value_name = "on|off")]
    hold: Option<Switch>,
}

impl Options for MuonArgs {
    const OF: &'static [MethodName] = &[MethodName::Muon];
}

impl MuonArgs {
    pub(super) fn settings(&self, momentum: &MomentumArgs, rate: &RateArgs, batches: &BatchArgs) -> Muon {
        let defaults = Muon::default();
        Muon {
            momentum: momentum.momentum.unwrap_or(defaults.momentum),
            hold: self.hold.map_or(defaults.hold, Switch::is_on),
            adam_rate: self.adam_rate.unwrap_or(defaults.adam_rate),
            batches: rate.settings(batches, defaults.batches),
        }
    }
}

/// The sweep.
#[derive(Args, Clone, Debug)]
pub(super) struct SweepArgs {
    /// sweep: κ, the divergence that the first step may make, of a subset of 128 examples; it grows with the subset
    /// [default: 1/√units of the budget, 0.01 at most]
    #[arg(long, value_name = "KAPPA", value_parser = non_negative)]
    divergence: Option<f64>,
    /// sweep: steps from one look at the curvature to the next [default: 16]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    look_every: Option<u32>,
    /// sweep: … and, at least, so many times the steps before it [default: 0.1]
    #[arg(long, value_name = "SHARE", value_parser = non_negative)]
    look_growth: Option<f64>,
    /// sweep: examples of the first look [default: 256]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    first_look: Option<u32>,
    /// sweep: examples of a subset that a later look takes, in whole blocks of 32 or 64 as the device has them
    /// [default: 64]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    look: Option<u32>,
    /// sweep: the patches of a convolution at so many random places of each image stand for those at all of them in a
    /// look; 0: all [default: 4]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=65_535))]
    positions: Option<u32>,
    /// sweep: layers that read at most so many values at a place have the second moments of these in their curvature,
    /// as K-FAC has it; larger ones their mean and one variance, which costs next to nothing [default: all where
    /// factors cost less than a tenth of a step, else 128]
    #[arg(long, value_name = "N|all", value_parser = number_or_all)]
    whole_inputs: Option<Most>,
    /// sweep: layers with more outputs have the second moments of their gradients in blocks of at most so many outputs
    /// [default: the largest of all, 512, 256, 128, 64 and 32 with which factors cost less than three tenths of a step]
    #[arg(long, value_name = "N|all", value_parser = number_or_all)]
    whole_outputs: Option<Most>,
}

/// A number, or no limit.
#[derive(Clone, Copy, Debug)]
struct Most(Option<usize>);

fn number_or_all(text: &str) -> std::result::Result<Most, String> {
    let number = if text == "all" { None } else { Some(text.parse().map_err(|_| "neither a whole number nor all")?) };
    Ok(Most(number))
}

impl Options for SweepArgs {
    const OF: &'static [MethodName] = &[];
    const IN_SWEEP: bool = true;
}

impl SweepArgs {
    pub(super) fn settings(&self, damping: &DampingArgs, momentum: &MomentumArgs, batches: &BatchArgs) -> Sweep {
        let defaults = Sweep::default();
        let or = |given: Option<u32>, usual: usize| given.map_or(usual, |n| n as usize);
        let usual = defaults.looks;
        Sweep {
            divergence: self.divergence.or(defaults.divergence),
            momentum: momentum.momentum.unwrap_or(defaults.momentum),
            damping: damping.damping.unwrap_or(defaults.damping),
            refresh_every: self.look_every.map_or(defaults.refresh_every, u64::from),
            refresh_growth: self.look_growth.unwrap_or(defaults.refresh_growth),
            looks: Looks {
                first: or(self.first_look, usual.first),
                examples: or(self.look, usual.examples),
                positions: or(self.positions, usual.positions),
                whole_inputs: self.whole_inputs.map_or(usual.whole_inputs, |Most(number)| number),
                whole_outputs: self.whole_outputs.map_or(usual.whole_outputs, |Most(number)| number),
            },
            batches: batches.settings(defaults.batches),
            ..defaults
        }
    }
}

/// Whether no option of a group was given that is another method's.
pub(super) fn check<G: Options>(given: &Given, is_sweep: bool, method: MethodName) -> Result<()> {
    let fits = G::OF.contains(&method) || is_sweep && G::IN_SWEEP;
    match given.first_of::<G>().filter(|_| !fits) {
        None => Ok(()),
        Some(option) => {
            let methods = G::OF.iter().map(MethodName::to_string).collect::<Vec<_>>().join(" or ");
            let of_methods = (!G::OF.is_empty()).then(|| format!("--method {methods}"));
            let of_sweep = G::IN_SWEEP.then(|| "--schedule sweep".to_owned());
            let of: Vec<String> = of_sweep.into_iter().chain(of_methods).collect();
            Err(Error::usage(format!("{option}: an option of {}, not of {method}", of.join(", or of "))))
        }
    }
}
