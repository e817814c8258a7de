//! Which examples a subset holds.

use super::overdetermination::{WELL_ABOVE_ONE, overdetermination};
use crate::error::{Result, UsageError};
use crate::files::hex;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;

/// How examples are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sampling {
    /// Class by class, so that class sizes differ by at most one while every class has examples left.
    #[default]
    Balanced,
    /// Each example as likely as any other.
    Uniform,
    /// Of each class its share, to a whole example; as far as can be, at least one of each is left.
    Proportional,
}

/// Chosen examples of a data set, in ascending order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subset {
    /// Positions in the data set.
    pub indices: Vec<u32>,
    /// What it was drawn with.
    pub seed: u64,
    /// SHA-256 of the indices (u32, little-endian): two runs with the same hash trained on the same examples.
    pub hash: String,
}

impl Subset {
    /// A subset of given examples.
    pub fn new(mut indices: Vec<u32>, seed: u64) -> Self {
        indices.sort_unstable();
        let digest = Sha256::digest(indices.iter().flat_map(|i| i.to_le_bytes()).collect::<Vec<u8>>());
        let hash = hex(&digest);
        Self { indices, seed, hash }
    }

    /// `count` of the `candidates`, drawn without replacement. The seed's `stream` keeps draws of one seed apart.
    /// Candidates beyond the labels are copies of examples.
    pub fn draw(
        sampling: Sampling,
        labels: &[u32],
        candidates: &[u32],
        count: usize,
        (seed, stream): (u64, u64),
    ) -> Self {
        assert!(count <= candidates.len());
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        let mut candidates = candidates.to_vec();
        candidates.shuffle(&mut rng);
        let class = |i: u32| match sampling {
            Sampling::Balanced | Sampling::Proportional => labels[i as usize % labels.len()] as usize,
            Sampling::Uniform => 0,
        };
        let all = candidates.len();
        let classes = candidates.iter().map(|&i| class(i) + 1).max().unwrap_or(0);
        let mut of_class = vec![Vec::new(); classes];
        for i in candidates {
            of_class[class(i)].push(i);
        }
        of_class.shuffle(&mut rng); // so that the classes with one more are not always the first
        if sampling == Sampling::Proportional && count < all {
            let counts = shares(&of_class.iter().map(Vec::len).collect::<Vec<_>>(), count);
            of_class.iter_mut().zip(counts).for_each(|(class, count)| class.truncate(count));
        }
        let mut indices = Vec::with_capacity(count);
        while indices.len() < count {
            let room = count - indices.len();
            indices.extend(of_class.iter_mut().filter_map(Vec::pop).take(room));
        }
        Self::new(indices, seed)
    }

    /// K, the number of examples.
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// Whether it holds no example.
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }

    /// The examples of 0..n that are not in this subset.
    pub fn complement(&self, n: usize) -> Vec<u32> {
        let mut chosen = self.indices.iter().peekable();
        (0..n as u32).filter(|i| chosen.next_if_eq(&i).is_none()).collect()
    }
}

/// Of classes of these sizes their shares of `count` examples, those with the largest remainders one more. At least one
/// of each class is left, unless that is too few.
fn shares(sizes: &[usize], count: usize) -> Vec<usize> {
    let all: usize = sizes.iter().sum();
    let leaves_one = all - sizes.iter().filter(|&&size| size > 0).count() >= count;
    let most = |size: usize| if leaves_one { size.saturating_sub(1) } else { size };
    // a product of two counts of examples may be beyond 64 bits
    let share = |size: usize| (count as u128 * size as u128 / all as u128) as usize;
    let remainder = |size: usize| count as u128 * size as u128 % all as u128;
    let mut shares: Vec<usize> = sizes.iter().map(|&size| share(size).min(most(size))).collect();
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|&class| std::cmp::Reverse(remainder(sizes[class])));
    let mut missing = count - shares.iter().sum::<usize>();
    while missing > 0 {
        let has_room = |&&class: &&usize| shares[class] < most(sizes[class]);
        let next: Vec<usize> = order.iter().filter(has_room).take(missing).copied().collect();
        missing -= next.len();
        next.into_iter().for_each(|class| shares[class] += 1);
    }
    shares
}

/// How many examples a subset is to have: `1/8` of the training set, `7500`, or `auto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum SubsetSize {
    /// The smallest of 1/2, 1/4, 1/8, … of the training set with Q ≥ [`WELL_ABOVE_ONE`], or all of it.
    Auto,
    /// A fraction of the training set.
    Fraction(u32, u32),
    /// A number of examples.
    Count(usize),
}

impl SubsetSize {
    /// K for a training set of `n` examples of which `available` may be drawn.
    ///
    /// # Errors
    /// [`Error::Usage`](crate::error::Error::Usage) when that is none, or more than there are.
    pub fn examples(self, n: usize, available: usize, classes: usize, parameters: usize) -> Result<usize> {
        let count = match self {
            Self::Count(count) => count,
            // all there is, whatever is held out
            Self::Fraction(numerator, denominator) if numerator == denominator && numerator > 0 => available,
            Self::Fraction(numerator, denominator) => part(n, numerator, denominator).unwrap_or(0),
            Self::Auto => {
                let halvings = (1..)
                    .map(|k| n >> k)
                    .take_while(|&count| count > 0 && overdetermination(count, classes, parameters) >= WELL_ABOVE_ONE);
                halvings.last().unwrap_or(available)
            }
        };
        if count == 0 || count > available {
            return Err(UsageError::Subset { size: self.to_string(), count, examples: n, available }.into());
        }
        Ok(count)
    }
}

/// That fraction of n, rounded down; none without a denominator.
fn part(n: usize, numerator: u32, denominator: u32) -> Option<usize> {
    let part = (n as u128 * u128::from(numerator)).checked_div(u128::from(denominator))?;
    Some(usize::try_from(part).unwrap_or(usize::MAX))
}

impl fmt::Display for SubsetSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Fraction(numerator, denominator) => write!(f, "{numerator}/{denominator}"),
            Self::Count(count) => write!(f, "{count}"),
        }
    }
}

impl FromStr for SubsetSize {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let expected = || format!("{text:?} is not a fraction like 1/8, a number of examples, or auto");
        let number = |part: &str| part.parse::<u32>().map_err(|_| expected());
        match text.split_once('/') {
            _ if text == "auto" => Ok(Self::Auto),
            None => Ok(Self::Count(number(text)? as usize)),
            Some((numerator, denominator)) => match (number(numerator)?, number(denominator)?) {
                (n, d) if n >= 1 && n <= d => Ok(Self::Fraction(n, d)),
                _ => Err(expected()),
            },
        }
    }
}

impl TryFrom<String> for SubsetSize {
    type Error = String;
    fn try_from(text: String) -> std::result::Result<Self, String> {
        text.parse()
    }
}

impl From<SubsetSize> for String {
    fn from(size: SubsetSize) -> Self {
        size.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> Vec<u32> {
        (0..100).map(|i| if i < 70 { 0 } else { 1 + i % 3 }).collect()
    }

    #[test]
    fn classes_are_balanced_while_they_last() {
        let labels = labels();
        let candidates: Vec<u32> = (0..100).collect();
        let subset = Subset::draw(Sampling::Balanced, &labels, &candidates, 42, (0, 0));
        let count = |class| subset.indices.iter().filter(|&&i| labels[i as usize] == class).count();
        // 10 of each small class, 12
        assert_eq!((0..4).map(count).max().unwrap() - (0..4).map(count).min().unwrap(), 2);
        assert_eq!(count(0), 12);
        assert_eq!(subset.len(), 42);
        assert!(subset.indices.is_sorted_by(|a, b| a < b), "sorted, without repetition");
    }

    #[test]
    fn a_uniform_draw_is_as_the_candidates_are() {
        let (labels, candidates) = (labels(), (0..100).collect::<Vec<u32>>());
        let of_large = (0..200).map(|seed| {
            let subset = Subset::draw(Sampling::Uniform, &labels, &candidates, 20, (seed, 0));
            assert_eq!(subset.len(), 20);
            subset.indices.iter().filter(|&&i| labels[i as usize] == 0).count()
        });
        let mean = of_large.sum::<usize>() as f64 / 200.0;
        assert!((mean - 14.0).abs() < 0.6, "{mean} of 20, where 70 of 100 are of that class");
    }

    #[test]
    fn a_proportional_draw_leaves_one_of_each_class() {
        assert_eq!(shares(&[180, 15, 1], 39), [36, 3, 0]);
        assert_eq!(shares(&[5, 5, 5], 4), [2, 1, 1]);
        assert_eq!(shares(&[0, 3, 1], 2), [0, 2, 0]);
        assert_eq!(shares(&[9, 1], 8), [8, 0]);
        assert_eq!(shares(&[2, 1], 2), [1, 1], "one of each would be left of one example");
        assert_eq!(shares(&[1 << 40, 1 << 40], 1 << 39), [1 << 38; 2]);
        let labels: Vec<u32> = (0..195).map(|i| u32::from(i >= 180)).collect();
        let candidates: Vec<u32> = (0..195).collect();
        let draw = |seed| Subset::draw(Sampling::Proportional, &labels, &candidates, 39, (seed, 0));
        assert_eq!(draw(1).indices.iter().filter(|&&i| i >= 180).count(), 3);
        assert_eq!((draw(1).len(), draw(1) == draw(2)), (39, false));
        let all = Subset::draw(Sampling::Proportional, &labels, &candidates, 195, (0, 0));
        assert_eq!(all.indices, candidates);
    }

    #[test]
    fn the_seed_decides_and_streams_differ() {
        let (labels, candidates) = (labels(), (0..100).collect::<Vec<u32>>());
        let draw = |seed, stream| Subset::draw(Sampling::Balanced, &labels, &candidates, 20, (seed, stream)).hash;
        assert_eq!(draw(1, 0), draw(1, 0));
        assert_ne!(draw(1, 0), draw(2, 0));
        assert_ne!(draw(1, 0), draw(1, 1));
    }

    #[test]
    fn the_complement_is_everything_else() {
        let subset = Subset::new(vec![7, 0, 3], 0);
        assert_eq!(subset.complement(9), [1, 2, 4, 5, 6, 8]);
    }

    #[test]
    fn sizes_are_read_and_written() {
        for text in ["1/8", "7500", "auto", "1/1"] {
            assert_eq!(text.parse::<SubsetSize>().unwrap().to_string(), text);
        }
        for text in ["", "0/8", "9/8", "1/0", "-3", "1.5", "x"] {
            assert!(text.parse::<SubsetSize>().is_err(), "{text}");
        }
        assert_eq!(SubsetSize::Fraction(1, 8).examples(60_000, 57_000, 10, 14_114).unwrap(), 7500);
        assert_eq!(SubsetSize::Auto.examples(60_000, 57_000, 10, 14_114).unwrap(), 7500); // Q = 5.3; 1/16 has 2.7
        let equal = ["1/1", "3/3", "4294967295/4294967295"].map(|text| text.parse::<SubsetSize>().unwrap());
        assert_eq!(equal.map(|size| size.examples(100, 90, 10, 10).unwrap()), [90; 3], "all that are not held out");
        assert_eq!("2/16".parse::<SubsetSize>().unwrap().examples(60_000, 57_000, 10, 10).unwrap(), 7500);
        assert!(SubsetSize::Fraction(3, 4).examples(usize::MAX, 90, 10, 10).is_err());
        assert_eq!(SubsetSize::Auto.examples(100, 90, 10, 14_114).unwrap(), 90); // never well above one: all there is
        assert!(SubsetSize::Count(0).examples(100, 90, 10, 10).is_err());
        assert!(SubsetSize::Count(95).examples(100, 90, 10, 10).is_err());
    }
}
