//! Mini-batches of which only the examples worth it go backward: chosen on the device, brought together from the stored
//! activations.

use super::loss::Objective;
use super::pass::{Chunk, Forward, Normal, Pass};
use super::record::PartialSums;
use super::slots::COTANGENT;
use crate::batch::{Chosen, Draw};
use crate::device::{BlockCount, Buf, Gpu, Quads};
use crate::error::Result;
use crate::kernels::live;
use crate::kernels::selection::{self, Kept};
use crate::kernels::softmax_xent::{self, Targets};
use crate::kernels::weights::Base;
use crate::program::Program;
use std::sync::Arc;

/// The kept examples of a mini-batch on the device: as many as there may be, and how many there are.
pub(super) struct Selection {
    pub kept: Kept,
    pub choice: Chosen,
    /// What an example's gradient is likely to be, by its residual.
    pub score: Buf,
    /// The next draw, as the kernel reads it, and its threshold where that is given.
    draw: Buf,
    live: Arc<BlockCount>,
    /// The values, last the logits.
    activations: Vec<Quads>,
    derivatives: Vec<Option<Quads>>,
}

impl Selection {
    /// For the mini-batches of an objective.
    pub(super) fn new(gpu: &Gpu, batch: &Objective, choice: Chosen) -> Result<Self> {
        let (workspace, padded) = (&batch.workspace, batch.index.len());
        workspace.check_choice(batch.len)?;
        let live = Arc::new(BlockCount::new(gpu)?);
        let of_stages = workspace.activations.iter().chain(workspace.derivatives.iter().flatten());
        let lens: Vec<usize> = of_stages.map(|of| of.len() / workspace.chunk * padded).collect();
        let kept = gpu.alloc_quads_together("kept.activations", &lens)?;
        let mut kept = kept.iter().map(|quads| quads.counted(&live));
        let activations = kept.by_ref().take(workspace.activations.len()).collect();
        let derivatives = workspace.derivatives.iter().map(|of| of.as_ref().and_then(|_| kept.next())).collect();
        Ok(Self {
            kept: Kept::new(gpu, padded)?,
            choice,
            draw: gpu.alloc("selection.draw", 5)?,
            score: gpu.alloc("selection.score", padded)?,
            activations,
            derivatives,
            live,
        })
    }

    /// Writes what the next choice among so many examples follows from; a threshold of 0 where it is not given.
    pub(super) fn write_draw(&self, gpu: &Gpu, Draw { seed, step }: Draw, examples: usize, threshold: f32) {
        let threshold = threshold.to_bits();
        gpu.write(&self.draw, &[seed as u32, (seed >> 32) as u32, step as u32, examples as u32, threshold]);
    }

    /// The backward pass of the examples chosen among those that went `forward`. The gradient of the last layer's
    /// weights is that of all: it costs next to nothing, and nothing is left to chance in it.
    pub(super) fn record(
        &self,
        program: &mut Program,
        batch: &Objective,
        chunk: &Chunk,
        forward: &Forward,
        base: Base<'_>,
    ) -> Result<()> {
        let (gpu, kept) = (&batch.gpu, &self.kept);
        let mut sums = PartialSums::default();
        if let Some(head) = batch.workspace.head() {
            let logits = &forward.x[forward.x.len() - 1];
            let dz = batch.workspace.passing[COTANGENT].like(logits);
            program.push(softmax_xent::gradient(gpu, logits, &chunk.targets, &dz)?);
            let at = batch.at(batch.workspace.stages.len() - 1, forward, &batch.workspace.weights);
            batch.record_partial(program, head, (&at, &dz), &mut sums, base)?;
        }
        let Targets { label, weight, smoothing } = &chunk.targets;
        let of_batch = [&chunk.index, label, weight];
        let is_given = self.choice == Chosen::Common;
        program.push(selection::choose(gpu, &self.score, of_batch, (&self.draw, is_given), kept, &self.live)?);

        // recorded before the grids it asks for are
        let mut backward = Program::default();
        let x = &self.activations[0];
        let mut pairs = Vec::new();
        if batch.examples.copies() > 0 {
            pairs.push((forward.x[0].clone(), x.clone()));
        } else {
            // four times less to read than the activations
            batch.examples.record_gather(gpu, &mut backward, &kept.index, [x, x])?;
        }
        pairs.extend(forward.x[1..].iter().cloned().zip(self.activations[1..].iter().cloned()));
        let derivatives = batch.workspace.derivatives.iter().zip(&self.derivatives);
        pairs.extend(derivatives.filter_map(|(from, to)| Some((from.clone()?, to.clone()?))));
        backward.extend(selection::rows(gpu, &pairs, &kept.position)?);
        let stages = batch.workspace.stages.iter().zip(&self.activations[1..]).zip(&self.derivatives);
        let masks = stages.map(|((stage, x), derivative)| stage.mask(x, derivative.as_ref())).collect();
        // mean and variance are those of all, whatever their number; padding is zero in a cotangent
        let normal = |of: &Option<Normal>| {
            of.clone().map(|of| Normal { share: kept.inverse.clone(), examples: kept.position.len(), ..of })
        };
        let normal = forward.normal.iter().map(normal).collect();
        let chosen = Forward { x: self.activations.clone(), masks, normal };
        let smoothing = smoothing.clone();
        let targets = Targets { label: kept.label.clone(), weight: kept.weight.clone(), smoothing };
        let logits = &chosen.x[chosen.x.len() - 1];
        let dz = batch.workspace.passing[COTANGENT].like(logits);
        backward.push(softmax_xent::gradient(gpu, logits, &targets, &dz)?);
        batch.record_vjp(&mut backward, &chosen, sums, base)?;

        program.extend(live::grids(gpu, &self.live)?);
        program.append(backward);
        Ok(())
    }
}

impl Objective {
    /// The mini-batch's gradient from the examples that `selection` chooses, added to `base`: what comes after their
    /// scores by itself where these have to be known first.
    pub(super) fn record_selected(
        &self,
        program: &mut Program,
        chunk: &Chunk,
        selection: &Selection,
        base: Base<'_>,
    ) -> Result<Option<Program>> {
        let forward = self.record_losses(program, Pass::Gradient, chunk, Some(&selection.score))?;
        let mut rest = (selection.choice == Chosen::Common).then(Program::default);
        selection.record(rest.as_mut().unwrap_or(program), self, chunk, &forward, base)?;
        Ok(rest)
    }
}
