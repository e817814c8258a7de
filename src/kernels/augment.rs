//! Copies of examples, each changed in its own way: shifted, mirrored, turned, scaled, recoloured, a square cut out.
//!
//! What happens to copy k of example i follows from the seed, i and k alone (Philox), so that a list of copies is a
//! fixed set of examples, of which none is stored. Geometry acts first, then colour, then the cut. What comes from
//! beyond the border is a byte 0, black, as in torchvision, which pads images before they are normalised; what is cut
//! out is zero after it, the mean of a channel.

use super::gather::Normalisation;
use crate::device::{Buf, Gpu, Quads};
use crate::error::{Result, UsageError};
use crate::program::{Dispatch, Shader, shader};
use crate::shape::Shape;
use serde::{Deserialize, Serialize};

pub(super) const AUGMENT: Shader = shader!("augment");

/// Pixels that the drawing of a shift counts.
const MAX_CROP: usize = 1 << 14;

/// Pixels of a workgroup: each draws anew what happens to its images.
const PIXELS: usize = 64;

/// How copies may differ from their examples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Augmentation {
    /// Pixels by which an image is shifted along rows and columns, at most: a crop out of one that is padded by as
    /// many.
    pub crop: u32,
    /// Whether half of the copies are mirrored, left to right.
    pub flip: bool,
    /// Degrees by which an image is turned, at most; 0 to 45.
    pub rotate: f64,
    /// s: an image is scaled by a factor of 1 − s to 1 + s.
    pub scale: f64,
    /// Share of a channel's standard deviation that is added or subtracted, at most.
    pub brightness: f64,
    /// c: what a pixel differs from the channel's mean is scaled by a factor of 1 − c to 1 + c.
    pub contrast: f64,
    /// Side in pixels of a square that is set to zero, its centre anywhere (DeVries and Taylor 2017, arXiv 1708.04552).
    pub cutout: u32,
}

impl Augmentation {
    /// Whether images of a shape can be changed so.
    ///
    /// # Errors
    /// [`Error::Usage`](crate::error::Error::Usage) where a number is beyond its range.
    pub fn check(&self, shape: Shape) -> Result<()> {
        let side = shape.height.min(shape.width);
        let ranges = [
            ("crop", f64::from(self.crop), (side - 1).min(MAX_CROP) as f64),
            ("rotate", self.rotate, 45.0),
            ("scale", self.scale, 0.5),
            ("brightness", self.brightness, 4.0),
            ("contrast", self.contrast, 1.0),
            ("cutout", f64::from(self.cutout), side as f64),
        ];
        match ranges.into_iter().find(|(_, value, most)| !(0.0..=*most).contains(value)) {
            Some((name, value, most)) => Err(UsageError::Augmentation { name, value, most }.into()),
            None => Ok(()),
        }
    }

    /// Whether sources lie between pixels.
    fn interpolates(&self) -> bool {
        self.rotate != 0.0 || self.scale != 0.0
    }

    /// Multiply-adds of changing an image of a shape: where each pixel comes from and three mixtures of what is there,
    /// where it comes from between pixels; one for colour. Moving pixels is none.
    pub fn multiply_adds(&self, shape: Shape) -> u64 {
        let (pixels, values) = (shape.pixels() as u64, shape.len() as u64);
        let between = if self.interpolates() { 4 * pixels + 6 * values } else { 0 };
        let is_coloured = self.brightness != 0.0 || self.contrast != 0.0;
        between + if is_coloured { values } else { 0 }
    }

    /// As the kernel reads it.
    fn words(&self, seed: u64) -> [u32; 9] {
        let bits = |value: f64| (value as f32).to_bits();
        let rotate = bits(self.rotate.to_radians());
        let [scale, contrast, brightness] = [self.scale, self.contrast, self.brightness].map(bits);
        let key = [seed as u32, (seed >> 32) as u32];
        [key[0], key[1], self.crop, u32::from(self.flip), self.cutout, rotate, scale, contrast, brightness]
    }

    /// In device memory, for all copies of one seed.
    ///
    /// # Errors
    /// As [`Gpu::alloc`].
    pub fn upload(&self, gpu: &Gpu, seed: u64) -> Result<Buf> {
        gpu.upload("data.augmentation", &self.words(seed))
    }
}

/// y = the copies `index` u32 `[N/B][B]`, example + copy · `examples`, of the normalised images `x`; copy 0 is the
/// example itself. `x` and `y` are `[N/B][C·H·W][B]`, `by` is the augmentation, [uploaded](Augmentation::upload),
/// `norm` what the images were normalised with.
///
/// # Errors
/// As [`Dispatch::new`].
pub fn augment(
    gpu: &Gpu,
    shape: Shape,
    examples: usize,
    augmentation: &Augmentation,
    [by, index]: [&Buf; 2],
    norm: &Normalisation,
    [x, y]: [&Quads; 2],
) -> Result<Dispatch> {
    assert!(x.len() == index.len() * shape.len() && y.len() == x.len());
    let (blocks, rows) = (index.len() / gpu.profile.block, gpu.profile.rows);
    let constants = [
        ("CHANNELS", shape.channels),
        ("HEIGHT", shape.height),
        ("WIDTH", shape.width),
        ("EXAMPLES", examples),
        ("INTERPOLATE", usize::from(augmentation.interpolates())),
        ("LANES", gpu.profile.lanes()),
        ("ROWS", rows),
        ("EACH", PIXELS.div_ceil(rows)),
    ];
    let grid = [shape.pixels().div_ceil(PIXELS.div_ceil(rows) * rows), blocks, 1];
    let bindings = [x.into(), index.into(), by.into(), (&norm.0).into(), y.into()];
    Dispatch::new(gpu, &AUGMENT, &constants, &bindings, grid)
}

/// The same in f64, on plain `[N][C][H][W]`.
pub mod reference {
    use crate::kernels::augment::Augmentation;
    use crate::kernels::selection::reference::philox;
    use crate::shape::Shape;

    /// What happens to one copy of an example.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct Drawn {
        /// Row and column in the source of a pixel p of the copy: matrix · p + shift.
        pub matrix: [[f64; 2]; 2],
        /// In pixels of the source.
        pub shift: [f64; 2],
        /// Contrast: a value x becomes gain · x + offset.
        pub gain: f64,
        /// Brightness, in the units of the values.
        pub offset: f64,
        /// First row and column of the square cut out.
        pub cut: [i64; 2],
    }

    /// What happens to a copy, counted from 1.
    pub fn draw(by: &Augmentation, shape: Shape, seed: u64, example: u32, copy: u32) -> Drawn {
        let key = [seed as u32, (seed >> 32) as u32];
        let [place, form, square] = [1, 2, 3].map(|which| philox([example, copy, which, 0], key));
        let signed = |word: u32| 2.0 * f64::from(word >> 8) / f64::from(1 << 24) - 1.0;
        let below = |word: u32, count: u32| i64::from(((word >> 16) * count) >> 16);
        let moved = [place[0], place[1]].map(|word| (below(word, 2 * by.crop + 1) - i64::from(by.crop)) as f64);
        let mirror = if by.flip && place[2] >= 1 << 31 { -1.0 } else { 1.0 };
        let (sine, cosine) = (by.rotate.to_radians() * signed(form[0])).sin_cos();
        let zoom = 1.0 + by.scale * signed(form[1]);
        let matrix = [[cosine / zoom, -sine * mirror / zoom], [sine / zoom, cosine * mirror / zoom]];
        let centre = [shape.height, shape.width].map(|side| (side as f64 - 1.0) / 2.0);
        let sides = [shape.height as u32, shape.width as u32];
        let moved = |side: usize| centre[side] + moved[side];
        Drawn {
            matrix,
            shift: [0, 1].map(|i| centre[i] - matrix[i][0] * moved(0) - matrix[i][1] * moved(1)),
            gain: 1.0 + by.contrast * signed(form[2]),
            offset: by.brightness * signed(form[3]),
            cut: [0, 1].map(|i| below(square[i], sides[i]) - i64::from(by.cutout / 2)),
        }
    }

    /// One image `[C][H][W]`, changed; a black pixel has the values `black` `[C]`.
    pub fn augment(by: &Augmentation, shape: Shape, black: &[f64], image: &[f64], drawn: &Drawn) -> Vec<f64> {
        let (height, width) = (shape.height as i64, shape.width as i64);
        let pixel = |channel: usize, row: i64, column: i64| {
            let is_inside = (0..height).contains(&row) && (0..width).contains(&column);
            if is_inside { image[channel * shape.pixels() + (row * width + column) as usize] } else { black[channel] }
        };
        let value = |channel: usize, row: i64, column: i64| {
            let is_cut = |at: i64, first: i64| (first..first + i64::from(by.cutout)).contains(&at);
            if is_cut(row, drawn.cut[0]) && is_cut(column, drawn.cut[1]) {
                return 0.0;
            }
            let p = [row as f64, column as f64];
            let [y, x] = [0, 1].map(|i| drawn.matrix[i][0] * p[0] + drawn.matrix[i][1] * p[1] + drawn.shift[i]);
            let ([top, left], [down, right]) = ([y.floor(), x.floor()], [y - y.floor(), x - x.floor()]);
            let (top, left) = (top as i64, left as i64);
            let across = |row: i64| (1.0 - right) * pixel(channel, row, left) + right * pixel(channel, row, left + 1);
            drawn.gain * ((1.0 - down) * across(top) + down * across(top + 1)) + drawn.offset
        };
        let places =
            (0..shape.channels).flat_map(|c| (0..height).flat_map(move |y| (0..width).map(move |x| (c, y, x))));
        places.map(|(channel, row, column)| value(channel, row, column)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Augmentation =
        Augmentation { crop: 4, flip: true, rotate: 15.0, scale: 0.1, brightness: 0.2, contrast: 0.3, cutout: 8 };

    #[test]
    fn draws_are_spread_as_they_should_be() {
        let shape = Shape::new(3, 32, 32);
        let drawn: Vec<_> = (0..4000).map(|i| reference::draw(&ALL, shape, 7, i, 1)).collect();
        let mean = |of: &dyn Fn(&reference::Drawn) -> f64| drawn.iter().map(of).sum::<f64>() / 4000.0;
        // the determinant is negative where the image is mirrored
        let determinant = |d: &reference::Drawn| d.matrix[0][0] * d.matrix[1][1] - d.matrix[0][1] * d.matrix[1][0];
        assert!((mean(&|d| f64::from(u8::from(determinant(d) < 0.0))) - 0.5).abs() < 0.04);
        assert!((mean(&|d| d.gain) - 1.0).abs() < 0.02 && mean(&|d| d.offset).abs() < 0.01);
        assert!(drawn.iter().all(|d| (0.7..=1.3).contains(&d.gain) && d.offset.abs() <= 0.2));
        assert!(drawn.iter().all(|d| (0.9f64.powi(2)..=1.1f64.powi(2)).contains(&(1.0 / determinant(d).abs()))));
        for side in [0, 1] {
            for first in -4..28 {
                let share = mean(&|d| f64::from(u8::from(d.cut[side] == first)));
                assert!((share - 1.0 / 32.0).abs() < 0.015, "cut at {first}: {share}");
            }
        }
        let shifts = Augmentation { crop: 4, ..Augmentation::default() };
        let shifts: Vec<_> = (0..4000).map(|i| reference::draw(&shifts, shape, 7, i, 1).shift).collect();
        for by in -4..=4 {
            let share = shifts.iter().filter(|shift| shift[1] == f64::from(by)).count() as f64 / 4000.0;
            assert!((share - 1.0 / 9.0).abs() < 0.03, "shift by {by}: {share}");
        }
    }

    #[test]
    fn moving_pixels_is_no_arithmetic() {
        let (shape, none) = (Shape::new(2, 5, 4), Augmentation::default());
        let moves = Augmentation { crop: 1, flip: true, cutout: 2, ..none };
        let of = [moves, Augmentation { rotate: 5.0, ..none }, Augmentation { contrast: 0.1, ..none }, ALL];
        // 20 pixels, 40 values
        assert_eq!(of.map(|by| by.multiply_adds(shape)), [0, 4 * 20 + 6 * 40, 40, 4 * 20 + 7 * 40]);
    }

    #[test]
    fn what_is_asked_for_happens_and_nothing_else() {
        let shape = Shape::new(2, 5, 4);
        let image: Vec<f64> = (1..=40).map(f64::from).collect();
        let identity = Augmentation::default();
        let drawn = reference::draw(&identity, shape, 1, 2, 3);
        assert_eq!(reference::augment(&identity, shape, &[0.0; 2], &image, &drawn), image);
        let flip = Augmentation { flip: true, ..identity };
        let mirrored: Vec<f64> = image.chunks(4).flat_map(|row| row.iter().rev().copied()).collect();
        let results = (0..20)
            .map(|i| reference::augment(&flip, shape, &[0.0; 2], &image, &reference::draw(&flip, shape, 1, i, 1)));
        let count = results.inspect(|got| assert!(*got == image || *got == mirrored)).filter(|got| *got == mirrored);
        assert!((5..16).contains(&count.count()));
        // a shift brings in black
        let crop = Augmentation { crop: 1, ..identity };
        let shifted = (0..20).map(|i| reference::draw(&crop, shape, 1, i, 1)).find(|drawn| drawn.shift == [1.0, 0.0]);
        let got = reference::augment(&crop, shape, &[-3.0, -7.0], &image, &shifted.unwrap());
        assert_eq!((&got[..16], &got[16..20], &got[36..]), (&image[4..20], &[-3.0; 4][..], &[-7.0; 4][..]));
        // another option leaves what is drawn for the first alone
        let both = Augmentation { brightness: 0.5, ..flip };
        let (one, two) = (reference::draw(&flip, shape, 1, 9, 2), reference::draw(&both, shape, 1, 9, 2));
        assert_eq!((one.matrix, one.shift), (two.matrix, two.shift));
    }
}
