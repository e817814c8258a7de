//! How the pixels of pictures are spread, beside those that a network was trained on.

use crate::data::ChannelSums;
use std::fmt;

/// A mean so many deviations away, or a deviation so many times as large or small, is of another range.
const AWAY: f64 = 2.0;
const LARGER: f64 = 3.0;
const SMALLER: f64 = 6.0;

/// Pictures whose pixels are not like those that a network was trained on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OtherRange {
    /// Mean and deviation of a channel of theirs, as bytes.
    pub found: (f64, f64),
    /// Those of the pictures that it was trained on.
    pub trained: (f64, f64),
}

impl fmt::Display for OtherRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { found: (mean, deviation), trained: (trained_mean, trained_deviation) } = self;
        write!(
            f,
            "pixels have mean {mean:.0} and deviation {deviation:.0}, and those of the training pictures had \
             {trained_mean:.0} and {trained_deviation:.0}: another range of values, or dark for bright"
        )
    }
}

impl OtherRange {
    /// The first channel of pictures that is not like what a network normalises by, if there is one.
    pub(super) fn of(pictures: &ChannelSums, normalisation: &[(f64, f64)]) -> Option<Self> {
        let pairs = pictures.moments().zip(normalisation.iter().copied());
        let mut pairs = pairs.map(|(found, trained)| Self { found, trained }).filter(|_| !pictures.is_empty());
        pairs.find(Self::is_other)
    }

    fn is_other(&self) -> bool {
        let Self { found: (mean, deviation), trained: (trained_mean, trained_deviation) } = *self;
        let is_far = (mean - trained_mean).abs() > AWAY * trained_deviation;
        is_far || deviation > LARGER * trained_deviation || deviation < trained_deviation / SMALLER
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::Shape;

    #[test]
    fn another_range_is_told_from_other_pictures() {
        let trained = [(33.0, 79.0)];
        let shape = Shape::new(1, 2, 2);
        let of = |images: &[u8]| {
            let mut sums = ChannelSums::default();
            images.chunks(4).for_each(|image| sums.add(image, shape));
            OtherRange::of(&sums, &trained)
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[0, 0, 200, 0, 0, 250, 0, 90]), None);
        let dark = of(&[0, 0, 12, 0, 0, 16, 0, 6]).unwrap();
        assert_eq!((dark.found.0, dark.trained), (4.25, (33.0, 79.0)));
        assert!(dark.to_string().starts_with("pixels have mean 4 and deviation 6, and"), "{dark}");
        assert!(of(&[255, 255, 55, 255, 255, 5, 255, 255]).is_some(), "inverted");
    }

    #[test]
    fn each_channel_is_looked_at() {
        let mut sums = ChannelSums::default();
        sums.add(&[0, 255, 1, 3], Shape::new(2, 1, 2));
        let found = OtherRange::of(&sums, &[(127.0, 127.0), (127.0, 127.0)]).unwrap().found;
        assert_eq!(found, (2.0, 1.0));
        assert_eq!(OtherRange::of(&sums, &[(127.0, 127.0), (2.0, 1.0)]), None);
    }
}
