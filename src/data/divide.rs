//! A test part taken out of one folder of pictures.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// Which pictures of each class are the test part, where a folder has none of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestShare {
    /// So many …
    pub numerator: u32,
    /// … of as many.
    pub denominator: u32,
    /// Which ones.
    pub seed: u64,
}

impl FromStr for TestShare {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/').and_then(|(n, d)| Some((n.parse().ok()?, d.parse().ok()?)));
        match parts.filter(|(n, d)| *n >= 1_u32 && n < d) {
            Some((numerator, denominator)) => Ok(Self { numerator, denominator, seed: 0 }),
            None => Err(format!("{text:?} is not a fraction below 1, such as 1/5")),
        }
    }
}

impl TestShare {
    /// Takes the test part out of the pictures of a class, both in their order. At least one stays; where there are two
    /// or more, at least one is taken.
    pub(super) fn take<T>(&self, class: u64, pictures: &mut Vec<T>) -> Vec<T> {
        let share = f64::from(self.numerator) / f64::from(self.denominator);
        let count = ((pictures.len() as f64 * share).round() as usize).max(1).min(pictures.len().saturating_sub(1));
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(class);
        let mut order: Vec<usize> = (0..pictures.len()).collect();
        order.shuffle(&mut rng);
        let mut is_taken = vec![false; pictures.len()];
        order[..count].iter().for_each(|&i| is_taken[i] = true);
        let (mut kept, mut taken) = (Vec::new(), Vec::new());
        for (picture, is_taken) in pictures.drain(..).zip(is_taken) {
            if is_taken { taken.push(picture) } else { kept.push(picture) }
        }
        *pictures = kept;
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_each_class_is_taken_and_the_seed_decides_which() {
        let share: TestShare = "1/5".parse().unwrap();
        for (all, expected) in [(0, 0), (1, 0), (2, 1), (7, 1), (8, 2), (100, 20)] {
            let mut kept: Vec<usize> = (0..all).collect();
            let taken = share.take(3, &mut kept);
            assert_eq!((taken.len(), kept.len()), (expected, all - expected), "{all}");
            assert!(kept.is_sorted() && taken.is_sorted() && taken.iter().all(|i| !kept.contains(i)));
        }
        let of = |seed, class| TestShare { seed, ..share }.take(class, &mut (0..100).collect::<Vec<_>>());
        assert_eq!(of(1, 0), of(1, 0));
        assert!(of(1, 0) != of(2, 0) && of(1, 0) != of(1, 1));
        let most: TestShare = "99/100".parse().unwrap();
        assert_eq!(most.take(0, &mut vec![(); 3]).len(), 2, "one stays");
        for text in ["", "1", "0/5", "5/5", "6/5", "-1/5", "1/x"] {
            assert!(text.parse::<TestShare>().is_err(), "{text}");
        }
    }
}
