//! Copies of images against their CPU twin, pixel by pixel.

use crate::common::*;
use gpu_subset::kernels::augment::{Augmentation, augment, reference};
use gpu_subset::kernels::gather::{Normalisation, PADDING};
use gpu_subset::kernels::to_blocks;
use gpu_subset::shape::Shape;
use rand::RngExt;

const NONE: Augmentation =
    Augmentation { crop: 0, flip: false, rotate: 0.0, scale: 0.0, brightness: 0.0, contrast: 0.0, cutout: 0 };

/// Shapes with sides that divide nothing, and the largest pixels an image may move.
const SHAPES: [Shape; 5] =
    [Shape::new(1, 1, 1), Shape::new(1, 28, 28), Shape::new(3, 32, 32), Shape::new(2, 17, 5), Shape::new(4, 3, 65)];

#[test]
fn copies_are_those_of_the_reference() {
    let mut rng = rng(91);
    for gpu in gpus() {
        for shape in SHAPES {
            let crop = (shape.height.min(shape.width) / 3) as u32;
            let cutout = (shape.height.min(shape.width) / 2) as u32;
            let exact = Augmentation { crop, flip: true, cutout, ..NONE };
            let all = Augmentation { rotate: 45.0, scale: 0.5, brightness: 0.4, contrast: 0.5, ..exact };
            let kinds = [
                (Augmentation { crop, ..NONE }, 1e-7),
                (Augmentation { flip: true, ..NONE }, 0.0),
                (Augmentation { cutout, ..NONE }, 0.0),
                (exact, 1e-7),
                (Augmentation { brightness: 0.4, contrast: 0.5, ..NONE }, 1e-6),
                (Augmentation { rotate: 15.0, ..NONE }, 2e-5),
                (Augmentation { scale: 0.1, ..NONE }, 2e-5),
                (all, 2e-5),
            ];
            let statistics: Vec<_> = (0..shape.channels).map(|c| (33.0 + c as f64, 79.0 - c as f64)).collect();
            let norm = Normalisation::upload(&gpu, &statistics).unwrap();
            let black: Vec<f64> = statistics.iter().map(|(mean, std)| -mean / std).collect();
            for examples in [1, 17, 257] {
                let stored = 23;
                let index: Vec<u32> = (0..examples).map(|_| rng.random_range(0..6 * stored)).collect();
                let x = uniform(examples * shape.len(), &mut rng);
                let from = upload_blocks(&gpu, &x, shape.len());
                let padded = to_blocks(&index, 1, gpu.profile.block, PADDING);
                let index_buf = gpu.upload("index", &padded).unwrap();
                for (kind, (by, tolerance)) in kinds.iter().enumerate() {
                    let seed = rng.random();
                    let y = unwritten_blocks(&gpu, examples, shape.len());
                    let words = by.upload(&gpu, seed).unwrap();
                    let step = augment(&gpu, shape, stored as usize, by, [&words, &index_buf], &norm, [&from, &y]);
                    run(&gpu, [step.unwrap()]);
                    let changed = |(image, &i): (&[f64], &u32)| match i / stored {
                        0 => image.to_vec(),
                        copy => {
                            let drawn = reference::draw(by, shape, seed, i % stored, copy);
                            reference::augment(by, shape, &black, image, &drawn)
                        }
                    };
                    let want: Vec<f64> = x.chunks_exact(shape.len()).zip(&index).flat_map(changed).collect();
                    let what = format!("{shape}, {examples} images, kind {kind}");
                    assert_close(&what, &download_blocks(&gpu, &y, examples, shape.len()), &want, *tolerance);
                    let all = download_quads(&gpu, &y);
                    let padding = padded.iter().enumerate().filter(|(_, i)| **i == PADDING);
                    let block = gpu.profile.block;
                    for (n, _) in padding {
                        let at = |f: usize| all[(n / block * shape.len() + f) * block + n % block];
                        assert!((0..shape.len()).all(|f| at(f) == 0.0), "{what}: padding is zero");
                    }
                }
            }
        }
    }
}
