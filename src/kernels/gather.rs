//! From a data set of bytes or f32 in device memory to the normalised activations of chosen examples.

use crate::device::{Buf, Gpu, Quads};
use crate::error::Result;
use crate::program::{Dispatch, Shader, shader};
use crate::shape::Shape;
use crate::values::ValueKind;

pub(super) const GATHER: Shader = shader!("gather");

/// The index that stands for a padded example.
pub const PADDING: u32 = u32::MAX;

/// Some features of every example: `[examples][quads]` of four words each, starting at feature `first`.
#[derive(Clone, Debug)]
pub struct Page {
    /// Four bytes a word, little-endian, or an f32.
    pub data: Quads,
    /// Which of these.
    pub kind: ValueKind,
    /// First feature.
    pub first: usize,
    /// Vectors of four words an example.
    pub quads: usize,
}

impl Page {
    /// N, the number of examples.
    fn examples(&self) -> usize {
        self.data.len() / (4 * self.quads)
    }
}

/// Mean and inverse standard deviation of each channel, in units of the data: `[C]` vec4s, the last two words unused.
#[derive(Clone, Debug)]
pub struct Normalisation(pub Quads);

impl Normalisation {
    /// From the mean and standard deviation of each channel.
    ///
    /// # Errors
    /// As [`Gpu::alloc_quads`].
    pub fn upload(gpu: &Gpu, statistics: &[(f64, f64)]) -> Result<Self> {
        let channels: Vec<f32> =
            statistics.iter().flat_map(|&(mean, std)| [mean as f32, (1.0 / std) as f32, 0.0, 0.0]).collect();
        Ok(Self(gpu.upload_quads("data.normalisation", &channels, false)?))
    }
}

/// x\[n, features of the page\] = (data − mean) / std for the examples `index` u32 `[N/B][B]`, modulo their number;
/// `x` is `[N/B][C·H·W][B]`.
///
/// # Errors
/// As [`Dispatch::new`].
pub fn gather(gpu: &Gpu, shape: Shape, page: &Page, index: &Buf, by: &Normalisation, x: &Quads) -> Result<Dispatch> {
    let blocks = index.len() / gpu.profile.block;
    assert_eq!(x.len(), index.len() * shape.len());
    let rows = gpu.profile.rows;
    let constants = [
        ("FEATURES", shape.len()),
        ("PIXELS", shape.pixels()),
        ("FIRST", page.first),
        ("QUADS", page.quads),
        ("PER_WORD", 4 / page.kind.size()),
        ("EXAMPLES", page.examples()),
        ("LANES", gpu.profile.lanes()),
        ("ROWS", rows),
    ];
    let bindings = [(&page.data).into(), index.into(), (&by.0).into(), x.into()];
    let grid = x.grid(gpu, [page.quads.div_ceil(rows), blocks, 1], 1, 1)?;
    Dispatch::new(gpu, &GATHER, &constants, &bindings, grid)
}

/// The same in f64, on plain `[N][C][H][W]`.
pub mod reference {
    use crate::kernels::gather::PADDING;
    use crate::shape::Shape;
    use crate::values::ValuesRef;

    /// Normalised features of the examples `index`; zeros for [`PADDING`].
    pub fn gather(shape: Shape, images: ValuesRef<'_>, index: &[u32], mean: &[f64], std: &[f64]) -> Vec<f64> {
        let value = |n: u32, f: usize| match n {
            PADDING => 0.0,
            _ => (images.get(n as usize * shape.len() + f) - mean[f / shape.pixels()]) / std[f / shape.pixels()],
        };
        index.iter().flat_map(|&n| (0..shape.len()).map(move |f| value(n, f))).collect()
    }
}
