//! Other losses of an objective's kind: over some of its examples, with smoothed targets, with weights.

use super::examples::Examples;
use super::loss::{Objective, Over};
use crate::batch::Share;
use crate::error::Result;
use std::sync::Arc;

impl Objective {
    /// The same with targets (1 − s) onehot + s/M in place of onehot, as PyTorch's `label_smoothing` has them: in the
    /// cross entropy of every [`Evaluation`](super::Evaluation), in gradients and in the choice of examples. The
    /// Hessian of the loss by the logits, and so all curvature, is that of before.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::error::Error::OutOfMemory), [`Error::Device`](crate::error::Error::Device).
    ///
    /// # Panics
    /// When a pass was made, or s is not in \[0, 1).
    pub fn smoothed(mut self, s: f64) -> Result<Self> {
        assert!((0.0..1.0).contains(&s) && self.programs.is_empty(), "{s}");
        self.targets.smoothing = (s > 0.0).then(|| self.gpu.upload("subset.smoothing", &[s as f32])).transpose()?;
        self.smoothing = s;
        Ok(self)
    }

    /// The same with what each example of the data set counts, if not 1: a factor of its loss, and of its part in what
    /// is derived from the loss. Normalisations take all examples alike.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::error::Error::OutOfMemory), [`Error::Device`](crate::error::Error::Device).
    ///
    /// # Panics
    /// When a pass was made, or there are not as many weights as examples in the data set.
    pub fn weighted(mut self, weights: Option<&Arc<[f64]>>) -> Result<Self> {
        let Some(weights) = weights else { return Ok(self) };
        assert!(weights.len() == self.examples.len() && self.programs.is_empty());
        let of_example = || self.indices.iter().map(|&i| weights[i as usize % weights.len()]);
        let words = of_example().map(|weight| (weight as f32).to_bits());
        self.targets.weight = Examples::per_example(&self.gpu, "subset.weight", words, 0)?;
        self.weight = of_example().sum::<f64>() / self.len as f64;
        self.weights = Some(weights.clone());
        Ok(self)
    }

    /// The loss over so many of these examples, spread evenly; where there are fewer, some count more than once.
    ///
    /// # Errors
    /// As [`Objective::new`].
    pub fn sample(&self, examples: usize) -> Result<Self> {
        let indices = spread(&self.indices, examples);
        self.like(Self::new(&self.gpu, &self.workspace, &self.examples, &indices, self.weight_decay)?)
    }

    /// The loss over a share of these examples, whole blocks or, where it normalises over groups, whole groups; none
    /// where there is nothing in it.
    ///
    /// # Errors
    /// As [`Objective::new`].
    pub fn share(&self, share: Share) -> Result<Option<Self>> {
        let blocks = if let Over::Groups(blocks) = self.over { blocks } else { 1 };
        let unit = if self.workspace.model.normalises() { blocks } else { 1 } * self.gpu.profile.block;
        let indices = share.take(&self.indices, unit);
        if indices.is_empty() { Ok(None) } else { self.part(&indices, blocks).map(Some) }
    }

    /// The same, normalised over groups of so many blocks.
    pub(super) fn sample_over(&self, examples: usize, blocks: usize) -> Result<Self> {
        self.part(&spread(&self.indices, examples), blocks)
    }

    /// The same over other examples.
    pub(super) fn part(&self, indices: &[u32], blocks: usize) -> Result<Self> {
        let decay = self.weight_decay;
        self.like(Self::over(&self.gpu, &self.workspace, &self.examples, (indices, decay), blocks)?)
    }

    /// Another one with targets and weights as here.
    fn like(&self, other: Self) -> Result<Self> {
        other.smoothed(self.smoothing)?.weighted(self.weights.as_ref())
    }

    /// The same in whole blocks of real examples and in one chunk, for sums in which a padded one would count: about so
    /// many.
    ///
    /// # Errors
    /// As [`Objective::new`].
    pub fn sample_in_blocks(&self, examples: usize) -> Result<Self> {
        let block = self.gpu.profile.block;
        let examples = examples.min(self.len).next_multiple_of(block).min(self.workspace.chunk / block * block);
        self.sample_over(examples, examples / block)
    }

    /// What these examples count on average.
    pub(crate) fn weight(&self) -> f64 {
        self.weight
    }

    /// The least that the cross entropy can be: the entropy of the targets.
    pub fn least_cross_entropy(&self) -> f64 {
        let (s, classes) = (self.smoothing, self.workspace.model.classes as f64);
        let term = |t: f64| if t > 0.0 { -t * t.ln() } else { 0.0 };
        term(1.0 - s + s / classes) + (classes - 1.0) * term(s / classes)
    }
}

/// So many of these, spread evenly; where there are fewer, some more than once.
pub(super) fn spread(indices: &[u32], count: usize) -> Vec<u32> {
    let len = indices.len();
    let at = |i: usize| if count <= len { i * len / count } else { i % len };
    (0..count).map(|i| indices[at(i)]).collect()
}
