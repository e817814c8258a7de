//! A loss that decides or reports, shared out among ranks.

use super::answer::RankAnswer;
use super::request::{LossOf, Request};
use super::team::Team;
use crate::cost::Cost;
use crate::device::Buf;
use crate::error::Result;
use crate::objective::{Evaluation, Objective};

/// The loss over examples that a run does not minimise, evaluated by all ranks of a team.
pub struct SharedLoss {
    whole: Objective,
    /// This rank's share, in a team, if there is anything in it.
    part: Option<Objective>,
    which: LossOf,
    team: Team,
    /// What it has cost other ranks.
    others_cost: Cost,
}

impl SharedLoss {
    /// Over some examples, and a rank's share of them.
    ///
    /// # Errors
    /// What making an objective does.
    pub fn new(
        indices: &[u32],
        block: usize,
        (which, team): (LossOf, &Team),
        objective: impl Fn(&[u32]) -> Result<Objective>,
    ) -> Result<Self> {
        let whole = objective(indices)?;
        let of_share = if team.is_alone() { Vec::new() } else { team.share().take(indices, block) };
        let part = if of_share.is_empty() { None } else { Some(objective(&of_share)?) };
        Ok(Self { whole, part, which, team: team.clone(), others_cost: Cost::default() })
    }

    /// The loss over all of them, on this rank alone: for what a report needs of single examples.
    pub fn whole(&self) -> &Objective {
        &self.whole
    }

    /// The same to be evaluated.
    pub(crate) fn whole_mut(&mut self) -> &mut Objective {
        &mut self.whole
    }

    /// f(θ) and the accuracy. On rank 0.
    ///
    /// # Errors
    /// What the device or another rank reports.
    pub fn loss(&mut self, theta: &Buf) -> Result<Evaluation> {
        if self.team.is_alone() {
            return self.whole.loss(theta);
        }
        let point = self.whole.gpu().read(theta)?;
        self.team.ask(&Request::Loss { which: self.which }, &[point])?;
        let own = self.of_part(theta);
        let all = self.team.joined(own)?;
        self.others_cost += all.cost;
        all.evaluation()
    }

    /// What the share comes to.
    fn of_part(&mut self, theta: &Buf) -> Result<RankAnswer> {
        let all = self.whole.len() as f64;
        let Some(part) = &mut self.part else { return Ok(RankAnswer::default()) };
        Ok(RankAnswer::of_evaluation(part.len() as f64 / all, 1.0, part.loss(theta)?))
    }

    /// The same on the other ranks, with what it has cost.
    pub(crate) fn answer(&mut self, theta: &[f32]) -> Result<RankAnswer> {
        let theta = self.whole.gpu().upload("point", theta)?;
        let before = self.cost();
        let answer = self.of_part(&theta)?;
        Ok(RankAnswer { cost: self.cost() - before, ..answer })
    }

    /// What it has cost so far, all ranks together.
    pub fn cost(&self) -> Cost {
        self.whole.cost() + self.part.as_ref().map_or(Cost::default(), Objective::cost) + self.others_cost
    }
}
