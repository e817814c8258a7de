//! How the pixels of pictures are spread, beside those that a network was trained on.

use crate::shape::Shape;
use std::fmt;

/// A mean so many deviations away, or a deviation so many times as large or small, is of another range.
const AWAY: f64 = 2.0;
const LARGER: f64 = 3.0;
const SMALLER: f64 = 6.0;

/// Sums over the pixels of pictures, by channel.
#[derive(Clone, Debug, Default)]
pub(super) struct PixelSpread {
    /// Pixels, and Σx and Σx² of each channel.
    count: u64,
    sums: Vec<[u64; 2]>,
}

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

impl PixelSpread {
    /// Takes note of pictures `[N][C][H][W]`.
    pub(super) fn add(&mut self, images: &[u8], shape: Shape) {
        self.sums.resize(shape.channels, [0; 2]);
        for image in images.chunks_exact(shape.len()) {
            for ([sum, squares], plane) in self.sums.iter_mut().zip(image.chunks_exact(shape.pixels())) {
                *sum += plane.iter().map(|&pixel| u64::from(pixel)).sum::<u64>();
                *squares += plane.iter().map(|&pixel| u64::from(pixel).pow(2)).sum::<u64>();
            }
        }
        self.count += (images.len() / shape.channels) as u64;
    }

    /// The first channel that is not like what a network normalises by, if there is one.
    pub(super) fn differs_from(&self, normalisation: &[(f64, f64)]) -> Option<OtherRange> {
        let count = self.count as f64;
        let moments = self.sums.iter().map(|&[sum, squares]| {
            let mean = sum as f64 / count;
            (mean, (squares as f64 / count - mean * mean).max(0.0).sqrt())
        });
        let pairs = moments.zip(normalisation.iter().copied()).map(|(found, trained)| OtherRange { found, trained });
        pairs.filter(|_| self.count > 0).find(OtherRange::is_other)
    }
}

impl OtherRange {
    fn is_other(&self) -> bool {
        let Self { found: (mean, deviation), trained: (trained_mean, trained_deviation) } = *self;
        let is_far = (mean - trained_mean).abs() > AWAY * trained_deviation;
        is_far || deviation > LARGER * trained_deviation || deviation < trained_deviation / SMALLER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_range_is_told_from_other_pictures() {
        let trained = [(33.0, 79.0)];
        let shape = Shape::new(1, 2, 2);
        let of = |images: &[u8]| {
            let mut spread = PixelSpread::default();
            images.chunks(4).for_each(|image| spread.add(image, shape));
            spread.differs_from(&trained)
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
        let mut spread = PixelSpread::default();
        spread.add(&[0, 255, 1, 3], Shape::new(2, 1, 2));
        let found = spread.differs_from(&[(127.0, 127.0), (127.0, 127.0)]).unwrap().found;
        assert_eq!(found, (2.0, 1.0));
        assert_eq!(spread.differs_from(&[(127.0, 127.0), (2.0, 1.0)]), None);
    }
}
