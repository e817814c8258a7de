//! Schedules and methods by name: which there are, and which go together.

use crate::error::{Result, UsageError};
use serde::Serialize;
use std::fmt;
use std::str::FromStr;

/// A schedule by name: what is minimised, in which order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScheduleName {
    /// One small disjoint subset after another, a K-FAC step on each, within a budget.
    Sweep,
    /// One subset to its minimum, then the full set for a short adaptation.
    Paper,
    /// Nested subsets up to the full set.
    Growing,
    /// The full set alone.
    Full,
    /// Mini-batches of the full set, within a budget.
    Minibatch,
}

/// A method by name: how a loss is minimised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MethodName {
    /// K-FAC, with all of a problem in each step or as a sweep.
    Kfac,
    /// L-BFGS.
    Lbfgs,
    /// Nonlinear conjugate gradients.
    Ncg,
    /// Hessian-free Gauss-Newton.
    GaussNewton,
    /// Adam on mini-batches.
    Adam,
    /// Stochastic gradient descent on mini-batches.
    Sgd,
    /// Muon on mini-batches.
    Muon,
}

impl ScheduleName {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Sweep, Self::Paper, Self::Growing, Self::Full, Self::Minibatch];

    /// The method that it has unless the user says otherwise.
    fn usual_method(self) -> MethodName {
        if self == Self::Minibatch { MethodName::Adam } else { MethodName::Kfac }
    }

    fn takes(self, method: MethodName) -> bool {
        match self {
            Self::Sweep => method == MethodName::Kfac,
            Self::Minibatch => method.is_stochastic(),
            Self::Paper | Self::Growing | Self::Full => !method.is_stochastic(),
        }
    }
}

impl MethodName {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Kfac, Self::Lbfgs, Self::Ncg, Self::GaussNewton, Self::Adam, Self::Sgd, Self::Muon];

    /// The schedule that it has unless the user says otherwise.
    fn usual_schedule(self) -> ScheduleName {
        if self.is_stochastic() { ScheduleName::Minibatch } else { ScheduleName::Paper }
    }

    fn is_stochastic(self) -> bool {
        matches!(self, Self::Adam | Self::Sgd | Self::Muon)
    }
}

/// Schedule and method, each as the other suggests where it is not given; a sweep where neither is.
///
/// # Errors
/// [`UsageError::Mismatch`] for a method that is no match for the schedule.
pub fn pairing(schedule: Option<ScheduleName>, method: Option<MethodName>) -> Result<(ScheduleName, MethodName)> {
    let schedule = schedule.unwrap_or_else(|| method.map_or(ScheduleName::Sweep, MethodName::usual_schedule));
    let method = method.unwrap_or_else(|| schedule.usual_method());
    if schedule.takes(method) {
        return Ok((schedule, method));
    }
    let why = match schedule {
        ScheduleName::Sweep => ["", "sweep takes kfac alone"],
        ScheduleName::Minibatch => ["", "minibatch takes muon, adam or sgd"],
        _ => ["adam, sgd and muon go with ", "minibatch"],
    };
    Err(UsageError::Mismatch { method: method.to_string(), schedule: schedule.to_string(), why }.into())
}

impl fmt::Display for ScheduleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl fmt::Display for MethodName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl FromStr for ScheduleName {
    type Err = UsageError;

    fn from_str(name: &str) -> std::result::Result<Self, UsageError> {
        by_name("schedule", name, &Self::ALL)
    }
}

impl FromStr for MethodName {
    type Err = UsageError;

    fn from_str(name: &str) -> std::result::Result<Self, UsageError> {
        by_name("method", name, &Self::ALL)
    }
}

fn by_name<T: Copy + fmt::Display>(of: &'static str, name: &str, all: &[T]) -> std::result::Result<T, UsageError> {
    let found = all.iter().find(|one| one.to_string() == name).copied();
    let known = || all.iter().map(T::to_string).collect();
    found.ok_or_else(|| UsageError::UnknownName { of, name: name.to_owned(), known: known() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use {MethodName as M, ScheduleName as S};

    #[test]
    fn each_suggests_the_other() {
        for (schedule, method, expected) in [
            (None, None, (S::Sweep, M::Kfac)),
            (None, Some(M::Kfac), (S::Paper, M::Kfac)),
            (None, Some(M::GaussNewton), (S::Paper, M::GaussNewton)),
            (None, Some(M::Muon), (S::Minibatch, M::Muon)),
            (Some(S::Sweep), None, (S::Sweep, M::Kfac)),
            (Some(S::Minibatch), None, (S::Minibatch, M::Adam)),
            (Some(S::Growing), None, (S::Growing, M::Kfac)),
            (Some(S::Full), Some(M::Ncg), (S::Full, M::Ncg)),
        ] {
            assert_eq!(pairing(schedule, method).unwrap(), expected);
        }
    }

    #[test]
    fn who_goes_with_whom() {
        let whole = [M::Kfac, M::Lbfgs, M::Ncg, M::GaussNewton];
        for schedule in S::ALL {
            let fitting: Vec<_> = M::ALL.into_iter().filter(|&m| pairing(Some(schedule), Some(m)).is_ok()).collect();
            let expected = match schedule {
                S::Sweep => vec![M::Kfac],
                S::Minibatch => vec![M::Adam, M::Sgd, M::Muon],
                S::Paper | S::Growing | S::Full => whole.to_vec(),
            };
            assert_eq!(fitting, expected, "{schedule}");
        }
        for (schedule, method, text) in [
            (S::Sweep, M::Muon, "method muon with schedule sweep: sweep takes kfac alone"),
            (S::Minibatch, M::Kfac, "method kfac with schedule minibatch: minibatch takes muon, adam or sgd"),
            (S::Full, M::Adam, "method adam with schedule full: adam, sgd and muon go with minibatch"),
        ] {
            assert_eq!(pairing(Some(schedule), Some(method)).unwrap_err().to_string(), text);
        }
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        assert!(M::ALL.iter().all(|method| method.to_string().parse::<M>().unwrap() == *method));
        assert!(S::ALL.iter().all(|schedule| schedule.to_string().parse::<S>().unwrap() == *schedule));
        assert_eq!(M::GaussNewton.to_string(), "gauss-newton");
        let unknown = "Kfac".parse::<M>().unwrap_err().to_string();
        assert_eq!(unknown, "method Kfac: not one of kfac, lbfgs, ncg, gauss-newton, adam, sgd, muon");
        let unknown = "never\n".parse::<S>().unwrap_err().to_string();
        assert_eq!(unknown, "schedule never\u{fffd}: not one of sweep, paper, growing, full, minibatch");
    }
}
