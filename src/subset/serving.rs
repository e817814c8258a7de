//! A rank other than 0: it does what rank 0 asks for.

use super::trainer::Trainer;
use crate::error::{RankError, Result};
use crate::training::{Answering, LossOf, RankAnswer, Request};

impl Trainer {
    /// Answers rank 0 until it says that it is over. An error of this rank is one of rank 0, which ends the run; so is
    /// none of those here.
    ///
    /// # Errors
    /// [`Error::Rank`](crate::error::Error::Rank) when rank 0 is out of reach.
    pub(crate) fn serve(&mut self) -> Result<()> {
        let team = self.team().clone();
        let mut open: Option<Result<Answering>> = None;
        loop {
            let (request, at) = team.hear()?;
            let answer = match request {
                Request::End => return Ok(()),
                Request::Open { stage } => {
                    drop(open.take()); // its memory is needed
                    open = Some(self.opened(stage));
                    continue;
                }
                Request::Loss { which } => self.loss_of(which, at.first().map_or(&[], Vec::as_slice)),
                other => match open.take() {
                    Some(Ok(mut answering)) => {
                        let answer = answering.answer(self.gpu(), &other, &at);
                        open = Some(Ok(answering));
                        answer
                    }
                    Some(Err(error)) => Err(error),
                    None => Err(RankError::Message { why: format!("{other:?} before a stage is open") }.into()),
                },
            };
            team.join(answer)?;
        }
    }

    /// The share of a stage's problem.
    fn opened(&self, stage: usize) -> Result<Answering> {
        let mut problem = self.local(stage)?;
        if let Some(rule) = self.plan().rule() {
            problem.prepare(rule)?;
        }
        Answering::new(problem)
    }

    fn loss_of(&mut self, which: LossOf, theta: &[f32]) -> Result<RankAnswer> {
        let sets = self.sets_mut();
        let loss = match which {
            LossOf::HeldOut => sets.held_out.as_mut(),
            LossOf::Training => Some(&mut sets.train_loss),
            LossOf::Test => Some(&mut sets.test),
        };
        let lacks = || RankError::Message { why: format!("{which:?} of a run without it") };
        loss.ok_or_else(lacks)?.answer(theta)
    }
}
