//! Data sets that a program has in memory.

use super::dataset::Dataset;
use super::parts::{Format, Parts, ReadOptions, Split};
use crate::error::{Result, UsageError};
use crate::files::hex;
use crate::shape::Shape;
use crate::values::ValuesRef;
use sha2::{Digest, Sha256};

impl Dataset {
    /// A data set of arrays: examples of `shape`, with labels that count `classes`. Bytes are pixels; f32 may be
    /// anything finite, and [`Shape::vector`] is that of features, each of which is normalised by itself.
    ///
    /// Nothing opens it again: whoever resumes a run on it makes the same arrays once more.
    ///
    /// # Errors
    /// [`Error::Usage`](crate::error::Error::Usage) for a part without examples, lengths that do not go together,
    /// labels beyond the classes, parts of bytes and of f32, and values that are not finite.
    pub fn of_arrays(
        name: &str,
        shape: Shape,
        classes: Vec<String>,
        [mut train, mut test]: [Split; 2],
    ) -> Result<Self> {
        for (part, split) in [("training", &train), ("test", &test)] {
            if let Some(why) = fault(shape, classes.len(), split) {
                return Err(UsageError::Arrays { why: format!("the {part} part: {why}") }.into());
            }
        }
        if train.images.kind() != test.images.kind() {
            let why = format!("the training part has {}, the test part {}", train.images.kind(), test.images.kind());
            return Err(UsageError::Arrays { why }.into());
        }
        for split in [&mut train, &mut test] {
            split.images.shrink_to_fit();
        }
        let parts = Parts { format: Format::Arrays, shape, classes, train, test, notes: Vec::new() };
        Ok(Self::assemble(name.to_owned(), (name, ReadOptions::default()), parts))
    }
}

impl Dataset {
    /// The same with what each training example counts in the training loss, in proportion to these weights `[N]`; 1 on
    /// average. Held-out and test losses are of examples that count the same, as are mean and deviation.
    ///
    /// # Errors
    /// [`Error::Usage`](crate::error::Error::Usage) unless there is a number above 0 for each.
    pub fn weighted(mut self, weights: &[f64]) -> Result<Self> {
        let is_weight = |weight: &f64| weight.is_finite() && *weight > 0.0;
        let mean = weights.iter().sum::<f64>() / weights.len() as f64;
        if weights.len() != self.train.len() || !weights.iter().all(is_weight) || !is_weight(&mean) {
            let why = "the weights are not a number above 0 for each training example".to_owned();
            return Err(UsageError::Arrays { why }.into());
        }
        let weights: Vec<f64> = weights.iter().map(|weight| weight / mean).collect();
        let bytes = weights.iter().flat_map(|weight| weight.to_le_bytes());
        self.sha256 = hex(&Sha256::digest(self.sha256.bytes().chain(bytes).collect::<Vec<u8>>()));
        self.weights = Some(weights);
        Ok(self)
    }

    /// What each training example counts in the training loss, where its class counts so much, if not 1; with weights
    /// of its own, 1 on average.
    pub(crate) fn example_weights(&self, of_classes: Option<&[f64]>) -> Option<Vec<f64>> {
        let of_labels = |of: &[f64]| self.train.labels.iter().map(|&label| of[label as usize]).collect::<Vec<f64>>();
        let Some(own) = &self.weights else { return of_classes.map(of_labels) };
        let mut weights = of_classes.map_or_else(|| vec![1.0; own.len()], of_labels);
        weights.iter_mut().zip(own).for_each(|(weight, own)| *weight *= own);
        let mean = weights.iter().sum::<f64>() / weights.len() as f64;
        weights.iter_mut().for_each(|weight| *weight /= mean);
        Some(weights)
    }
}

/// What is wrong with a part, if anything is.
fn fault(shape: Shape, classes: usize, split: &Split) -> Option<String> {
    let (values, examples) = (split.images.len(), split.len());
    if examples == 0 || shape.is_empty() {
        return Some("no examples".to_owned());
    }
    if examples.checked_mul(shape.len()) != Some(values) {
        return Some(format!("{values} values are not {examples} examples of {shape}"));
    }
    if let Some(i) = split.labels.iter().position(|&label| label as usize >= classes) {
        return Some(format!("label {} of example {i} is none of {classes} classes", split.labels[i]));
    }
    not_finite(split.images.view()).map(|i| format!("a value of example {} is not finite", i / shape.len()))
}

/// Where the first value is that is not finite.
fn not_finite(values: ValuesRef<'_>) -> Option<usize> {
    match values {
        ValuesRef::Bytes(_) => None,
        ValuesRef::Floats(values) => values.iter().position(|value| !value.is_finite()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::Values;

    fn split(images: impl Into<Values>, labels: &[u32]) -> Split {
        Split { images: images.into(), labels: labels.to_vec() }
    }

    fn set(train: Split, test: Split) -> Result<Dataset> {
        Dataset::of_arrays("pairs", Shape::vector(2), ["a", "b"].map(str::to_owned).to_vec(), [train, test])
    }

    #[test]
    fn features_have_statistics_of_their_own() {
        let train = split(vec![1e6_f32, -3.0, 1e6 + 2.0, -3.0], &[0, 1]);
        let found = set(train.clone(), train).unwrap();
        assert_eq!(found.channel_statistics(), [(1e6 + 1.0, 1.0), (-3.0, 1.0)]);
        assert!(!found.has_black_border() && found.format == Format::Arrays);
        let bytes = split(vec![1u8, 2, 3, 4], &[0, 1]);
        assert_ne!(set(bytes.clone(), bytes).unwrap().sha256, found.sha256);
    }

    #[test]
    fn examples_count_in_proportion_to_their_weights() {
        let train = split(vec![0f32, 1.0, 2.0, 3.0, 4.0, 5.0], &[0, 1, 1]);
        let plain = set(train.clone(), train).unwrap();
        assert_eq!(plain.example_weights(None), None);
        assert_eq!(plain.example_weights(Some(&[0.5, 1.25])), Some(vec![0.5, 1.25, 1.25]));
        let weighted = plain.clone().weighted(&[2.0, 1.0, 1.0]).unwrap();
        assert_eq!(weighted.example_weights(None), Some(vec![1.5, 0.75, 0.75]));
        assert_eq!(weighted.example_weights(Some(&[1.0, 2.0])), Some(vec![1.0; 3]));
        assert!(weighted.sha256 != plain.sha256 && plain.class_entropy() < weighted.class_entropy());
        for weights in [&[1.0, 1.0][..], &[1.0, 0.0, 1.0], &[1.0, -1.0, 1.0], &[1.0, f64::NAN, 1.0], &[f64::MAX; 3]] {
            assert!(plain.clone().weighted(weights).is_err(), "{weights:?}");
        }
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        let good = split(vec![1f32, 2.0], &[1]);
        let said = |train, test| set(train, test).unwrap_err().to_string();
        for (train, expected) in [
            (split(vec![1f32, 2.0, 3.0], &[1]), "3 values are not 1 examples"),
            (split(vec![1f32, 2.0], &[2]), "label 2 of example 0"),
            (split(vec![1f32, 2.0, 3.0, f32::NAN], &[0, 0]), "a value of example 1 is not finite"),
            (split(Vec::<f32>::new(), &[]), "no examples"),
            (split(vec![1u8, 2], &[1]), "the training part has bytes, the test part f32"),
        ] {
            let said = said(train, good.clone());
            assert!(said.contains(expected), "{said}");
        }
        assert!(said(good, split(vec![1f32], &[1])).contains("the test part: 1 values"));
    }
}
