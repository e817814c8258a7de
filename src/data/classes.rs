//! Classes of one data set by the names of another's.

use super::dataset::Dataset;
use unicode_normalization::UnicodeNormalization;

impl Dataset {
    /// The same examples with labels that count these classes, which are found by name. None where there is a class
    /// that is not among them. Where either has numbers for names, as files without names have, and as many classes,
    /// they are taken to be in the same order.
    pub fn with_classes(mut self, classes: &[String]) -> Option<Self> {
        if self.has_classes(classes) {
            self.classes = classes.to_vec();
            return Some(self);
        }
        let composed = |name: &String| name.nfc().collect::<String>();
        let known: Vec<String> = classes.iter().map(composed).collect();
        let of_name = |name: &String| known.iter().position(|other| *other == composed(name));
        let places: Vec<usize> = self.classes.iter().map(of_name).collect::<Option<_>>()?;
        for label in self.train.labels.iter_mut().chain(&mut self.test.labels) {
            *label = places[*label as usize] as u32;
        }
        self.classes = classes.to_vec();
        Some(self)
    }

    /// Whether its classes are these, in the same order, or numbers where either comes from files without names.
    pub fn has_classes(&self, classes: &[String]) -> bool {
        let is_numbered = |names: &[String]| names.iter().enumerate().all(|(i, name)| *name == i.to_string());
        let of_files = !self.format.is_of_pictures() && self.classes.len() == classes.len();
        self.classes == classes || of_files && (is_numbered(&self.classes) || is_numbered(classes))
    }

    /// Names of classes that no training example has.
    pub fn classes_without_examples(&self) -> Vec<&str> {
        let mut has_examples = vec![false; self.classes.len()];
        self.train.labels.iter().for_each(|&label| has_examples[label as usize] = true);
        let names = self.classes.iter().zip(has_examples);
        names.filter(|(_, has)| !has).map(|(name, _)| name.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::parts::Format;
    use super::*;

    fn named(names: &[&str], format: Format) -> Dataset {
        let mut set = Dataset::digits().unwrap();
        set.classes = names.iter().map(|&name| name.to_owned()).collect();
        for split in [&mut set.train, &mut set.test] {
            split.labels = (0..split.len() as u32).map(|i| i % names.len() as u32).collect();
        }
        Dataset { format, ..set }
    }

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn labels_follow_the_names() {
        let set = named(&["10", "2", "é"], Format::ImageFolder);
        let fewer = set.clone().with_classes(&owned(&["2", "e\u{301}", "10", "x"])).unwrap();
        assert_eq!((&fewer.train.labels[..4], fewer.classes.len()), (&[2, 0, 1, 2][..], 4));
        assert_eq!(fewer.classes_without_examples(), ["x"]);
        assert!(set.clone().with_classes(&owned(&["2", "10"])).is_none());
        assert!(set.with_classes(&owned(&["2", "10", "z"])).is_none());
    }

    #[test]
    fn numbers_stand_for_names_unless_they_are_those_of_folders() {
        let names = owned(&["cat", "dog"]);
        let labels = |set: Option<Dataset>| set.map(|set| set.train.labels[..3].to_vec());
        assert_eq!(labels(named(&["0", "1"], Format::Cifar10).with_classes(&names)), Some(vec![0, 1, 0]));
        assert_eq!(labels(named(&["cat", "dog"], Format::Idx).with_classes(&owned(&["0", "1"]))), Some(vec![0, 1, 0]));
        assert_eq!(labels(named(&["0", "1"], Format::ImageFolder).with_classes(&names)), None);
        assert_eq!(labels(named(&["dog", "cat"], Format::Idx).with_classes(&names)), Some(vec![1, 0, 1]));
    }
}
