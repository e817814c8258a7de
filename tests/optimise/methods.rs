//! The methods under test.

use crate::problem::{Counted, Row};
use gpu_subset::error::Result;
use gpu_subset::optimise::{
    Beta, GaussNewton, GaussNewtonSettings, Kfac, KfacSettings, Lbfgs, LbfgsSettings, LineSearch, NcgSettings,
    NonlinearCg, Optimiser, Outcome, Preconditioner, State,
};

/// A method with its variant; also an index to what the table allows it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method {
    Cg(Beta),
    Lbfgs,
    GaussNewton(Preconditioner),
    Kfac,
}

pub const METHODS: [Method; 6] = [
    Method::Cg(Beta::PolakRibierePlus),
    Method::Cg(Beta::HagerZhang),
    Method::Lbfgs,
    Method::GaussNewton(Preconditioner::None),
    Method::GaussNewton(Preconditioner::Kronecker),
    Method::Kfac,
];

pub type Running = Box<dyn Optimiser<Counted>>;

/// Choices that tests make for every method.
#[derive(Clone, Copy)]
pub struct Choices {
    pub gradient_tolerance: f64,
    /// Of the line search.
    pub noise: f64,
}

impl Default for Choices {
    fn default() -> Self {
        Self { gradient_tolerance: 0.0, noise: LineSearch::default().noise }
    }
}

impl Method {
    /// At x, or where a saved state left off.
    fn make(self, problem: &mut Counted, from: From<'_>, choices: Choices) -> Result<Running> {
        let Choices { gradient_tolerance, noise } = choices;
        let search = |defaults: LineSearch| LineSearch { noise, ..defaults };
        Ok(match self {
            Self::Cg(beta) => {
                let line_search = search(NcgSettings::default().line_search);
                let settings = NcgSettings { beta, line_search, gradient_tolerance };
                match from {
                    From::Start(x) => Box::new(NonlinearCg::new(problem, x, None, settings)?),
                    From::State(state) => Box::new(NonlinearCg::resume(problem, state, settings)?),
                }
            }
            Self::Lbfgs => {
                let defaults = LbfgsSettings::default();
                let line_search = search(defaults.line_search);
                let settings = LbfgsSettings { line_search, gradient_tolerance, ..defaults };
                match from {
                    From::Start(x) => Box::new(Lbfgs::new(problem, x, None, settings)?),
                    From::State(state) => Box::new(Lbfgs::resume(problem, state, settings)?),
                }
            }
            Self::GaussNewton(preconditioner) => {
                let defaults = GaussNewtonSettings::default();
                let line_search = search(defaults.line_search);
                let settings = GaussNewtonSettings {
                    preconditioner,
                    line_search,
                    gradient_tolerance,
                    least_damping: f64::MIN_POSITIVE, // some of the rows are singular
                    ..defaults
                };
                match from {
                    From::Start(x) => Box::new(GaussNewton::new(problem, x, None, settings)?),
                    From::State(state) => Box::new(GaussNewton::resume(problem, state, settings)?),
                }
            }
            Self::Kfac => {
                let least_damping = f64::MIN_POSITIVE; // for the same reason
                let settings = KfacSettings { gradient_tolerance, least_damping, ..KfacSettings::default() };
                match from {
                    From::Start(x) => Box::new(Kfac::new(problem, x, None, settings)?),
                    From::State(state) => Box::new(Kfac::resume(problem, state, settings)?),
                }
            }
        })
    }

    pub fn start(self, problem: &mut Counted, x: Vec<f64>, choices: Choices) -> Result<Running> {
        self.make(problem, From::Start(x), choices)
    }

    pub fn resume(self, problem: &mut Counted, state: &State<Vec<f64>>, choices: Choices) -> Result<Running> {
        self.make(problem, From::State(state), choices)
    }

    /// Evaluations after which a row should be solved.
    pub fn limit(self, row: &Row) -> usize {
        let [cg, lbfgs, gauss_newton, kfac] = row.evaluations;
        match self {
            Self::Cg(_) => cg,
            Self::Lbfgs => lbfgs,
            Self::GaussNewton(_) => gauss_newton,
            Self::Kfac => kfac,
        }
    }
}

enum From<'a> {
    Start(Vec<f64>),
    State(&'a State<Vec<f64>>),
}

/// Steps until the optimiser stops, showing `each` the outcomes.
pub fn run(
    problem: &mut Counted,
    optimiser: &mut dyn Optimiser<Counted>,
    each: impl FnMut(&mut Counted, Outcome),
) -> Result<Outcome> {
    let end = run_for(problem, optimiser, each)?;
    let (loss, gradient_norm) = (optimiser.loss(), optimiser.gradient_norm());
    assert!(end.stop.is_some(), "does not stop, at loss {loss:e} and gradient norm {gradient_norm:e}");
    Ok(end)
}

/// The same, but for 10,000 steps at most: the last outcome.
pub fn run_for(
    problem: &mut Counted,
    optimiser: &mut dyn Optimiser<Counted>,
    mut each: impl FnMut(&mut Counted, Outcome),
) -> Result<Outcome> {
    for steps in 1.. {
        let outcome = optimiser.step(problem)?;
        each(problem, outcome);
        if outcome.stop.is_some() || steps == 10_000 {
            return Ok(outcome);
        }
    }
    unreachable!()
}
