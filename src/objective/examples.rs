//! A data set in device memory: images as bytes, never as floats, so that CIFAR-10 takes 154 MB and not 614.

use crate::device::{Buf, Gpu};
use crate::error::{Error, Result};
use crate::kernels::gather::{Normalisation, Page};
use crate::shape::Shape;

/// The images of one split on the device, with their labels on the host.
#[derive(Clone, Debug)]
pub struct Examples {
    /// Shape of an example.
    pub shape: Shape,
    /// Class of each example.
    pub labels: Vec<u32>,
    pub(super) pages: Vec<Page>,
    pub(super) normalisation: Normalisation,
}

impl Examples {
    /// Uploads `images` `[N][C][H][W]`. `statistics` are the mean and standard deviation of each channel in units of a byte;
    /// every split is normalised with those of the training set.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] when the device has no room; [`Error::Device`].
    pub fn upload(gpu: &Gpu, shape: Shape, images: &[u8], labels: &[u32], statistics: &[(f64, f64)]) -> Result<Self> {
        let examples = labels.len();
        assert!(examples > 0, "a set has examples: readers refuse an empty one");
        assert_eq!(images.len(), examples * shape.len());
        assert_eq!(statistics.len(), shape.channels);
        // A set larger than one binding is split along its features, so that each page holds some of every example.
        let most = gpu.max_binding_words() / examples;
        if most == 0 {
            return Err(Error::OutOfMemory(format!(
                "{examples} examples are more than a binding of this adapter indexes"
            )));
        }
        let words = shape.len().div_ceil(4);
        let pages = (0..words).step_by(most).map(|start| {
            let page_words = most.min(words - start);
            let (first, last) = (4 * start, (4 * (start + page_words)).min(shape.len()));
            let mut bytes = vec![0u8; examples * page_words * 4];
            for (row, image) in bytes.chunks_exact_mut(page_words * 4).zip(images.chunks_exact(shape.len())) {
                row[..last - first].copy_from_slice(&image[first..last]);
            }
            Ok(Page { bytes: gpu.upload("data.page", &le_words(&bytes))?, first, words: page_words })
        });
        let means: Vec<f32> = statistics.iter().map(|s| s.0 as f32).collect();
        let inverse_stds: Vec<f32> = statistics.iter().map(|s| (1.0 / s.1) as f32).collect();
        Ok(Self {
            shape,
            labels: labels.to_vec(),
            pages: pages.collect::<Result<_>>()?,
            normalisation: Normalisation {
                mean: gpu.upload("data.mean", &means)?,
                inverse_std: gpu.upload("data.inverse_std", &inverse_stds)?,
            },
        })
    }

    /// N, the number of examples.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no example.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Bytes on the device.
    pub fn device_bytes(&self) -> usize {
        self.pages.iter().map(|page| 4 * page.bytes.len()).sum()
    }

    /// A word of device memory for each example of a list, padded to whole blocks.
    pub(super) fn per_example(gpu: &Gpu, label: &str, values: impl Iterator<Item = u32>, padding: u32) -> Result<Buf> {
        let mut words: Vec<u32> = values.collect();
        words.resize(words.len().next_multiple_of(gpu.profile.block), padding);
        gpu.upload(label, &words)
    }
}

/// Shaders take bytes from words with the first byte lowest, whatever the host's order.
fn le_words(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}
