//! What one rank computes of a problem: the passes over its share of the examples.

use super::prices::curvature_examples;
use crate::batch::{Batch, Chosen, Looks, Share};
use crate::cost::Cost;
use crate::device::{Buf, Gpu};
use crate::error::Result;
use crate::objective::{Evaluation, Kronecker, MinibatchSums, Minibatches, Objective};
use crate::optimise::Rule;

/// The loss over a subset, and of it what is one rank's: all where there is no other.
///
/// A share is whole blocks, dealt out in turn, or whole groups where a model normalises over these. Of a mini-batch it
/// is dealt out anew each time. What a rank finds is a mean over its share; it counts as much as there are in it.
pub(crate) struct LocalProblem {
    /// Over all of the subset.
    objective: Objective,
    share: Share,
    /// Over the share alone, once asked for; none where there is nothing in it.
    part: Option<Option<Objective>>,
    /// Mini-batches of the subset, once asked for.
    minibatches: Option<Minibatches>,
    /// Examples that tell the curvature, once asked for.
    curvature: Option<Option<Objective>>,
    kronecker: Option<Option<Kronecker>>,
    /// What its factors are estimated from.
    looks: Looks,
    /// What mini-batches of another size have cost.
    earlier_cost: Cost,
}

/// What a rank found over its share, and how much that counts among all.
pub(super) type OfShare<T> = Option<(f64, T)>;

impl LocalProblem {
    /// The share of an objective's examples.
    pub(crate) fn new(objective: Objective, share: Share) -> Self {
        let (part, minibatches, curvature, kronecker) = (None, None, None, None);
        let (looks, earlier_cost) = (Looks::USUAL, Cost::default());
        Self { objective, share, part, minibatches, curvature, kronecker, looks, earlier_cost }
    }

    /// The loss over all of the subset.
    pub(super) fn objective(&self) -> &Objective {
        &self.objective
    }

    /// The device.
    pub(super) fn gpu(&self) -> &Gpu {
        self.objective.gpu()
    }

    /// Records what a rule will run, so that its kernels are compiled while others run.
    ///
    /// # Errors
    /// What the device reports; so for the others.
    pub(crate) fn prepare(&mut self, rule: &Rule) -> Result<()> {
        let batches = rule.batches();
        self.looks = rule.looks();
        self.minibatches(batches.batch_of(self.objective.len()), batches.select)?;
        if rule.is_preconditioned() {
            self.kronecker()?;
        }
        Ok(())
    }

    /// What its factors are estimated from.
    pub(super) fn looks(&self) -> Looks {
        self.looks
    }

    /// Of a mini-batch of so many examples, how many are this rank's.
    fn share_of_batch(&self, examples: usize) -> usize {
        self.share.count(examples, self.gpu().profile.block)
    }

    /// Mini-batches of so many examples, all or a choice of which go backward; none where all are of other ranks.
    pub(super) fn minibatches(&mut self, examples: usize, selects: bool) -> Result<Option<&mut Minibatches>> {
        let own = self.share_of_batch(examples);
        let choice = match selects {
            true if self.share == Share::ALL => Chosen::Own,
            true => Chosen::Common,
            false => Chosen::All,
        };
        if let Some(others) = self.minibatches.take_if(|known| !known.are(own, choice)) {
            self.earlier_cost += others.cost();
        }
        if self.minibatches.is_none() && own > 0 {
            // the penalty is added once, by rank 0, whose part of the sum is a share
            let decay = self.objective.weight_decay() * examples as f64 / own as f64;
            let decay = if self.share.of == 0 { decay } else { 0.0 };
            self.minibatches = Some(Minibatches::decayed(&self.objective, own, choice, decay)?);
        }
        Ok(self.minibatches.as_mut())
    }

    /// Those that ran.
    pub(super) fn known_minibatches(&mut self) -> Option<&mut Minibatches> {
        self.minibatches.as_mut()
    }

    /// The share of the subset.
    fn part(&mut self) -> Result<Option<&mut Objective>> {
        if self.share == Share::ALL {
            return Ok(Some(&mut self.objective));
        }
        if self.part.is_none() {
            self.part = Some(self.objective.share(self.share)?);
        }
        Ok(self.part.as_mut().and_then(Option::as_mut))
    }

    /// The examples that tell the curvature (Martens 2010, section 4.5, takes it from a sample as well), or the share
    /// of them, and how many they are in all.
    fn curvature_sample(&mut self) -> Result<(Option<&mut Objective>, usize)> {
        let all = curvature_examples(self.objective.len());
        if self.curvature.is_none() {
            let sample = self.objective.sample(all)?;
            self.curvature = Some(if self.share == Share::ALL { Some(sample) } else { sample.share(self.share)? });
        }
        Ok((self.curvature.as_mut().and_then(Option::as_mut), all))
    }

    /// The Kronecker factors of the share; none where there is nothing to look at.
    ///
    /// # Errors
    /// As [`Kronecker::new`].
    pub(super) fn kronecker(&mut self) -> Result<Option<&mut Kronecker>> {
        if self.kronecker.is_none() {
            self.kronecker = Some(Kronecker::shared(&self.objective, self.looks, self.share)?);
        }
        Ok(self.known_kronecker())
    }

    /// The same where they were asked for.
    pub(super) fn known_kronecker(&mut self) -> Option<&mut Kronecker> {
        self.kronecker.as_mut().and_then(Option::as_mut)
    }

    /// To be looked at.
    pub(super) fn factors(&self) -> Option<&Kronecker> {
        self.kronecker.as_ref().and_then(Option::as_ref)
    }

    /// What an example counts on average, and loss and gradient at x.
    pub(super) fn gradient(&mut self, x: &Buf, gradient: &Buf) -> Result<OfShare<(f64, Evaluation)>> {
        let all = self.objective.len();
        let Some(part) = self.part()? else { return Ok(None) };
        let found = part.loss_and_gradient(x, gradient)?;
        Ok(Some((part.len() as f64 / all as f64, (part.weight(), found))))
    }

    /// G(x) v
    pub(super) fn gauss_newton_product(&mut self, x: &Buf, v: &Buf, product: &Buf) -> Result<OfShare<Evaluation>> {
        let (sample, all) = self.curvature_sample()?;
        let Some(sample) = sample else { return Ok(None) };
        let found = sample.gauss_newton_product(x, v, product)?;
        Ok(Some((sample.len() as f64 / all as f64, found)))
    }

    /// The curvature of the cross entropy alone.
    pub(super) fn curvature(&mut self, x: &Buf, directions: [&Buf; 2]) -> Result<OfShare<[f64; 3]>> {
        let (sample, all) = self.curvature_sample()?;
        let Some(sample) = sample else { return Ok(None) };
        let found = sample.curvature(x, directions)?;
        Ok(Some((sample.len() as f64 / all as f64, found)))
    }

    /// Makes the factors anew at x, or from what the mini-batch before left; so much is `kept` of those before. How
    /// many examples were looked at.
    pub(super) fn look(&mut self, x: &Buf, seed: u64, keep: f64, at_minibatch: bool) -> Result<Option<usize>> {
        self.kronecker()?;
        let Self { minibatches, kronecker: Some(Some(kronecker)), .. } = self else { return Ok(None) };
        let activations = minibatches.as_ref().filter(|_| at_minibatch).and_then(Minibatches::activations);
        match activations {
            Some(activations) => kronecker.update_at(&activations, seed, keep).map(Some),
            None => kronecker.update(x, seed, keep).map(Some),
        }
    }

    /// This rank's part of a mini-batch, and how much of it that is; none where all is of other ranks.
    fn of_minibatch<T>(
        &mut self,
        batch: Batch<'_>,
        run: impl FnOnce(&mut Minibatches, Batch<'_>) -> Result<T>,
    ) -> Result<OfShare<T>> {
        let (share, block, len) = (self.share, self.gpu().profile.block, batch.positions.len());
        let Some(minibatches) = self.minibatches(len, batch.draw.is_some())? else { return Ok(None) };
        let positions = share.take(batch.positions, block);
        let weights = batch.weights.map(|weights| share.take(weights, block));
        let found = run(minibatches, Batch { positions: &positions, weights: weights.as_deref(), ..batch })?;
        Ok(Some((positions.len() as f64 / len as f64, found)))
    }

    /// The gradient of a mini-batch.
    pub(super) fn minibatch_gradient(&mut self, x: &Buf, batch: Batch<'_>, gradient: &Buf) -> Result<OfShare<()>> {
        self.of_minibatch(batch, |minibatches, own| minibatches.gradient(x, own, gradient))
    }

    /// The scores of all examples of a mini-batch, those of other ranks being 0: their sum over ranks is all of them.
    pub(super) fn minibatch_scores(&mut self, x: &Buf, batch: Batch<'_>) -> Result<OfShare<Vec<f32>>> {
        let (share, len, block) = (self.share, batch.positions.len(), self.gpu().profile.block);
        let found = self.of_minibatch(batch, |minibatches, own| minibatches.scores(x, own))?;
        Ok(found.map(|(counts, scores)| (counts, share.put(&scores, len, block))))
    }

    /// The gradient of the mini-batch of so many examples whose scores were found, by their threshold.
    pub(super) fn chosen_gradient(&mut self, examples: usize, threshold: f32, gradient: &Buf) -> Result<OfShare<()>> {
        let counts = self.share_of_batch(examples) as f64 / examples as f64;
        let Some(minibatches) = &mut self.minibatches else { return Ok(None) };
        // an example's score is by its weight in a mean over the share
        minibatches.gradient_by((f64::from(threshold) / counts) as f32, gradient)?;
        Ok(Some((counts, ())))
    }

    /// Waits for the mini-batches since last asked and hands out what they came to, and how much of them that is.
    /// `charge`: their choices are charged.
    pub(super) fn sums(&mut self, examples: usize, charge: bool) -> Result<OfShare<MinibatchSums>> {
        let own = self.share_of_batch(examples);
        let Some(minibatches) = &mut self.minibatches else { return Ok(None) };
        let sums = minibatches.suspend()?;
        if charge {
            minibatches.charge_choice(&sums, own);
        }
        Ok(Some((own as f64 / examples as f64, sums)))
    }

    /// What all of it has cost so far.
    pub(super) fn cost(&self) -> Cost {
        let minibatches = self.minibatches.as_ref().map_or(Cost::default(), Minibatches::cost);
        let [part, curvature] =
            [&self.part, &self.curvature].map(|of| of.iter().flatten().map(Objective::cost).next().unwrap_or_default());
        let kronecker = self.factors().map_or(Cost::default(), Kronecker::cost);
        self.objective.cost() + part + self.earlier_cost + minibatches + curvature + kronecker
    }
}
