//! Data sets that a program has in memory.

use super::dataset::Dataset;
use super::parts::{Format, Parts, ReadOptions, Split};
use crate::error::{Result, UsageError};
use crate::shape::Shape;
use crate::values::ValuesRef;

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
