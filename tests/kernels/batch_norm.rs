//! Batch normalisation: statistics and forward; what goes backward is in a file of its own.

mod backward;

use crate::common::*;
use gpu_subset::device::{Buf, Gpu, Quads};
use gpu_subset::kernels::activation::{self, Activation};
use gpu_subset::kernels::batch_norm::reference::{self, Groups};
use gpu_subset::kernels::batch_norm::{BatchNorm, Statistics};
use gpu_subset::kernels::epilogue::Epilogue;
use gpu_subset::kernels::to_blocks;
use gpu_subset::shape::Shape;
use rand_chacha::ChaCha8Rng;

/// What padded examples hold, where nothing may depend on it.
pub const GARBAGE: f64 = -3e4;

/// A normalisation of some examples, so many blocks a group; at most all of them.
#[derive(Clone, Copy, Debug)]
struct Case {
    norm: BatchNorm,
    examples: usize,
    group_blocks: usize,
}

impl Case {
    /// Awkward ones.
    fn all(gpu: &Gpu) -> Vec<Self> {
        let block = gpu.profile.block;
        let batches = [1, 17, block, block + 1, 3 * block + 5];
        let channels = [1, 3, 17];
        let images = [(1, 1), (1, 17), (4, 4), (15, 17), (1, 257), (16, 16)];
        let case = |levels: &[usize]| {
            let (height, width) = images[levels[2]];
            let shape = Shape::new(channels[levels[1]], height, width);
            let (examples, group_blocks) = (batches[levels[0]], [1, 2, 8][levels[3]]);
            Self { norm: BatchNorm { shape }, examples, group_blocks }
        };
        let is_small = |levels: &[usize]| {
            let case = case(levels);
            case.examples * case.norm.shape.len() <= 100_000
        };
        pairwise(&[batches.len(), channels.len(), images.len(), 3], is_small)
            .iter()
            .map(|levels| case(levels))
            .collect()
    }

    fn blocks(&self, gpu: &Gpu) -> usize {
        self.examples.div_ceil(gpu.profile.block)
    }

    fn groups(&self, gpu: &Gpu) -> usize {
        self.blocks(gpu).div_ceil(self.group_blocks)
    }

    /// Values about 0.5, and their statistics.
    fn values(&self, gpu: &Gpu, rng: &mut ChaCha8Rng) -> (Vec<f64>, Groups) {
        let x: Vec<f64> = self.random(rng).iter().map(|x| f64::from((x + 0.5) as f32)).collect();
        let groups = reference::statistics(self.norm, &x, self.group_blocks * gpu.profile.block);
        (x, groups)
    }

    fn random(&self, rng: &mut ChaCha8Rng) -> Vec<f64> {
        uniform(self.examples * self.norm.shape.len(), rng)
    }

    fn parameters(&self, gpu: &Gpu, rng: &mut ChaCha8Rng) -> (Vec<f64>, Buf) {
        let theta = uniform(2 * self.norm.shape.channels, rng);
        let on_device = upload(gpu, &theta);
        (theta, on_device)
    }

    fn upload(&self, gpu: &Gpu, x: &[f64], padding: f64) -> Quads {
        upload_quads(gpu, &to_blocks(x, self.norm.shape.len(), gpu.profile.block, padding))
    }

    fn unwritten(&self, gpu: &Gpu) -> Quads {
        unwritten_blocks(gpu, self.examples, self.norm.shape.len())
    }

    fn download(&self, gpu: &Gpu, quads: &Quads) -> Vec<f64> {
        download_blocks(gpu, quads, self.examples, self.norm.shape.len())
    }

    fn statistics(&self, gpu: &Gpu, x: &Quads) -> Buf {
        let sums = unwritten(gpu, self.norm.statistics_len(gpu, self.groups(gpu)));
        run(gpu, [self.norm.statistics(gpu, x, self.examples, self.group_blocks, &sums).unwrap()]);
        sums
    }
}

pub fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |most: f64, x| most.max(x.abs()))
}

/// Fails unless the largest error is below a bound.
#[track_caller]
pub fn assert_within(what: &str, got: &[f64], want: &[f64], bound: f64) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        assert!((g - w).abs() <= bound, "{what}: at {i} got {g}, want {w}, within {bound:e}");
    }
}

/// Mean and variance of each group and channel, as whoever reads the sums finds them.
fn moments_of(sums: &[f64], parts: usize, channels: usize) -> Vec<[f64; 2]> {
    let at = |group: usize, part: usize, c: usize| &sums[4 * ((group * parts + part) * channels + c)..][..4];
    let groups = sums.len() / (4 * parts * channels);
    let moments = |(group, c): (usize, usize)| {
        let total = |k: usize| (0..parts).map(|part| at(group, part, c)[k]).sum::<f64>();
        let mean = total(0) / total(3);
        [at(group, 0, c)[2] + mean, total(1) / total(3) - mean * mean]
    };
    (0..groups).flat_map(|group| (0..channels).map(move |c| (group, c))).map(moments).collect()
}

#[test]
fn statistics_are_those_of_the_real_examples_of_each_group() {
    let mut rng = rng(101);
    for gpu in gpus() {
        for case in Case::all(&gpu) {
            let (x, groups) = case.values(&gpu, &mut rng);
            let quads = case.upload(&gpu, &x, GARBAGE);
            let [sums, again] = [(); 2].map(|()| download(&gpu, &case.statistics(&gpu, &quads)));
            assert_eq!(sums, again, "the same bits");
            let got = moments_of(&sums, case.norm.parts(&gpu), case.norm.shape.channels);
            let want: Vec<f64> = groups.moments.iter().flat_map(|m| [m.mean, m.variance]).collect();
            assert_within(&format!("{case:?}, {:?}", gpu.profile), got.as_flattened(), &want, 2e-6);
        }
    }
}

#[test]
fn a_mean_far_from_zero_costs_no_digits() {
    let mut rng = rng(102);
    for gpu in gpus() {
        let norm = BatchNorm { shape: Shape::new(17, 16, 16) };
        let case = Case { norm, examples: 2 * gpu.profile.block + 5, group_blocks: 8 };
        // of deviation 1
        let x: Vec<f64> = case.random(&mut rng).iter().map(|x| f64::from((1000.0 + 3f64.sqrt() * x) as f32)).collect();
        let groups = reference::statistics(norm, &x, usize::MAX / norm.shape.len());
        let x_quads = case.upload(&gpu, &x, GARBAGE);
        let sums = case.statistics(&gpu, &x_quads);
        let got = moments_of(&download(&gpu, &sums), norm.parts(&gpu), 17);
        for ([mean, variance], want) in got.into_iter().zip(&groups.moments) {
            let scale = 1.0 / (variance + 1e-5).sqrt();
            assert!((scale / want.scale() - 1.0).abs() <= 1e-5, "{scale} for {}", want.scale());
            assert!((mean - want.mean).abs() <= 1e-5, "{mean} for {}", want.mean);
        }
        let (theta, theta_buf) = case.parameters(&gpu, &mut rng);
        let y = case.unwritten(&gpu);
        let statistics = Statistics::Groups { sums: &sums, blocks: 8 };
        run(&gpu, [norm.forward(&gpu, [&x_quads, &y], None, &theta_buf, statistics, &Epilogue::default()).unwrap()]);
        assert_close("y", &case.download(&gpu, &y), &reference::forward(&groups, &x, None, &theta), 1e-5);
    }
}

#[test]
fn forward_agrees_with_the_reference_by_groups_and_by_running_statistics() {
    let mut rng = rng(103);
    for gpu in gpus() {
        for (i, case) in Case::all(&gpu).into_iter().enumerate() {
            let (norm, what) = (case.norm, format!("{case:?}, {:?}", gpu.profile));
            let (x, groups) = case.values(&gpu, &mut rng);
            let (skip, (theta, theta_buf)) = (case.random(&mut rng), case.parameters(&gpu, &mut rng));
            let (x_quads, skip_quads) = (case.upload(&gpu, &x, GARBAGE), case.upload(&gpu, &skip, GARBAGE));
            let sums = case.statistics(&gpu, &x_quads);
            let running: Vec<f64> = uniform(2 * norm.shape.channels, &mut rng).iter().map(|x| x.abs()).collect();
            let by_running = (Statistics::Running(&upload(&gpu, &running)), Groups::running(norm, &running));
            let by_group = (Statistics::Groups { sums: &sums, blocks: case.group_blocks }, groups);
            let f = Activation::ALL[i % Activation::ALL.len()];
            for ((statistics, groups), with_skip) in [(&by_group, i % 2 == 0), (&by_running, i % 2 == 1)] {
                let (y, derivative) = (case.unwritten(&gpu), case.unwritten(&gpu));
                let found = gpu.upload("found", &[0u32]).unwrap();
                let (derivative, found) = (Some(derivative), Some(found));
                let epilogue = Epilogue { activation: Some(f), derivative, found, ..Epilogue::default() };
                let skips = with_skip.then_some((&skip[..], &skip_quads));
                let on_device = skips.map(|(_, quads)| quads);
                run(&gpu, [norm.forward(&gpu, [&x_quads, &y], on_device, &theta_buf, *statistics, &epilogue).unwrap()]);
                let z = reference::forward(groups, &x, skips.map(|(skip, _)| skip), &theta);
                let want: Vec<f64> = z.iter().map(|&z| activation::reference::forward(f, z)).collect();
                let bound = 1e-5 * largest(&z).max(1.0);
                assert_within(&format!("y, {what}"), &case.download(&gpu, &y), &want, bound);
                let slopes = case.download(&gpu, &epilogue.derivative.unwrap());
                // a ReLU's slope jumps where z is 0, within rounding
                for (i, (slope, &z)) in slopes.iter().zip(&z).enumerate().filter(|(_, (_, z))| z.abs() > bound) {
                    let want = activation::reference::derivative(f, z);
                    assert!((slope - want).abs() <= 2.0 * bound, "slope {i}, {what}: {slope} for {want}");
                }
                assert_eq!(gpu.read::<u32>(&epilogue.found.unwrap()).unwrap(), [0], "{what}");
            }
        }
    }
}

#[test]
fn a_value_that_is_not_finite_is_found_before_the_activation_hides_it() {
    for gpu in gpus() {
        let case = Case { norm: BatchNorm { shape: Shape::new(3, 5, 5) }, examples: 17, group_blocks: 1 };
        let (x, y) = (case.upload(&gpu, &vec![0.5; 17 * 75], 0.0), case.unwritten(&gpu));
        let running = upload(&gpu, &[0.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
        for (gamma, is_found) in [(f64::NAN, 1u32), (f64::INFINITY, 1), (2.0, 0)] {
            let theta = upload(&gpu, &[1.0, gamma, 1.0, 0.0, 0.0, 0.0]);
            let found = gpu.upload("found", &[0u32]).unwrap();
            let activation = Some(Activation::Relu);
            let epilogue = Epilogue { activation, found: Some(found.clone()), ..Epilogue::default() };
            let statistics = Statistics::Running(&running);
            run(&gpu, [case.norm.forward(&gpu, [&x, &y], None, &theta, statistics, &epilogue).unwrap()]);
            assert_eq!(gpu.read::<u32>(&found).unwrap(), [is_found], "{gamma}");
        }
    }
}

#[test]
fn running_statistics_are_means_over_groups() {
    let mut rng = rng(107);
    for gpu in gpus() {
        for case in Case::all(&gpu) {
            let (norm, groups) = (case.norm, case.groups(&gpu));
            let running = unwritten(&gpu, 2 * norm.shape.channels);
            let mut want = vec![0.0; 2 * norm.shape.channels];
            for (keep, scale) in [(0.0, 1.0 / groups as f64), (0.9, 0.1)] {
                let (x, of) = case.values(&gpu, &mut rng);
                let sums = case.statistics(&gpu, &case.upload(&gpu, &x, GARBAGE));
                let coefficients = upload(&gpu, &[keep, scale]);
                run(&gpu, [norm.collect(&gpu, &sums, groups, &coefficients, &running).unwrap()]);
                want.iter_mut().zip(reference::collect(&of)).for_each(|(x, now)| *x = keep * *x + scale * now);
            }
            assert_within(&format!("{case:?}, {:?}", gpu.profile), &download(&gpu, &running), &want, 1e-5);
        }
    }
}
