//! The training examples that decide.

use super::config::Config;
use crate::subset::{Sampling, Subset};

/// The stream of random numbers that they are drawn with.
const STREAM: u64 = 1;

impl Config {
    /// The held-out ones among training examples with these labels.
    pub(super) fn draw_held_out(&self, labels: &[u32]) -> Subset {
        let all: Vec<u32> = (0..labels.len() as u32).collect();
        let sampling = self.held_out_sampling.unwrap_or(self.sampling);
        Subset::draw(sampling, labels, &all, self.held_out, (self.seed, STREAM))
    }

    /// The same configuration; held-out examples are proportional where another draw would take all of a class, or more
    /// than twice its share and one.
    pub(super) fn with_fair_held_out(self, labels: &[u32]) -> Self {
        let is_fair = self.held_out == 0 || self.is_fair(labels);
        let held_out_sampling = if is_fair { self.held_out_sampling } else { Some(Sampling::Proportional) };
        Self { held_out_sampling, ..self }
    }

    fn is_fair(&self, labels: &[u32]) -> bool {
        let all = class_counts(labels);
        let mut taken = vec![0_u128; all.len()];
        self.draw_held_out(labels).indices.iter().for_each(|&i| taken[labels[i as usize] as usize] += 1);
        let (n, count) = (labels.len() as u128, self.held_out as u128);
        let is_class_fair =
            |(&all, &taken): (&u128, &u128)| taken == 0 || taken < all && taken * n <= 2 * count * all + n;
        all.iter().zip(&taken).all(is_class_fair)
    }
}

/// Whether so many may be held out of examples with these labels, so that there is one of each class to train on.
pub(super) fn leaves_each_class(labels: &[u32], held_out: usize) -> bool {
    held_out == 0 || labels.len() - held_out >= class_counts(labels).iter().filter(|&&count| count > 0).count()
}

/// How many examples with these labels each class has.
fn class_counts(labels: &[u32]) -> Vec<u128> {
    let mut counts = vec![0; labels.iter().map(|&label| label as usize + 1).max().unwrap_or(0)];
    labels.iter().for_each(|&label| counts[label as usize] += 1);
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Dataset;
    use crate::error::Error;
    use crate::optimise::{KfacSettings, Method};
    use crate::run::{Run, Schedule};
    use crate::subset::SubsetSize;

    #[test]
    fn a_rare_class_stays_in_training_and_even_ones_are_drawn_as_before() {
        let mut data = Dataset::digits().unwrap();
        let config = |data: &Dataset, size| {
            Run::by(data, Schedule::Full(Method::Kfac(KfacSettings::default()))).held_out(size).config()
        };
        let even = config(&data, SubsetSize::Fraction(1, 5)).unwrap();
        assert_eq!(even.held_out_sampling, None);

        data.train.labels = (0..1437).map(|i| if i < 1317 { 0 } else { 1 + i % 2 }).collect();
        let rare = config(&data, SubsetSize::Fraction(1, 5)).unwrap();
        assert_eq!(rare.held_out_sampling, Some(Sampling::Proportional));
        let taken = rare.draw_held_out(&data.train.labels).indices;
        let of = |class| taken.iter().filter(|&&i| data.train.labels[i as usize] == class).count();
        assert_eq!([of(0), of(1), of(2)], [263, 12, 12]);
        assert!(config(&data, SubsetSize::Count(1434)).is_ok());
        assert!(matches!(config(&data, SubsetSize::Count(1435)), Err(Error::Usage(_))));
    }
}
