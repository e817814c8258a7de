//! Resampling with a triangle filter: bilinear when enlarging, and a weighted mean over everything a
//! pixel covers when shrinking (so that nothing is skipped).

use crate::shape::Shape;

/// The source pixels that make up one target pixel along one axis; the weights sum to 1.
struct Taps {
    first: usize,
    weights: Vec<f32>,
}

/// A value of a pixel.
pub(super) trait Sample: Copy {
    fn value(self) -> f32;
    /// From a mean of values.
    fn of(mean: f32) -> Self;
}

impl Sample for u8 {
    fn value(self) -> f32 {
        f32::from(self)
    }

    fn of(mean: f32) -> Self {
        mean.round() as Self
    }
}

impl Sample for f32 {
    fn value(self) -> f32 {
        self
    }

    fn of(mean: f32) -> Self {
        mean
    }
}

/// Resamples planes of one size to planes of another.
pub(super) struct Resizer {
    from: Shape,
    rows: Vec<Taps>,
    columns: Vec<Taps>,
}

impl Resizer {
    /// From the planes of `from` to planes of `height` × `width`.
    pub(super) fn new(from: Shape, height: usize, width: usize) -> Self {
        Self { from, rows: taps(from.height, height), columns: taps(from.width, width) }
    }

    /// Resamples every plane in `planes` and appends the results to `target`.
    pub(super) fn append<T: Sample>(&self, planes: &[T], target: &mut Vec<T>) {
        for plane in planes.chunks_exact(self.from.pixels()) {
            self.append_plane(plane, 1, target);
        }
    }

    /// Resamples a picture `[H][W][C]` and appends its planes to `target`. Nothing of the picture is copied.
    pub(super) fn append_interleaved(&self, picture: &[u8], target: &mut Vec<u8>) {
        for channel in 0..self.from.channels {
            self.append_plane(&picture[channel..], self.from.channels, target);
        }
    }

    /// The plane of every `step`th value.
    fn append_plane<T: Sample>(&self, values: &[T], step: usize, target: &mut Vec<T>) {
        if (self.rows.len(), self.columns.len()) == (self.from.height, self.from.width) {
            target.extend(values.iter().step_by(step));
            return;
        }
        let mut mixed = vec![0.0; self.from.width];
        for row in &self.rows {
            mixed.fill(0.0);
            let lines = values.chunks(self.from.width * step).skip(row.first);
            for (line, weight) in lines.zip(&row.weights) {
                for (sum, &pixel) in mixed.iter_mut().zip(line.iter().step_by(step)) {
                    *sum += weight * pixel.value();
                }
            }
            target.extend(self.columns.iter().map(|column| {
                let covered = mixed[column.first..].iter().zip(&column.weights);
                T::of(covered.map(|(value, weight)| value * weight).sum())
            }));
        }
    }
}

fn taps(from: usize, to: usize) -> Vec<Taps> {
    let scale = from as f64 / to as f64;
    // Half the width of the triangle: one source pixel, or one target pixel when that is larger.
    let reach = scale.max(1.0);
    (0..to)
        .map(|index| {
            let centre = (index as f64 + 0.5) * scale;
            let first = (centre - reach).floor().max(0.0) as usize;
            let end = ((centre + reach).ceil() as usize).min(from);
            let weight = |pixel: usize| (1.0 - ((pixel as f64 + 0.5 - centre) / reach).abs()).max(0.0);
            let sum: f64 = (first..end).map(weight).sum();
            Taps { first, weights: (first..end).map(|pixel| (weight(pixel) / sum) as f32).collect() }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{GrayImage, imageops};

    fn resized(plane: &[u8], height: usize, width: usize, to: (usize, usize)) -> Vec<u8> {
        let mut target = Vec::new();
        Resizer::new(Shape::new(1, height, width), to.0, to.1).append(plane, &mut target);
        target
    }

    #[test]
    fn the_same_size_changes_nothing() {
        let plane: Vec<u8> = (0..35).map(|i| (i * 37 % 256) as u8).collect();
        assert_eq!(resized(&plane, 5, 7, (5, 7)), plane);
    }

    #[test]
    fn agrees_with_an_independent_triangle_filter() {
        let plane: Vec<u8> = (0..20 * 30).map(|i| (i * i % 251) as u8).collect();
        let image = GrayImage::from_raw(30, 20, plane.clone()).unwrap();
        for (height, width) in [(7, 11), (20, 8), (33, 47), (1, 1), (40, 5)] {
            let ours = resized(&plane, 20, 30, (height, width));
            let theirs =
                imageops::resize(&image, width as u32, height as u32, imageops::FilterType::Triangle).into_raw();
            for (a, b) in ours.iter().zip(&theirs) {
                assert!(a.abs_diff(*b) <= 1, "{height}x{width}: {a} and {b}");
            }
            assert_eq!(ours.len(), theirs.len());
        }
    }
}
