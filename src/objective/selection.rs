//! Mini-batches of which only the examples worth it go backward: chosen on the device, brought together from the stored
//! activations.

use super::loss::Objective;
use super::pass::{Chunk, Forward, Pass};
use crate::batch::Draw;
use crate::device::{BlockCount, Buf, Gpu, Quads};
use crate::error::Result;
use crate::kernels::live;
use crate::kernels::selection::{self, Kept};
use crate::kernels::softmax_xent::{self, Targets};
use crate::program::Program;
use std::sync::Arc;

/// The kept examples of a mini-batch on the device: as many as there may be, and how many there are.
pub(super) struct Selection {
    pub kept: Kept,
    /// The next draw, as the kernel reads it.
    draw: Buf,
    score: Buf,
    live: Arc<BlockCount>,
    /// x of each stage and the logits.
    activations: Vec<Quads>,
    derivatives: Vec<Option<Quads>>,
}

impl Selection {
    /// For the mini-batches of an objective.
    pub(super) fn new(gpu: &Gpu, batch: &Objective) -> Result<Self> {
        let (workspace, padded) = (&batch.workspace, batch.index.len());
        workspace.check_choice(batch.len)?;
        let live = Arc::new(BlockCount::new(gpu)?);
        let alike = |label: &str, of: &Quads| -> Result<Quads> {
            Ok(gpu.alloc_quads(label, of.len() / workspace.chunk * padded, false)?.counted(&live))
        };
        let derivatives = workspace.derivatives.iter().map(|of| of.as_ref().map(|of| alike("kept.derivative", of)));
        Ok(Self {
            kept: Kept::new(gpu, padded)?,
            draw: gpu.alloc("selection.draw", 4)?,
            score: gpu.alloc("selection.score", padded)?,
            activations: workspace.activations.iter().map(|of| alike("kept.activation", of)).collect::<Result<_>>()?,
            derivatives: derivatives.map(Option::transpose).collect::<Result<_>>()?,
            live,
        })
    }

    /// Writes what the next choice among so many examples follows from.
    pub(super) fn write_draw(&self, gpu: &Gpu, Draw { seed, step }: Draw, examples: usize) {
        gpu.write(&self.draw, &[seed as u32, (seed >> 32) as u32, step as u32, examples as u32]);
    }

    /// The backward pass of the examples chosen among those that went `forward`.
    pub(super) fn record(
        &self,
        program: &mut Program,
        batch: &Objective,
        chunk: &Chunk,
        forward: &Forward,
    ) -> Result<()> {
        let (gpu, kept) = (&batch.gpu, &self.kept);
        let Targets { label, weight } = &chunk.targets;
        let logits = &forward.x[forward.x.len() - 1];
        program.push(softmax_xent::residual(gpu, logits, &chunk.targets, &self.score)?);
        let of_batch = [&chunk.index, label, weight];
        program.push(selection::choose(gpu, &self.score, of_batch, &self.draw, kept, &self.live)?);

        // recorded before the grids it asks for are
        let mut backward = Program::default();
        if batch.examples.copies() > 0 {
            backward.push(selection::rows(gpu, &forward.x[0], &kept.position, &self.activations[0])?);
        } else {
            // four times less to read than the activations
            let x = &self.activations[0];
            batch.examples.record_gather(gpu, &mut backward, &kept.index, [x, x])?;
        }
        let mut masks = Vec::new();
        for (i, stage) in batch.workspace.stages.iter().enumerate() {
            let (x, derivative) = (&self.activations[i + 1], self.derivatives[i].as_ref());
            backward.push(selection::rows(gpu, &forward.x[i + 1], &kept.position, x)?);
            if let (Some(from), Some(to)) = (&batch.workspace.derivatives[i], derivative) {
                backward.push(selection::rows(gpu, from, &kept.position, to)?);
            }
            masks.push(stage.mask(x, derivative));
        }
        let chosen = Forward { x: self.activations.clone(), masks };
        let targets = Targets { label: kept.label.clone(), weight: kept.weight.clone() };
        let logits = &chosen.x[chosen.x.len() - 1];
        let dz = batch.workspace.passing[0].like(logits);
        backward.push(softmax_xent::gradient(gpu, logits, &targets, &dz)?);
        batch.record_vjp(&mut backward, &chosen)?;

        program.extend(live::grids(gpu, &self.live)?);
        program.append(backward);
        Ok(())
    }
}

impl Objective {
    /// The mini-batch's gradient from the examples that `selection` chooses.
    pub(super) fn record_selected(&self, program: &mut Program, chunk: &Chunk, selection: &Selection) -> Result<()> {
        let forward = self.record_losses(program, Pass::Gradient, chunk)?;
        selection.record(program, self, chunk, &forward)
    }
}
