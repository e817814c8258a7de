//! A network at work: pictures to logits, batch after batch.

use super::spread::OtherRange;
use super::weights::Weights;
use crate::data::{ChannelSums, Picture};
use crate::device::{Buf, Gpu};
use crate::error::ImagesError::{Large, LongFile, Undecoded};
use crate::error::{DataError, Error, Result, RunError, SetError};
use crate::objective::{Examples, Objective, Workspace};
use crate::shape::Shape;
use crate::values::{ValueKind, Values, ValuesRef};
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::Arc;
use std::thread;

/// Bytes of the pictures that go to the device at a time.
const BATCH_BYTES: usize = 16 << 20;

/// No more pictures than this go to the device at a time.
const MOST: usize = 1024;

/// Bytes that a usual picture takes at most once decoded: 40 megapixels in RGB.
const USUAL: u64 = 128 << 20;

/// Trained weights on a device.
pub struct Predictor {
    gpu: Gpu,
    weights: Weights,
    workspace: Arc<Workspace>,
    theta: Buf,
    flips: bool,
    /// Over the pictures that it has read.
    sums: ChannelSums,
}

impl Predictor {
    /// Brings weights to a device, with so many bytes there for activations. With `flips` the logits of a picture are
    /// the mean of its own and those of its mirror image.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::error::Error::OutOfMemory), [`Error::Device`](crate::error::Error::Device).
    pub fn new(gpu: &Gpu, weights: &Weights, memory: u64, flips: bool) -> Result<Self> {
        let batch = batch_of(weights.signature.input);
        let workspace = Arc::new(Workspace::of_chunks(gpu, weights.model.clone(), memory, batch)?);
        workspace.set_moments(gpu, &weights.moments);
        let theta = gpu.upload("theta", &weights.theta)?;
        let sums = ChannelSums::default();
        Ok(Self { gpu: gpu.clone(), weights: weights.clone(), workspace, theta, flips, sums })
    }

    /// Shape of the pictures.
    pub fn input(&self) -> Shape {
        self.weights.signature.input
    }

    /// Names of the classes.
    pub fn classes(&self) -> &[String] {
        &self.weights.signature.classes
    }

    /// How many pictures make a batch that is worth the way to the device.
    pub fn batch(&self) -> usize {
        batch_of(self.input())
    }

    /// The logits `[N][M]` of examples `[N][C][H][W]`: bytes as files of pictures have them, or f32 for a network that
    /// was trained on these.
    ///
    /// # Errors
    /// What the device reports.
    pub fn logits<'a>(&self, images: impl Into<ValuesRef<'a>>) -> Result<Vec<f32>> {
        let images: ValuesRef<'_> = images.into();
        let mut logits = Vec::new();
        for batch in images.chunks(self.batch() * self.input().len()) {
            let mut of_batch = self.of_batch(batch)?;
            if self.flips {
                let of_mirrored = self.of_batch(mirrored(batch, self.input().width).view())?;
                of_batch.iter_mut().zip(of_mirrored).for_each(|(own, other)| *own = 0.5 * (*own + other));
            }
            logits.append(&mut of_batch);
        }
        Ok(logits)
    }

    /// The logits `[M]` of each picture of some files, or why it cannot be read. A batch of them is in memory at a
    /// time, at the size that the network reads.
    ///
    /// # Errors
    /// [`Error::Data`] where the network reads no pictures, and what the device reports.
    pub fn of_files<P: AsRef<Path> + Sync>(&mut self, paths: &[P]) -> Result<Vec<Result<Vec<f32>>>> {
        let input = self.input();
        let values = self.weights.signature.values;
        if ![1, 3].contains(&input.channels) || values != ValueKind::Bytes {
            return Err(RunError::NoPictures { input, values }.into());
        }
        let mut found = Vec::new();
        for batch in paths.chunks(self.batch()) {
            let (images, faults) = read(batch, input);
            self.sums.add(&images, input);
            let logits = if images.is_empty() { Vec::new() } else { self.logits(&images)? };
            let mut rows = logits.chunks_exact(self.classes().len());
            let row = |fault: Option<Error>| match fault {
                Some(fault) => Err(fault),
                None => Ok(rows.next().expect("a row a picture").to_vec()),
            };
            found.extend(faults.into_iter().map(row));
        }
        Ok(found)
    }

    /// What is odd about the pixels of the files that it has read, if anything is: they are not like those of the
    /// pictures that the network was trained on.
    pub fn other_range(&self) -> Option<OtherRange> {
        OtherRange::of(&self.sums, &self.weights.signature.normalisation)
    }

    fn of_batch(&self, images: ValuesRef<'_>) -> Result<Vec<f32>> {
        let Self { gpu, workspace, theta, .. } = self;
        let labels = vec![0; images.len() / self.input().len()]; // nobody asks for the loss
        let normalisation = &self.weights.signature.normalisation;
        let examples = Arc::new(Examples::upload(gpu, self.input(), images, &labels, normalisation)?);
        let all: Vec<u32> = (0..labels.len() as u32).collect();
        Objective::new(gpu, workspace, &examples, &all, 0.0)?.evaluating(None)?.logits(theta)
    }
}

/// The pictures of files that can be read, one after the other, and for each file what is wrong with it. Threads read
/// the usual ones; large ones are in memory one at a time.
fn read<P: AsRef<Path> + Sync>(paths: &[P], input: Shape) -> (Vec<u8>, Vec<Option<Error>>) {
    let open = |path: &Path, most: u64| {
        let mut planes = Vec::new();
        Picture::open_within(path, most).map(|picture| picture.append_to(input, &mut planes)).map(|()| planes)
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let found: Vec<Result<Vec<u8>>> = thread::scope(|scope| {
        let read_some = |paths: &[P]| paths.iter().map(|path| open(path.as_ref(), USUAL)).collect::<Vec<_>>();
        let parts = paths.chunks(paths.len().div_ceil(threads).max(1));
        let running: Vec<_> = parts.map(|part| scope.spawn(move || read_some(part))).collect();
        let joined = running.into_iter().map(|part| part.join().unwrap_or_else(|panic| resume_unwind(panic)));
        joined.flatten().collect()
    });
    let (mut images, mut faults) = (Vec::new(), Vec::new());
    for (path, found) in paths.iter().zip(found) {
        let found = match found {
            Err(why) if is_large(&why) => open(path.as_ref(), Picture::MOST),
            found => found,
        };
        faults.push(found.map(|planes| images.extend(planes)).err());
    }
    (images, faults)
}

/// Whether a picture could be read if it had more memory.
fn is_large(error: &Error) -> bool {
    let Error::Data(DataError::Set(SetError::Images(why))) = error else { return false };
    // a decoder may say so before its picture's size is known
    matches!(why, Large { .. } | LongFile { .. } | Undecoded { source: image::ImageError::Limits(_), .. })
}

fn batch_of(input: Shape) -> usize {
    (BATCH_BYTES / input.len()).clamp(1, MOST)
}

/// The mirror images, left and right exchanged.
fn mirrored(images: ValuesRef<'_>, width: usize) -> Values {
    fn of<T: Copy>(images: &[T], width: usize) -> Vec<T> {
        images.chunks_exact(width).flat_map(|row| row.iter().rev().copied()).collect()
    }
    match images {
        ValuesRef::Bytes(images) => of(images, width).into(),
        ValuesRef::Floats(images) => of(images, width).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_of_any_format_that_is_too_large_for_a_thread_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let picture = image::RgbImage::from_fn(200, 100, |x, y| image::Rgb([(x * y) as u8; 3]));
        for extension in ["png", "jpg", "bmp", "gif", "ppm", "webp", "tiff"] {
            let path = folder.path().join(format!("picture.{extension}"));
            picture.save(&path).unwrap();
            let decoded = 200 * 100 * if extension == "gif" { 4 } else { 3 };
            for (most, is_enough) in [(100, false), (decoded - 1, false), (8 * decoded, true)] {
                match Picture::open_within(&path, most) {
                    Ok(_) => assert!(is_enough, "{extension}, {most}"),
                    Err(why) => assert!(!is_enough && is_large(&why), "{extension}, {most}: {why:?}"),
                }
            }
            let (images, faults) = read(&[&path], Shape::new(1, 2, 2));
            assert!(images.len() == 4 && faults.len() == 1 && faults[0].is_none());
        }
    }

    #[test]
    fn rows_are_mirrored() {
        assert_eq!(mirrored(ValuesRef::Bytes(&[1, 2, 3, 4, 5, 6]), 3), vec![3u8, 2, 1, 6, 5, 4].into());
    }
}
