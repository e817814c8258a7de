//! Several processes of one run, which `mpirun` or `srun` started.

use super::device::DeviceArgs;
use super::output::say;
use super::signals;
use crate::device::Gpu;
use crate::error::{FailureKind, RankError, Result};
use crate::run::{Invitation, Run};
use crate::training::Team;
use std::collections::BTreeMap;

/// What the processes of one start are told of it: which of how many this one is, and which on its machine. Open MPI;
/// MPICH and what is made of it; Slurm.
const TOLD: [[&str; 3]; 3] = [
    ["OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"],
    ["PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"],
    ["SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"],
];

/// Which process of how many this one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct RankPlace {
    rank: usize,
    ranks: usize,
    local: usize,
}

/// What the environment says, where this process was started among others.
fn place(variable: impl Fn(&str) -> Option<String>) -> Option<RankPlace> {
    let number = |name: &str| variable(name).and_then(|text| text.parse::<usize>().ok());
    TOLD.iter().find_map(|[rank, ranks, local]| {
        let (rank, ranks) = (number(rank)?, number(ranks)?);
        Some(RankPlace { rank, ranks, local: number(local).unwrap_or(rank) })
    })
}

fn here() -> Option<RankPlace> {
    place(|name| std::env::var(name).ok())
}

/// Whether rank 0 says what there is to say.
pub(super) fn is_silent() -> bool {
    here().is_some_and(|place| place.rank > 0)
}

/// The ranks of this process's run; when it is dropped, rank 0 tells the others that it is over.
pub(super) struct Ranks {
    team: Team,
    /// Which on its machine.
    local: usize,
    #[cfg(feature = "mpi")]
    session: Option<crate::exchange::MpiSession>,
    is_over: bool,
}

impl Ranks {
    /// Joins the others, where there are any.
    ///
    /// # Errors
    /// [`RankError::NoMpi`].
    pub(super) fn join() -> Result<Self> {
        match here() {
            Some(place) => Self::among(place),
            None => Ok(Self::alone(0)),
        }
    }

    #[cfg(not(feature = "mpi"))]
    fn among(RankPlace { ranks, local, .. }: RankPlace) -> Result<Self> {
        if ranks > 1 { Err(RankError::NoMpi { ranks }.into()) } else { Ok(Self::alone(local)) }
    }

    #[cfg(not(feature = "mpi"))]
    fn alone(local: usize) -> Self {
        Self { team: Team::alone(), local, is_over: true }
    }

    #[cfg(feature = "mpi")]
    fn among(RankPlace { ranks, local, .. }: RankPlace) -> Result<Self> {
        let Some((mpi, session)) = crate::exchange::Mpi::initialize() else { return Ok(Self::alone(local)) };
        let team = Team::new(std::sync::Arc::new(mpi));
        if team.ranks() != ranks {
            return Err(RankError::OtherMpi { ranks, found: team.ranks() }.into());
        }
        Ok(Self { team, local, session: Some(session), is_over: false })
    }

    #[cfg(feature = "mpi")]
    fn alone(local: usize) -> Self {
        Self { team: Team::alone(), local, session: None, is_over: true }
    }

    pub(super) fn team(&self) -> &Team {
        &self.team
    }

    /// Whether another process leads the run.
    pub(super) fn are_led(&self) -> bool {
        self.team.rank() > 0
    }

    /// The adapter of this rank: one of those of its machine in turn, where none is named; and what all should know.
    ///
    /// # Errors
    /// As [`Gpu::open`].
    pub(super) fn open(&self, device: &DeviceArgs) -> Result<(Gpu, Vec<String>)> {
        let gpu = if self.are_led() { device.open_silently(self.local)? } else { device.open_in_turn(self.local)? };
        let said = if self.team.is_alone() { Vec::new() } else { vec![self.said_of(&gpu, device)?] };
        Ok((gpu, said))
    }

    /// Which adapter it is, so that ranks on the same one are counted.
    fn said_of(&self, gpu: &Gpu, device: &DeviceArgs) -> Result<String> {
        let alike = device.choice().alike()?;
        let number =
            if device.adapter.is_some() || alike == 1 { String::new() } else { format!(" {}", self.local % alike) };
        Ok(format!("{}{number} on {}", gpu.info.name, self.team.host()))
    }

    /// Does what rank 0 asks for, to the end.
    ///
    /// # Errors
    /// Those that rank 0 says as well.
    pub(super) fn serve(&self, device: &DeviceArgs) -> Result<()> {
        let interrupt = signals::hold_led();
        let Some(invitation) = Invitation::receive(&self.team)? else { return Ok(()) };
        let made = invitation.check(&self.team).and_then(|()| {
            let data = invitation.config.open_data()?;
            Ok((data, self.open(device)?))
        });
        let (data, (gpu, said)) = match made {
            Ok(made) => made,
            Err(error) => return self.give_up(error),
        };
        match Run::on_team(&gpu, &invitation.config, &data, self.team.clone()) {
            Ok(mut run) => {
                gpu.heed(&interrupt);
                Invitation::ready(&self.team, Ok(said))?;
                run.serve()
            }
            Err(error) => self.give_up(error),
        }
    }

    /// Says that this rank is not ready, and waits for the end.
    fn give_up(&self, error: crate::error::Error) -> Result<()> {
        let failure = error.failure();
        let why = error.to_string();
        Invitation::ready(&self.team, Err(error))?;
        while Invitation::receive(&self.team)?.is_some() {}
        let (rank, host) = (self.team.rank(), self.team.host().to_owned());
        Err(RankError::Failed { rank, host, why, failure }.into())
    }

    /// It is over: the others are told, and waited for.
    pub(super) fn end(&mut self) {
        if !self.is_over && !self.are_led() && !self.team.is_alone() {
            self.team.end().ok(); // whoever cannot be told is gone
        }
        self.end_quietly();
    }

    /// The same where they know.
    pub(super) fn end_quietly(&mut self) {
        self.is_over = true;
        #[cfg(feature = "mpi")]
        drop(self.session.take());
    }
}

impl Drop for Ranks {
    fn drop(&mut self) {
        self.end();
    }
}

/// On how many ranks a run is, which of them share an adapter, and which have no part in a mini-batch.
pub(super) fn introduce(adapters: &[String], run: &Run<'_>) {
    if adapters.is_empty() {
        return;
    }
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    adapters.iter().for_each(|adapter| *counts.entry(adapter).or_default() += 1);
    let named: Vec<String> = counts.iter().map(|(adapter, count)| format!("{count} × {adapter}")).collect();
    say!("{} ranks: {}", adapters.len(), named.join(", "));
    if counts.values().any(|&count| count > 1) {
        say!("note: ranks share an adapter; --adapter of each rank names another, if there is one");
    }
    let (block, batch) = (run.gpu().profile.block, run.config().plan.rule().map(|rule| rule.batches().batch));
    let idle = |batch: usize| adapters.len().saturating_sub(batch.div_ceil(block));
    if let Some(batch) = batch.filter(|&batch| idle(batch) > 0) {
        let idle = idle(batch);
        say!("note: in mini-batches of {batch}, shared out by {block}, {idle} ranks have no part; raise --batch");
    }
}

/// What to do about ranks that do not go on together.
pub(super) fn of_ranks(cause: &RankError) -> Option<&'static str> {
    match cause {
        RankError::Failed { failure: FailureKind::Stopped, .. } => Some("go on with --resume"),
        RankError::OtherProgram { .. } => Some("start the same file on every machine"),
        RankError::OtherMpi { .. } => Some("start it with the mpirun of the MPI that it was built with"),
        RankError::NoMpi { .. } => Some("build it with `cargo build --release --features mpi`, or start it once"),
        RankError::Failed { .. } | RankError::Message { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_what_whoever_started_it_says() {
        let told = |of: &'static [(&'static str, &'static str)]| {
            place(move |name| of.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
        };
        assert_eq!(told(&[]), None);
        assert_eq!(told(&[("SLURM_PROCID", "0")]), None);
        let of_open_mpi = told(&[
            ("OMPI_COMM_WORLD_RANK", "3"),
            ("OMPI_COMM_WORLD_SIZE", "4"),
            ("OMPI_COMM_WORLD_LOCAL_RANK", "1"),
            ("SLURM_PROCID", "0"),
            ("SLURM_STEP_NUM_TASKS", "1"),
        ]);
        assert_eq!(of_open_mpi, Some(RankPlace { rank: 3, ranks: 4, local: 1 }));
        let of_mpich = told(&[("PMI_RANK", "1"), ("PMI_SIZE", "2")]);
        assert_eq!(of_mpich, Some(RankPlace { rank: 1, ranks: 2, local: 1 }));
        assert_eq!(told(&[("PMI_RANK", "one"), ("PMI_SIZE", "2")]), None);
    }
}
