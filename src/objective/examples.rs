//! A data set in device memory: images as bytes, never as floats, so that CIFAR-10 takes 154 MB and not 614.

use crate::device::{Buf, Gpu, Quads};
use crate::error::{Error, Result};
use crate::kernel::Program;
use crate::kernels::gather::{self, Normalisation, Page};
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
        let most = gpu.max_quads_words() / 4 / examples;
        if most == 0 {
            return Err(Error::OutOfMemory(format!(
                "{examples} examples are more than a binding of this adapter indexes"
            )));
        }
        let sixteens = shape.len().div_ceil(16);
        let pages = (0..sixteens).step_by(most).map(|start| {
            let count = most.min(sixteens - start);
            let (first, last) = (16 * start, (16 * (start + count)).min(shape.len()));
            let mut words = vec![0u32; examples * count * 4];
            for (row, image) in words.chunks_exact_mut(count * 4).zip(images.chunks_exact(shape.len())) {
                // the first byte is the lowest of its word, whatever the host's order
                for (word, bytes) in row.iter_mut().zip(image[first..last].chunks(4)) {
                    *word = bytes.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte));
                }
            }
            Ok(Page { bytes: gpu.upload_quads("data.page", &words, true)?, first, sixteens: count })
        });
        Ok(Self {
            shape,
            labels: labels.to_vec(),
            pages: pages.collect::<Result<_>>()?,
            normalisation: Normalisation::upload(gpu, statistics)?,
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

    /// Appends the steps that bring the normalised features of the examples `index` `[N/B][B]` into `x`.
    pub(super) fn record_gather(&self, gpu: &Gpu, program: &mut Program, index: &Buf, x: &Quads) -> Result<()> {
        for page in &self.pages {
            program.push(gather::gather(gpu, self.shape, page, index, &self.normalisation, x)?);
        }
        Ok(())
    }

    /// A word of device memory for each example of a list, padded to whole blocks.
    pub(super) fn per_example(gpu: &Gpu, label: &str, values: impl Iterator<Item = u32>, padding: u32) -> Result<Buf> {
        let mut words: Vec<u32> = values.collect();
        words.resize(words.len().next_multiple_of(gpu.profile.block), padding);
        gpu.upload(label, &words)
    }
}
