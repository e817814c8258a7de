//! Mini-batches: gradients over a few examples at a time, one after another without a word read back between them.
//!
//! A mini-batch is an objective of its own, whose indices and labels are rewritten between runs of one recorded
//! program. What its examples' losses were stays on the device, a slot a mini-batch, until somebody asks or the slots
//! are full: copies, which cost a fifteenth of a dispatch. Waiting for full slots also bounds how far the host runs
//! ahead.

use super::evaluation::Evaluation;
use super::loss::Objective;
use super::minibatch_sums::MinibatchSums;
use super::pass::{Forward, Pass};
use super::selection::Selection;
use crate::batch::{Batch, Chosen, Draw};
use crate::cost::{Cost, Yardstick};
use crate::device::{ALIGNMENT, Buf, Reader};
use crate::error::Result;
use crate::kernels::gather::PADDING;
use crate::kernels::selection;
use crate::kernels::softmax_xent::Targets;
use crate::kernels::vector;
use crate::kernels::weights::Base;
use crate::program::Program;
use std::time::Instant;

/// Mini-batches that run before the host waits for them, at most.
const SLOTS: usize = 64;

/// Seconds that the device may be behind: with larger networks the host waits for fewer mini-batches, and so comes to
/// know soon when it is told to stop.
const BEHIND: f64 = 0.25;

/// Mini-batches out of an objective's list, all of one length: the program of one, and what those before it left.
pub struct Minibatches {
    /// The objective over `batch` examples; its weights are 1/`batch`, or that on average, so that its sums are means.
    objective: Objective,
    /// λ of their gradients.
    decay: f64,
    /// The positions in the data set that mini-batches are taken from.
    indices: Vec<u32>,
    /// Indices, labels and weights: written in one piece.
    chosen: Buf,
    program: Program,
    /// Which of them go backward, if not all.
    selection: Option<Selection>,
    /// What follows once the threshold of their choice is known, where `program` ends with their scores.
    rest: Option<Program>,
    /// What is kept of each mini-batch: losses, hits, the marks of values that were not finite, and how many went
    /// backward.
    slots: Buf,
    /// Words of a slot.
    slot: usize,
    reader: Reader,
    /// Slots in use, and when the first of them was submitted.
    used: usize,
    since: Instant,
    /// Sums over the mini-batches whose slots were read.
    sums: MinibatchSums,
    /// Mini-batches after which the host waits.
    ahead: usize,
    /// θ of the last mini-batch, and the stamp of its pass.
    last: Option<(Buf, u64)>,
    /// Its draw.
    draw: Option<Draw>,
    cost: Cost,
}

/// The activations that the forward pass of a mini-batch left in the workspace, as long as no other pass has run there.
pub struct Activations<'a> {
    batch: &'a Objective,
}

impl<'a> Activations<'a> {
    /// The mini-batch they are of.
    pub(super) fn batch(&self) -> &'a Objective {
        self.batch
    }

    /// Those of the first examples.
    pub(super) fn forward(&self, examples: usize) -> Forward {
        self.batch.forward_views(&(0..examples))
    }
}

impl Objective {
    /// ‖θ‖²
    fn square(&self, theta: &Buf) -> Result<f64> {
        let partials = &self.workspace.report.sums[2];
        let mut program = Program::default();
        program.clear(partials);
        program.extend(vector::dot(&self.gpu, theta, theta, &self.scratch, partials)?);
        program.run(&self.gpu)?;
        Ok(self.gpu.read::<f32>(partials)?.iter().map(|&x| f64::from(x)).sum())
    }

    /// The gradient without what only a report needs: sums, norms and a check of the gradient itself, whose faults the
    /// next forward pass meets. In two parts where there is something to know between them.
    fn record_minibatch(&self, decay: &Buf, selection: Option<&Selection>) -> Result<(Program, Option<Program>)> {
        let (workspace, mut program) = (&self.workspace, Program::default());
        workspace.record_packing(&self.gpu, &mut program, 0)?;
        program.clear(&workspace.report.all);
        let (mut base, mut rest) = (Base::Decay(decay, &workspace.theta), None);
        for chunk in self.chunks() {
            match selection {
                Some(selection) => rest = self.record_selected(&mut program, &chunk, selection, base)?,
                None => self.record_chunk(&mut program, Pass::Gradient, &chunk, base)?,
            }
            base = Base::Gradient;
        }
        Ok((program, rest))
    }
}

impl Minibatches {
    /// Records the gradient of mini-batches of so many examples out of the list of `whole`, all or a choice of which go
    /// backward: its kernels are compiled meanwhile.
    ///
    /// # Errors
    /// What the device reports; [`Error::Usage`](crate::error::Error::Usage) when there are too many examples to choose
    /// among.
    pub fn new(whole: &Objective, batch: usize, choice: Chosen) -> Result<Self> {
        Self::decayed(whole, batch, choice, whole.weight_decay)
    }

    /// The same with another λ in their gradients: that of a share of larger mini-batches, one of which has it for all.
    ///
    /// # Errors
    /// As [`Minibatches::new`].
    pub(crate) fn decayed(whole: &Objective, batch: usize, choice: Chosen, decay: f64) -> Result<Self> {
        let Objective { gpu, workspace, .. } = whole;
        let some: Vec<u32> = whole.indices.iter().cycle().take(batch).copied().collect();
        workspace.check_one_piece(batch)?;
        let blocks = batch.div_ceil(gpu.profile.block);
        let mut objective = whole.part(&some, blocks)?;
        let padded = objective.index.len();
        let aligned = padded.next_multiple_of(ALIGNMENT);
        let chosen = gpu.alloc("minibatch.chosen", 3 * aligned)?;
        let part = |i: usize| chosen.view(i * aligned..i * aligned + padded);
        objective.index = part(0);
        objective.targets = Targets { label: part(1), weight: part(2), ..objective.targets };
        let lambda = gpu.upload("minibatch.decay", &[decay as f32])?;
        let selects = choice != Chosen::All;
        let selection = selects.then(|| Selection::new(gpu, &objective, choice)).transpose()?;
        let (program, rest) = objective.record_minibatch(&lambda, selection.as_ref())?;
        let slot = 2 * aligned + workspace.report.marks.len().next_multiple_of(ALIGNMENT) + ALIGNMENT;
        let slots = gpu.alloc("minibatch.slots", SLOTS * slot)?;
        Ok(Self {
            indices: whole.indices.clone(),
            reader: gpu.reader(slots.len())?,
            objective,
            decay,
            chosen,
            program,
            selection,
            rest,
            slots,
            slot,
            used: 0,
            since: Instant::now(),
            sums: MinibatchSums::default(),
            ahead: 1, // the first may compile
            last: None,
            draw: None,
            cost: Cost::default(),
        })
    }

    /// Whether they are of so many examples, and this choice of them goes backward.
    pub fn are(&self, examples: usize, choice: Chosen) -> bool {
        let own = self.selection.as_ref().map_or(Chosen::All, |selection| selection.choice);
        self.objective.len == examples && own == choice
    }

    /// ∇f over a `batch` out of the list, in place of all of it, into `gradient`: the cross entropy's mean over these
    /// examples, weighted where they count differently, plus λ θ. Returns once it is submitted.
    ///
    /// With a `draw`, only the examples that it keeps go backward, and the gradient is an estimate without bias. What
    /// they cost is known after [`Minibatches::take_evaluation`].
    ///
    /// # Errors
    /// What the device reports.
    ///
    /// # Panics
    /// When the batch is of another length than the others, or draws where they do not.
    pub fn gradient(&mut self, theta: &Buf, batch: Batch<'_>, gradient: &Buf) -> Result<()> {
        let choice = if batch.draw.is_some() { Chosen::Own } else { Chosen::All };
        self.write(theta, batch, choice);
        self.submit(Some(theta), 0.0, gradient)
    }

    /// The scores of the examples of a `batch`, with whose gradient [`Minibatches::gradient_by`] goes on.
    ///
    /// # Errors
    /// As [`Minibatches::gradient`]; so it panics, and for another choice than [`Chosen::Common`].
    pub fn scores(&mut self, theta: &Buf, batch: Batch<'_>) -> Result<Vec<f32>> {
        self.write(theta, batch, Chosen::Common);
        let Objective { gpu, workspace, len, .. } = &self.objective;
        self.program.run_between(gpu, &[(theta, &workspace.theta)], &[])?;
        let scores = self.selection.as_ref().map(|selection| gpu.read::<f32>(&selection.score)).transpose()?;
        Ok(scores.into_iter().flatten().take(*len).collect())
    }

    /// The gradient of the batch with these scores, of whose examples the draw keeps some by this threshold.
    ///
    /// # Errors
    /// As [`Minibatches::gradient`].
    pub fn gradient_by(&mut self, threshold: f32, gradient: &Buf) -> Result<()> {
        self.submit(None, threshold, gradient)
    }

    /// Writes a batch as the next one, and charges it.
    fn write(&mut self, theta: &Buf, batch: Batch<'_>, choice: Chosen) {
        let Batch { positions, weights, epoch, draw } = batch;
        assert!(self.are(positions.len(), choice), "a batch of another kind than the others");
        let Objective { workspace, examples, .. } = &self.objective;
        let shift = examples.shift(epoch);
        let indices: Vec<u32> = positions.iter().map(|&position| self.indices[position as usize] + shift).collect();
        self.write_examples(&indices, weights);
        if self.used == 0 {
            self.since = Instant::now();
        }
        self.last = Some((theta.clone(), workspace.stamp()));
        self.draw = draw;
        self.sums.weight += self.counted(&indices, weights);
        self.charge(&indices, draw.is_some());
    }

    /// What these examples count on average.
    fn counted(&self, indices: &[u32], weights: Option<&[f32]>) -> f64 {
        let of_examples = self.objective.weights.as_ref();
        if weights.is_none() && of_examples.is_none() {
            return 1.0;
        }
        let of_example = |i: u32| of_examples.map_or(1.0, |of| of[i as usize % of.len()]);
        let of = |(n, &i): (usize, &u32)| weights.map_or(1.0, |weights| f64::from(weights[n])) * of_example(i);
        indices.iter().enumerate().map(of).sum::<f64>() / indices.len() as f64
    }

    /// Charges a mini-batch of these examples. How many of a choice go backward is known later.
    fn charge(&mut self, indices: &[u32], selects: bool) {
        let (Objective { workspace, examples, .. }, count) = (&self.objective, indices.len());
        let (model, passes) = (&workspace.model, if selects { 0 } else { count as u64 });
        let decay = if self.decay == 0.0 { 0 } else { model.parameters() as u64 };
        let choice = if selects { selection::multiply_adds(count, model.classes) } else { 0 };
        self.cost += Cost { forward: count as u64, backward: passes, ..Cost::default() };
        let yardstick = Yardstick::new(model.multiply_adds());
        self.cost += yardstick.cost(decay + choice + examples.multiply_adds(indices));
    }

    /// Waits for the mini-batches so far, and hands out what they came to, which is forgotten here.
    ///
    /// # Errors
    /// What the device reports.
    pub fn suspend(&mut self) -> Result<MinibatchSums> {
        self.collect()?;
        Ok(std::mem::take(&mut self.sums))
    }

    /// Goes on after the mini-batches of these sums, and none since.
    pub fn take_up(&mut self, sums: MinibatchSums) {
        self.sums = sums;
    }

    /// Means over the mini-batches since last asked, for each at the θ it ran at; the penalty is that of what θ holds
    /// by now. One round trip, and another for the penalty.
    ///
    /// # Errors
    /// What the device reports.
    ///
    /// # Panics
    /// When there was no mini-batch.
    pub fn take_evaluation(&mut self) -> Result<Evaluation> {
        let (sums, examples) = (self.suspend()?, self.objective.len);
        self.charge_choice(&sums, examples);
        self.evaluation(sums, examples)
    }

    /// Charges what mini-batches of so many examples cost, of which these are the sums, beside what was charged when
    /// they ran: how many were chosen is known only now.
    pub(crate) fn charge_choice(&mut self, sums: &MinibatchSums, examples: usize) {
        self.cost.backward += sums.backward;
        if self.selection.is_some() {
            // of the last layer's gradient, in which all have a part
            let others = (sums.batches * examples) as u64 - sums.backward;
            let Objective { workspace, .. } = &self.objective;
            let yardstick = Yardstick::new(workspace.model.multiply_adds());
            self.cost += yardstick.cost(others * workspace.head_multiply_adds());
        }
    }

    /// What the sums of mini-batches of so many examples come to, with the penalty of what θ holds by now.
    ///
    /// # Errors
    /// What the device reports.
    ///
    /// # Panics
    /// When there was no mini-batch.
    pub(crate) fn evaluation(&mut self, sums: MinibatchSums, examples: usize) -> Result<Evaluation> {
        let MinibatchSums { batches, weight, cross_entropy, accuracy, not_finite, backward } = sums;
        let (theta, _) = self.last.as_ref().filter(|_| batches > 0).expect("a mini-batch ran since last asked");
        let decay = self.objective.weight_decay;
        let square = if decay == 0.0 { 0.0 } else { self.objective.square(theta)? };
        if decay != 0.0 {
            let model = &self.objective.workspace.model;
            self.cost += Yardstick::new(model.multiply_adds()).cost(model.parameters() as u64);
        }
        let mean = |sum: f64| sum / weight;
        let kept = self.selection.as_ref().map(|_| backward as f64 / (batches * examples) as f64);
        let (cross_entropy, accuracy) = (mean(cross_entropy), mean(accuracy));
        Ok(Evaluation { kept, ..Evaluation::new(cross_entropy, accuracy, decay, square, not_finite) })
    }

    /// What the last mini-batch left in the workspace, if it is still there: all of it went forward in one piece, and
    /// no pass has run since.
    pub fn activations(&self) -> Option<Activations<'_>> {
        let Self { objective: batch, last, .. } = self;
        let (_, stamp) = last.as_ref()?;
        let in_one_piece = batch.index.len() <= batch.workspace.chunk;
        (in_one_piece && batch.workspace.is_latest(*stamp)).then_some(Activations { batch })
    }

    /// What they have cost so far.
    pub fn cost(&self) -> Cost {
        self.cost
    }

    /// Writes the examples `indices` as those of the next batch.
    fn write_examples(&self, indices: &[u32], weights: Option<&[f32]>) {
        let Objective { gpu, examples, index, weights: of_examples, .. } = &self.objective;
        let (padded, aligned) = (index.len(), self.chosen.len() / 3);
        let share = (1.0 / indices.len() as f64) as f32;
        let mut chosen = vec![0; 3 * aligned];
        chosen[..padded].fill(PADDING);
        for (n, &i) in indices.iter().enumerate() {
            let (weight, label) = (weights.map_or(share, |weights| share * weights[n]), examples.label(i));
            let weight = of_examples.as_ref().map_or(weight, |of| weight * of[i as usize % of.len()] as f32);
            [chosen[n], chosen[aligned + n], chosen[2 * aligned + n]] = [i, label, weight.to_bits()];
        }
        gpu.write(&self.chosen, &chosen);
    }

    /// Submits the gradient of the batch written last, at θ or where its scores were found. The threshold of a draw is
    /// 0 where it follows from these.
    fn submit(&mut self, theta: Option<&Buf>, threshold: f32, gradient: &Buf) -> Result<()> {
        let Objective { gpu, workspace, index, loss, correct, len, .. } = &self.objective;
        if let (Some(selection), Some(draw)) = (&self.selection, self.draw) {
            selection.write_draw(gpu, draw, *len, threshold);
        }
        let (padded, aligned) = (index.len(), self.chosen.len() / 3);
        let start = self.used * self.slot;
        let slot = |at: usize, len: usize| self.slots.view(start + at..start + at + len);
        let marks = &workspace.report.marks;
        let (losses, hits, found) = (slot(0, padded), slot(aligned, padded), slot(2 * aligned, marks.len()));
        let count = slot(self.slot - ALIGNMENT, 1);
        let mut after = vec![(&workspace.gradient, gradient), (loss, &losses), (correct, &hits), (marks, &found)];
        after.extend(self.selection.as_ref().map(|selection| (&selection.kept.count, &count)));
        let before: Vec<_> = theta.map(|theta| (theta, &workspace.theta)).into_iter().collect();
        self.rest.as_ref().unwrap_or(&self.program).run_between(gpu, &before, &after)?;
        self.used += 1;
        if self.used >= self.ahead { self.collect() } else { Ok(()) }
    }

    /// Waits for the mini-batches that were submitted and adds up what their slots hold.
    fn collect(&mut self) -> Result<()> {
        if self.used == 0 {
            return Ok(());
        }
        let Objective { gpu, workspace, index, len, .. } = &self.objective;
        gpu.copy(&self.slots, self.reader.staging());
        let words: Vec<u32> = self.reader.collect(gpu)?;
        let seconds = self.since.elapsed().as_secs_f64() / self.used as f64;
        self.program.took(seconds);
        self.ahead = ((BEHIND / seconds.max(1e-9)) as usize).clamp(1, SLOTS);
        let (padded, aligned) = (index.len(), self.chosen.len() / 3);
        let sum = |words: &[u32]| words[..*len].iter().map(|&bits| f64::from(f32::from_bits(bits))).sum::<f64>();
        for slot in words.chunks_exact(self.slot).take(self.used) {
            self.sums.cross_entropy += sum(slot);
            self.sums.accuracy += sum(&slot[aligned..aligned + padded]);
            let marks = slot[2 * aligned..2 * aligned + workspace.report.marks.len()].iter().step_by(ALIGNMENT);
            self.sums.backward += u64::from(slot[self.slot - ALIGNMENT]);
            self.sums.not_finite =
                self.sums.not_finite.take().or_else(|| self.objective.not_finite(Pass::Gradient, marks));
        }
        self.sums.batches += self.used;
        self.used = 0;
        Ok(())
    }
}
