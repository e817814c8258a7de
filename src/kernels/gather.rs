//! From a data set of bytes in device memory to the normalised activations of chosen examples.

use crate::device::{Buf, Gpu};
use crate::error::Result;
use crate::kernel::{Dispatch, Shader, shader};
use crate::shape::Shape;

pub(super) const GATHER: Shader = shader!("gather");

/// The index that stands for a padded example.
pub const PADDING: u32 = u32::MAX;

/// Some features of every example: `[examples][words]` of four bytes each, starting at feature `first`.
#[derive(Clone, Debug)]
pub struct Page {
    /// The bytes, little-endian in words.
    pub bytes: Buf,
    /// First feature.
    pub first: usize,
    /// Words an example.
    pub words: usize,
}

/// Mean and inverse standard deviation of each channel, in units of a byte.
#[derive(Clone, Debug)]
pub struct Normalisation {
    /// f32 `[C]`
    pub mean: Buf,
    /// f32 `[C]`
    pub inverse_std: Buf,
}

/// x\[n, features of the page\] = (bytes − mean) / std for the examples `index` u32 `[N/B][B]`; `x` is `[N/B][C·H·W][B]`.
///
/// # Errors
/// As [`Dispatch::new`].
pub fn gather(gpu: &Gpu, shape: Shape, page: &Page, index: &Buf, by: &Normalisation, x: &Buf) -> Result<Dispatch> {
    let blocks = index.len() / gpu.profile.block;
    assert_eq!(x.len(), index.len() * shape.len());
    let rows = gpu.profile.rows as usize;
    let constants = [
        ("FEATURES", shape.len()),
        ("PIXELS", shape.pixels()),
        ("FIRST", page.first),
        ("WORDS", page.words),
        ("LANES", gpu.profile.lanes()),
        ("ROWS", rows),
    ];
    let bindings = [&page.bytes, index, &by.mean, &by.inverse_std, x];
    Dispatch::new(gpu, &GATHER, &constants, &bindings, [page.words.div_ceil(rows), blocks, 1])
}

/// The same in f64, on plain `[N][C][H][W]`.
pub mod reference {
    use super::{PADDING, Shape};

    /// Normalised features of the examples `index`; zeros for [`PADDING`].
    pub fn gather(shape: Shape, images: &[u8], index: &[u32], mean: &[f64], std: &[f64]) -> Vec<f64> {
        let value = |n: u32, f: usize| match n {
            PADDING => 0.0,
            _ => (f64::from(images[n as usize * shape.len() + f]) - mean[f / shape.pixels()]) / std[f / shape.pixels()],
        };
        index.iter().flat_map(|&n| (0..shape.len()).map(move |f| value(n, f))).collect()
    }
}
