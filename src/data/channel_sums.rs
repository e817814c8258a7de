//! Sums over the pixels of images of bytes, channel by channel.

use crate::shape::Shape;

/// Pixels, and Σx and Σx² of each channel. Sums of integers are exact, in any order: 2^64 / 255^2 pixels would be
/// needed to overflow.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChannelSums {
    count: u64,
    sums: Vec<[u64; 2]>,
}

impl ChannelSums {
    /// Adds images `[N][C][H][W]`.
    pub(crate) fn add(&mut self, images: &[u8], shape: Shape) {
        self.sums.resize(shape.channels, [0; 2]);
        for image in images.chunks_exact(shape.len()) {
            for ([sum, squares], plane) in self.sums.iter_mut().zip(image.chunks_exact(shape.pixels())) {
                *sum += plane.iter().map(|&pixel| u64::from(pixel)).sum::<u64>();
                *squares += plane.iter().map(|&pixel| u64::from(pixel).pow(2)).sum::<u64>();
            }
        }
        self.count += (images.len() / shape.channels) as u64;
    }

    /// Whether no pixel was added.
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Mean and standard deviation of each channel, in units of a byte; of no pixels zeros.
    pub(crate) fn moments(&self) -> impl Iterator<Item = (f64, f64)> {
        let count = self.count.max(1);
        self.sums.iter().map(move |&[sum, squares]| {
            // n²·variance = n·Σx² − (Σx)², still exact.
            let spread = u128::from(count) * u128::from(squares) - u128::from(sum).pow(2);
            (sum as f64 / count as f64, (spread as f64).sqrt() / count as f64)
        })
    }
}
