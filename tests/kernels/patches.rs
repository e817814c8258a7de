//! Patches at a few places of each image against their CPU twin.

use crate::common::*;
use gpu_subset::kernels::conv2d::Conv2d;
use gpu_subset::kernels::gather::PADDING;
use gpu_subset::kernels::kronecker::{self, Factor};
use gpu_subset::kernels::patches::{PatchSample, reference};
use gpu_subset::kernels::to_blocks;
use gpu_subset::shape::Shape;
use rand::RngExt;

/// Padding on both sides and none, strides that leave a rest, one pixel, one place, filters as large as the image.
const FILTERS: [Conv2d; 7] = [
    Conv2d { input: Shape::new(1, 28, 28), channels: 8, size: 5, stride: 2, padding: 0, groups: 1 },
    Conv2d { input: Shape::new(3, 7, 10), channels: 2, size: 3, stride: 2, padding: 1, groups: 1 },
    Conv2d { input: Shape::new(2, 5, 4), channels: 1, size: 7, stride: 1, padding: 3, groups: 1 },
    Conv2d { input: Shape::new(17, 3, 65), channels: 1, size: 1, stride: 3, padding: 0, groups: 1 },
    Conv2d { input: Shape::new(5, 4, 4), channels: 1, size: 4, stride: 1, padding: 0, groups: 1 },
    Conv2d { input: Shape::new(1, 1, 1), channels: 1, size: 1, stride: 1, padding: 0, groups: 1 },
    Conv2d::dense(257, 3),
];

#[test]
fn patches_are_those_of_the_reference() {
    let mut rng = rng(95);
    for gpu in gpus() {
        for filter in FILTERS {
            let all = filter.output().unwrap().pixels();
            for (examples, positions) in [(1, 1), (19, 2), (19, 5), (65, all - all / 2), (33, all), (17, all + 3)] {
                let sample = PatchSample::new(filter, positions);
                let what = format!("{sample:?}, {examples} images, {:?}", gpu.profile);
                assert_eq!(sample.positions, positions.min(all));
                let mut index: Vec<u32> = (0..examples).map(|_| rng.random()).collect();
                index[examples / 2] = PADDING;
                let seed = rng.random();
                let x = uniform(examples * filter.input.len(), &mut rng);
                let words = sample.patches().input.len();
                let y = unwritten_blocks(&gpu, examples, words);
                let [index_buf, seed_buf] = [to_blocks(&index, 1, gpu.profile.block, PADDING), vec![seed]]
                    .map(|words| gpu.upload("random", &words).unwrap());
                let x_quads = upload_blocks(&gpu, &x, filter.input.len());
                run(&gpu, [sample.gather(&gpu, &x_quads, [&index_buf, &seed_buf], &y).unwrap()]);
                let got = download_blocks(&gpu, &y, examples.next_multiple_of(gpu.profile.block), words);
                let mut want = reference::gather(&sample, &x, &index, seed);
                want.resize(got.len(), 0.0); // padding
                assert_eq!(got, want, "{what}");
            }
        }
    }
}

/// The factor of the patches at a few places, scaled, is on average that at all of them.
#[test]
fn a_factor_from_a_few_places_is_without_bias() {
    let mut rng = rng(96);
    for gpu in gpus() {
        let filter = Conv2d { input: Shape::new(2, 6, 7), channels: 1, size: 3, stride: 2, padding: 1, groups: 1 };
        let (sample, examples) = (PatchSample::new(filter, 2), 3 * gpu.profile.block);
        let x = uniform(examples * filter.input.len(), &mut rng);
        let x_quads = upload_blocks(&gpu, &x, filter.input.len());
        let index = gpu.upload("index", &(0..examples as u32).collect::<Vec<_>>()).unwrap();
        let side = kronecker::factor_side(&filter, true);
        let factor = Factor::new(&gpu, sample.patches(), true, unwritten(&gpu, side * side)).unwrap();
        let partial = unwritten(&gpu, factor.partial_len(&gpu, 3));
        let y = unwritten_blocks(&gpu, examples, sample.patches().input.len());
        let rounds = 400u32;
        for round in 0..rounds {
            let keep = f64::from(round) / f64::from(round + 1);
            let each = sample.places() as f64 / sample.positions as f64;
            factor.weigh(&gpu, keep, (1.0 - keep) * each / examples as f64, examples);
            let seed = gpu.upload("seed", &[round]).unwrap();
            run(&gpu, [sample.gather(&gpu, &x_quads, [&index, &seed], &y).unwrap()]);
            run(&gpu, factor.accumulate(&gpu, &y, &partial).unwrap());
        }
        let sum = kronecker::reference::gram(&filter, &x, true);
        let want: Vec<f64> = sum.iter().map(|sum| sum / examples as f64).collect();
        let got = download(&gpu, &factor.matrix);
        assert_close("the mean", &got, &want, 0.02);
        assert!((got[side * side - 1] - sample.places() as f64).abs() < 1e-3, "the bias with itself");
    }
}
