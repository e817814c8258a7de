//! What the examples of each class count in the training loss.

use crate::error::{Error, Result, UsageError};
use crate::files::{TEXT, line_of, read_text};
use std::collections::BTreeMap;
use std::path::Path;

/// A factor for each class, 1 on average over the training examples.
#[derive(Clone, Debug, PartialEq)]
pub enum ClassWeights {
    /// In inverse proportion to how many examples a class has: all classes count as much.
    Balanced,
    /// These, relative to each other, in the order of the classes.
    Given(Vec<f64>),
}

impl ClassWeights {
    /// `balanced`, or those of a TOML file with a line `class = weight` for each class.
    ///
    /// # Errors
    /// [`Error::Usage`] naming the class that is missing, unknown or has no number above 0; [`Error::Data`] for a file
    /// that cannot be read.
    pub fn open(name: &str, classes: &[String]) -> Result<Self> {
        if name == "balanced" {
            return Ok(Self::Balanced);
        }
        let path = Path::new(name);
        let text = read_text(path, TEXT).map_err(|e| Error::unreadable(path, e))?;
        Self::parse(&text, name, classes)
    }

    /// The text of such a file; `file` names it in messages.
    ///
    /// # Errors
    /// [`Error::Usage`].
    pub fn parse(text: &str, file: &str, classes: &[String]) -> Result<Self> {
        let fault = |why: String| Error::from(UsageError::ClassWeights { file: file.to_owned(), why });
        let weights: BTreeMap<String, f64> =
            toml::from_str(text).map_err(|e| fault(format!("line {}: {}", line_of(text, &e), e.message())))?;
        if let Some(unknown) = weights.keys().find(|class| !classes.contains(class)) {
            return Err(fault(format!("there is no class {unknown}")));
        }
        let of = |class: &String| {
            let weight = *weights.get(class).ok_or_else(|| fault(format!("the class {class} has no weight")))?;
            let is_weight = weight.is_finite() && weight > 0.0;
            if is_weight { Ok(weight) } else { Err(fault(format!("the weight of {class} is no number above 0"))) }
        };
        classes.iter().map(of).collect::<Result<_>>().map(Self::Given)
    }

    /// The factors for such training examples.
    pub(super) fn of(&self, labels: &[u32], classes: usize) -> Vec<f64> {
        let mut counts = vec![0usize; classes];
        labels.iter().for_each(|&label| counts[label as usize] += 1);
        let weights: Vec<f64> = match self {
            // a class without examples counts as much as one with one
            Self::Balanced => counts.iter().map(|&count| 1.0 / count.max(1) as f64).collect(),
            Self::Given(weights) => weights.clone(),
        };
        let sum: f64 = weights.iter().zip(&counts).map(|(weight, &count)| weight * count as f64).sum();
        weights.iter().map(|weight| weight * labels.len() as f64 / sum).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_one_on_average_and_faults_are_said_by_class() {
        let labels = [0, 0, 0, 1];
        assert_eq!(ClassWeights::Balanced.of(&labels, 2), [2.0 / 3.0, 2.0]);
        let classes = ["cat".to_owned(), "a dog".to_owned()];
        let parse = |text: &str| ClassWeights::parse(text, "w.toml", &classes);
        let given = parse("cat = 1\n\"a dog\" = 5.0\n").unwrap();
        assert_eq!(given.of(&labels, 2), [0.5, 2.5]);
        for (text, why) in [
            ("cat = 1", "the class a dog has no weight"),
            ("cat = 1\n\"a dog\" = 2\nbird = 1", "no class bird"),
            ("cat = 0\n\"a dog\" = 2", "the weight of cat"),
            ("cat = nan\n\"a dog\" = 2", "the weight of cat"),
            ("cat = 1\n\"a dog\" = \"x\"", "w.toml: line 2"),
            ("cat", "w.toml: line 1"),
        ] {
            let refused = parse(text).unwrap_err().to_string();
            assert!(refused.contains(why), "{text}: {refused}");
        }
    }
}
