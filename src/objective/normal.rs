//! What layers that normalise over examples take mean and variance over: groups of an objective's examples, one after
//! another; all of a mini-batch; or, to evaluate, examples of the training set.

use super::examples::Examples;
use super::loss::{Objective, Over};
use super::norm_room::{SEEN_GROUP, seen_of};
use super::pass::{Normal, Pass};
use super::samples::spread;
use super::stage::Stage;
use crate::cost::Cost;
use crate::device::Buf;
use crate::error::Result;
use crate::program::Program;
use std::ops::Range;
use std::sync::Arc;

impl Objective {
    /// The same as an evaluation, which normalises by moments that it finds at each θ from some of these training
    /// examples; without any by those that [`Workspace::set_moments`](super::Workspace::set_moments) set.
    ///
    /// # Errors
    /// As [`Objective::new`].
    pub fn evaluating(mut self, training: Option<(&Arc<Examples>, &[u32])>) -> Result<Self> {
        if self.workspace.model.normalises() {
            let seen = training.map(|(examples, indices)| self.seen(examples, indices)).transpose()?;
            self.over = Over::Known(seen.map(Box::new));
        }
        Ok(self)
    }

    /// Some of the examples, in groups that are large and fill chunks.
    fn seen(&self, examples: &Arc<Examples>, indices: &[u32]) -> Result<Self> {
        let (gpu, block, chunk) = (&self.gpu, self.gpu.profile.block, self.workspace.chunk);
        let fills = |group: &usize| chunk.is_multiple_of(*group) && group.is_multiple_of(block);
        let group = (1..=SEEN_GROUP / block).rev().map(|blocks| blocks * block).find(fills).unwrap_or(chunk);
        let some = spread(indices, seen_of(indices.len()).next_multiple_of(group));
        Self::over(gpu, &self.workspace, examples, (&some, 0.0), group / block)
    }

    /// Finds the moments at θ of an [evaluation](Objective::evaluating) with training examples, which is charged.
    ///
    /// # Errors
    /// What the device reports.
    pub fn find_moments(&mut self, theta: &Buf) -> Result<()> {
        let Over::Known(Some(seen)) = &mut self.over else { return Ok(()) };
        let before = seen.cost();
        seen.statistics(theta)?;
        let cost = seen.cost() - before;
        self.cost += cost;
        Ok(())
    }

    /// What [`Objective::find_moments`] costs.
    pub fn cost_of_moments(&self) -> Cost {
        let Over::Known(Some(seen)) = &self.over else { return Cost::default() };
        Cost { forward: seen.len as u64, ..Cost::default() }
    }

    /// Running means and variances from these examples' groups at θ, into the workspace.
    fn statistics(&mut self, theta: &Buf) -> Result<()> {
        self.charge([1, 0, 0], 0);
        self.recorded(Pass::Statistics)?;
        self.workspace.stamp();
        self.programs[&Pass::Statistics].run_between(&self.gpu, &[(theta, &self.workspace.theta)], &[])
    }

    /// The forward pass of every chunk, and what its groups add to the running moments.
    pub(super) fn record_statistics(&self, program: &mut Program) -> Result<()> {
        let (gpu, workspace) = (&self.gpu, &*self.workspace);
        let Over::Groups(blocks) = self.over else { unreachable!("moments are of groups") };
        let group = blocks * gpu.profile.block;
        let share = 1.0 / self.index.len().div_ceil(group) as f32;
        let [first, others] = [0.0, 1.0].map(|keep: f32| gpu.upload("norm.coefficients", &[keep, share]));
        let (first, others) = (first?, others?);
        for chunk in self.chunks() {
            self.record_forward(program, Pass::Statistics, &chunk)?;
            let coefficients = if chunk.range.start == 0 { &first } else { &others };
            let groups = chunk.range.len().div_ceil(group);
            for room in workspace.norms.iter().flatten() {
                program.push(room.norm.collect(gpu, &room.sums, groups, coefficients, &room.moments)?);
            }
        }
        Ok(())
    }

    /// What a stage that normalises works with on these examples.
    pub(super) fn normal_views(&self, stage: &Stage, range: &Range<usize>) -> Option<Normal> {
        let (gpu, workspace) = (&self.gpu, &*self.workspace);
        let room = workspace.norms[stage.layer].as_ref()?;
        let all = range.len() / gpu.profile.block;
        let blocks = match self.over {
            Over::Groups(blocks) => Some(blocks),
            Over::Known(_) => None,
        };
        let len = room.norm.partial_len(gpu, all.div_ceil(blocks.unwrap_or(all)));
        Some(Normal {
            blocks,
            examples: range.end.min(self.len) - range.start,
            statistics: if blocks.is_some() { room.sums.clone() } else { room.moments.clone() },
            products: workspace.partial.view(room.products..room.products + len),
            share: self.share.view(range.clone()),
        })
    }
}
