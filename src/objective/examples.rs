//! A data set in device memory: pictures as bytes, never as floats, so that CIFAR-10 takes 154 MB and not 614; other
//! numbers as f32.

use crate::device::{Buf, Gpu, Quads};
use crate::error::{MemoryError, Result, UsageError};
use crate::kernels::augment::{self, Augmentation};
use crate::kernels::gather::{self, Normalisation, PADDING, Page};
use crate::program::Program;
use crate::shape::Shape;
use crate::values::ValuesRef;

/// The images of one split on the device, with their labels on the host.
#[derive(Clone, Debug)]
pub struct Examples {
    /// Shape of an example.
    pub shape: Shape,
    /// Class of each example.
    pub labels: Vec<u32>,
    pub(super) pages: Vec<Page>,
    pub(super) normalisation: Normalisation,
    augmentation: Option<Copies>,
}

/// Copies of every example that differ from it.
#[derive(Clone, Debug)]
struct Copies {
    by: Augmentation,
    /// The same in device memory.
    words: Buf,
    /// How many there are.
    count: usize,
}

impl Examples {
    /// Uploads `images` `[N][C][H][W]`. `statistics` are the mean and standard deviation of each channel in units of
    /// the images; every split is normalised with those of the training set.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::error::Error::OutOfMemory) when the device has no room;
    /// [`Error::Device`](crate::error::Error::Device).
    pub fn upload<'a>(
        gpu: &Gpu,
        shape: Shape,
        images: impl Into<ValuesRef<'a>>,
        labels: &[u32],
        statistics: &[(f64, f64)],
    ) -> Result<Self> {
        let images: ValuesRef<'_> = images.into();
        let examples = labels.len();
        assert!(examples > 0, "a set has examples: readers refuse an empty one");
        assert_eq!(images.len(), examples * shape.len());
        assert_eq!(statistics.len(), shape.channels);
        // A set larger than one binding is split along its features, so that each page holds some of every example.
        let most = gpu.max_quads_words() / 4 / examples;
        if most == 0 {
            return Err(MemoryError::Examples { examples, adapter: gpu.info.name.clone() }.into());
        }
        let kind = images.kind();
        let a_quad = 16 / kind.size();
        let quads = shape.len().div_ceil(a_quad);
        let pages = (0..quads).step_by(most).map(|start| {
            let count = most.min(quads - start);
            let (first, last) = (a_quad * start, (a_quad * (start + count)).min(shape.len()));
            let mut words = vec![0u32; examples * count * 4];
            for (row, image) in words.chunks_exact_mut(count * 4).zip(images.chunks(shape.len())) {
                pack(image.slice(first..last), row);
            }
            Ok(Page { data: gpu.upload_quads("data.page", &words, true)?, kind, first, quads: count })
        });
        Ok(Self {
            shape,
            labels: labels.to_vec(),
            pages: pages.collect::<Result<_>>()?,
            normalisation: Normalisation::upload(gpu, statistics)?,
            augmentation: None,
        })
    }

    /// The same with `copies` of every example, or as many as can be counted: index i + k·N is copy k of example i,
    /// counted from 1 and changed as the seed, i and k say. Copies take no memory.
    ///
    /// # Errors
    /// [`Error::Usage`](crate::error::Error::Usage) when there are more than an index counts, or
    /// [`Augmentation::check`] says so; as [`Gpu::alloc`].
    pub fn augmented(mut self, gpu: &Gpu, by: Augmentation, copies: Option<usize>, seed: u64) -> Result<Self> {
        by.check(self.shape)?;
        let most = PADDING as usize / self.len() - 1;
        let count = copies.unwrap_or(most);
        if count == 0 || count > most {
            return Err(UsageError::Copies { copies: count, examples: self.len(), most }.into());
        }
        self.augmentation = Some(Copies { by, words: by.upload(gpu, seed)?, count });
        Ok(self)
    }

    /// Copies of each example.
    pub fn copies(&self) -> usize {
        self.augmentation.as_ref().map_or(0, |copies| copies.count)
    }

    /// Multiply-adds of making a copy of an example.
    pub fn multiply_adds_of_copy(&self) -> u64 {
        self.augmentation.as_ref().map_or(0, |copies| copies.by.multiply_adds(self.shape))
    }

    /// Multiply-adds of making the copies among some examples.
    pub(super) fn multiply_adds(&self, indices: &[u32]) -> u64 {
        let of_copy = self.multiply_adds_of_copy();
        if of_copy == 0 {
            return 0;
        }
        of_copy * indices.iter().filter(|&&index| index as usize >= self.len()).count() as u64
    }

    /// From a first copy's index to that of the copy for an epoch.
    pub(super) fn shift(&self, epoch: u64) -> u32 {
        self.augmentation.as_ref().map_or(0, |copies| (epoch % copies.count as u64) as u32 * self.len() as u32)
    }

    /// Class of an example or of a copy.
    pub fn label(&self, index: u32) -> u32 {
        self.labels[index as usize % self.len()]
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
        self.pages.iter().map(|page| 4 * page.data.len()).sum()
    }

    /// Appends the steps that bring the normalised features of the examples `index` `[N/B][B]` into `x`. What copies
    /// are made of goes through `scratch`, as long.
    pub(super) fn record_gather(
        &self,
        gpu: &Gpu,
        program: &mut Program,
        index: &Buf,
        [x, scratch]: [&Quads; 2],
    ) -> Result<()> {
        let gathered = if self.augmentation.is_some() { scratch } else { x };
        for page in &self.pages {
            program.push(gather::gather(gpu, self.shape, page, index, &self.normalisation, gathered)?);
        }
        if let Some(Copies { by, words, .. }) = &self.augmentation {
            program.push(augment::augment(
                gpu,
                self.shape,
                self.len(),
                by,
                [words, index],
                &self.normalisation,
                [gathered, x],
            )?);
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

/// Four bytes a word, the first the lowest, whatever the host's order; or an f32.
fn pack(image: ValuesRef<'_>, words: &mut [u32]) {
    match image {
        ValuesRef::Bytes(bytes) => {
            for (word, bytes) in words.iter_mut().zip(bytes.chunks(4)) {
                *word = bytes.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte));
            }
        }
        ValuesRef::Floats(values) => words.iter_mut().zip(values).for_each(|(word, value)| *word = value.to_bits()),
    }
}
