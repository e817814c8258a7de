//! How a rank answers for its share of a problem.

use super::answer::RankAnswer;
use super::local::LocalProblem;
use super::request::Request;
use crate::batch::Batch;
use crate::cost::Cost;
use crate::device::{Buf, Gpu};
use crate::error::{RankError, Result};

impl LocalProblem {
    /// What is asked for at these points, with room for a vector of the problem where one is asked for.
    ///
    /// # Errors
    /// What the device reports.
    pub(super) fn answer(&mut self, request: &Request, at: &[&Buf], out: Option<&Buf>) -> Result<RankAnswer> {
        let gpu = self.gpu().clone();
        let none = RankAnswer::default();
        match (request, at, out) {
            (Request::Gradient, &[x], Some(out)) => {
                let Some((share, (weight, found))) = self.gradient(x, out)? else { return Ok(none) };
                Ok(RankAnswer::of_evaluation(share, weight, found).with(share, gpu.read(out)?))
            }
            (Request::Product, &[x, v], Some(out)) => {
                let Some((share, _)) = self.gauss_newton_product(x, v, out)? else { return Ok(none) };
                Ok(none.with(share, gpu.read(out)?))
            }
            (Request::Curvature, &[x, u, v], _) => {
                let Some((share, found)) = self.curvature(x, [u, v])? else { return Ok(none) };
                Ok(RankAnswer::of(share, &found))
            }
            (&Request::Look { seed, at_minibatch }, &[x], _) => match self.look(x, seed, 0.0, at_minibatch)? {
                None | Some(0) => Ok(none),
                Some(examples) => {
                    let factors = self.factors().map_or(Ok(Vec::new()), |factors| factors.values())?;
                    let share = examples as f64;
                    Ok(RankAnswer::of(share, &[1.0]).with(share, factors))
                }
            },
            (Request::Minibatch { positions, weights, epoch, draw }, &[x], Some(out)) => {
                let batch = Batch { positions, weights: weights.as_deref(), epoch: *epoch, draw: *draw };
                if draw.is_some() {
                    let Some((share, scores)) = self.minibatch_scores(x, batch)? else { return Ok(none) };
                    return Ok(none.with(share, scores));
                }
                let Some((share, ())) = self.minibatch_gradient(x, batch, out)? else { return Ok(none) };
                Ok(none.with(share, gpu.read(out)?))
            }
            (&Request::Chosen { examples, threshold }, [], Some(out)) => {
                let Some((share, ())) = self.chosen_gradient(examples, threshold, out)? else { return Ok(none) };
                Ok(none.with(share, gpu.read(out)?))
            }
            (&Request::Sums { examples, charge }, [], _) => {
                let Some((share, sums)) = self.sums(examples, charge)? else { return Ok(none) };
                Ok(RankAnswer { sums: Some(sums.of_share(share)), ..none })
            }
            (other, at, _) => Err(RankError::Message { why: format!("{other:?} at {} points", at.len()) }.into()),
        }
    }
}

/// A rank other than 0: its share of the problem that is open, and what rank 0 knows that it has cost.
pub(crate) struct Answering {
    problem: LocalProblem,
    out: Buf,
    reported: Cost,
}

impl Answering {
    /// For a problem.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::error::Error::OutOfMemory).
    pub(crate) fn new(problem: LocalProblem) -> Result<Self> {
        let out = problem.gpu().alloc("answer", problem.objective().workspace().model.vector_len())?;
        Ok(Self { problem, out, reported: Cost::default() })
    }

    /// What is asked for at these points.
    ///
    /// # Errors
    /// What the device reports.
    pub(crate) fn answer(&mut self, gpu: &Gpu, request: &Request, at: &[Vec<f32>]) -> Result<RankAnswer> {
        let points: Vec<Buf> = at.iter().map(|point| gpu.upload("point", point)).collect::<Result<_>>()?;
        let points: Vec<&Buf> = points.iter().collect();
        let answer = self.problem.answer(request, &points, Some(&self.out))?;
        let cost = self.problem.cost();
        let since = cost - self.reported;
        self.reported = cost;
        Ok(RankAnswer { cost: since, ..answer })
    }
}
