//! Batch normalisation.

use crate::common::*;
use gpu_subset::device::{BlockCount, Buf, Gpu, Quads};
use gpu_subset::kernels::activation::{self, Activation};
use gpu_subset::kernels::batch_norm::reference::{self, Groups};
use gpu_subset::kernels::batch_norm::{BatchNorm, NormPart, Statistics, divide};
use gpu_subset::kernels::epilogue::{Epilogue, Mask};
use gpu_subset::kernels::weights::{Base, Partials, reduce_partials};
use gpu_subset::kernels::{live, to_blocks};
use gpu_subset::shape::Shape;
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

/// What padded examples hold, where nothing may depend on it.
const GARBAGE: f64 = -3e4;

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
        pairwise(&[batches.len(), channels.len(), images.len(), 3], |_| true)
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

    fn products(&self, gpu: &Gpu, of: [&Quads; 2], statistics: Statistics<'_>) -> Buf {
        let groups = if matches!(statistics, Statistics::Running(_)) { 1 } else { self.groups(gpu) };
        let partial = unwritten(gpu, self.norm.partial_len(gpu, groups));
        run(gpu, [self.norm.products(gpu, of, self.examples, statistics, &partial).unwrap()]);
        partial
    }

    /// 1 for each example, 0 for padding.
    fn shares(&self, gpu: &Gpu) -> Buf {
        upload(gpu, &to_blocks(&vec![1.0; self.examples], 1, gpu.profile.block, 0.0))
    }
}

/// The gradient to γ and β in partial sums.
fn gradient_of(gpu: &Gpu, norm: BatchNorm, partial: &Buf) -> Vec<f64> {
    let g = upload(gpu, &vec![0.0; norm.weights().len()]);
    let all = [Partials::alone(norm.weights(), partial)];
    run(gpu, [reduce_partials(gpu, &all, partial, Base::Gradient, &g).unwrap()]);
    download(gpu, &g)
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |most: f64, x| most.max(x.abs()))
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Fails unless the largest error is below a bound.
#[track_caller]
fn assert_within(what: &str, got: &[f64], want: &[f64], bound: f64) {
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
            let sums = download(&gpu, &case.statistics(&gpu, &case.upload(&gpu, &x, GARBAGE)));
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
                let epilogue = Epilogue { activation: Some(f), derivative, found, mask: None };
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
fn derivatives_agree_with_the_reference_and_are_adjoint() {
    let mut rng = rng(104);
    for gpu in gpus() {
        for (i, case) in Case::all(&gpu).into_iter().enumerate() {
            let (norm, what) = (case.norm, format!("{case:?}, {:?}", gpu.profile));
            let (x, groups) = case.values(&gpu, &mut rng);
            let [tx, dy] = [(); 2].map(|()| case.random(&mut rng));
            let ((theta, theta_buf), (v, v_buf)) = (case.parameters(&gpu, &mut rng), case.parameters(&gpu, &mut rng));
            let [x_quads, tx_quads] = [&x, &tx].map(|of| case.upload(&gpu, of, GARBAGE));
            let dy_quads = case.upload(&gpu, &dy, 0.0);
            let slopes = case.random(&mut rng);
            let mask = (i % 2 == 0).then(|| Mask { values: case.upload(&gpu, &slopes, GARBAGE), is_relu: i % 4 == 0 });
            let masked = |values: Vec<f64>| -> Vec<f64> {
                let Some(mask) = &mask else { return values };
                let slope = |m: f64| if mask.is_relu { f64::from(m > 0.0) } else { m };
                values.iter().zip(&slopes).map(|(v, &m)| v * slope(m)).collect()
            };
            let sums = case.statistics(&gpu, &x_quads);
            let running: Vec<f64> = uniform(2 * norm.shape.channels, &mut rng).iter().map(|x| x.abs() + 0.1).collect();
            let running_buf = upload(&gpu, &running);
            let by_group = (Statistics::Groups { sums: &sums, blocks: case.group_blocks }, groups);
            let by_running = (Statistics::Running(&running_buf), Groups::running(norm, &running));
            for (statistics, groups) in [by_group, by_running] {
                let of_tx = case.products(&gpu, [&tx_quads, &x_quads], statistics);
                let of_dy = case.products(&gpu, [&dy_quads, &x_quads], statistics);
                let (ty, ty_fixed, dx) = (case.unwritten(&gpu), case.unwritten(&gpu), case.unwritten(&gpu));
                let along = Some((&tx_quads, (!groups.are_fixed).then_some(&of_tx)));
                let shares = case.shares(&gpu);
                let means = (!groups.are_fixed).then_some([&of_dy, &shares]);
                let (of, parameters, back) = ([&x_quads, &ty], [&theta_buf, &v_buf], [&dy_quads, &x_quads, &dx]);
                let steps = [
                    norm.jvp(&gpu, of, parameters, along, statistics, mask.as_ref()),
                    norm.jvp(&gpu, [&x_quads, &ty_fixed], parameters, None, statistics, mask.as_ref()),
                    norm.grad_input(&gpu, back, &theta_buf, statistics, means, mask.as_ref()),
                ];
                run(&gpu, steps.map(Result::unwrap));

                // what cancels is as large as what is left of one value in its group
                let scale = groups.moments.iter().map(|m| m.scale()).fold(1.0, f64::max);
                let bound = 2e-6 * scale * largest(&theta).max(largest(&v));
                let (got_ty, got_dx) = (case.download(&gpu, &ty), case.download(&gpu, &dx));
                let want = reference::jvp(&groups, &x, [&theta, &v], Some(&tx));
                assert_within(&format!("jvp, {what}"), &got_ty, &masked(want), 4.0 * bound);
                let want = reference::jvp(&groups, &x, [&theta, &v], None);
                let got = case.download(&gpu, &ty_fixed);
                assert_within(&format!("jvp of θ alone, {what}"), &got, &masked(want), 4.0 * bound);
                let want = reference::grad_input(&groups, [&dy, &x], &theta, &vec![1.0; case.examples]);
                assert_within(&format!("grad_input, {what}"), &got_dx, &masked(want), bound);
                let padding = download_quads(&gpu, &dx);
                assert!(padding.iter().all(|dx| dx.is_finite()));
                let of_padding = padding.iter().map(|dx| dx.abs()).sum::<f64>();
                assert!((of_padding - got_dx.iter().map(|dx| dx.abs()).sum::<f64>()).abs() <= 1e-9 * of_padding);

                let g = gradient_of(&gpu, norm, &of_dy);
                let mut want = vec![0.0; g.len()];
                for (i, [gamma, beta]) in reference::products(&groups, [&dy, &x]).into_iter().enumerate() {
                    want[i % norm.shape.channels] += gamma;
                    want[norm.shape.channels + i % norm.shape.channels] += beta;
                }
                let magnitude = largest(&dy) * (case.examples * norm.shape.pixels()) as f64;
                assert_within(&format!("gradient, {what}"), &g, &want, 1e-6 * magnitude);

                if mask.is_none() {
                    let (forward, backward) = (dot(&got_ty, &dy), dot(&tx, &got_dx) + dot(&v, &g));
                    let magnitude = got_ty.iter().zip(&dy).map(|(a, b)| (a * b).abs()).sum::<f64>();
                    let bound = 1e-5 * magnitude.max(scale);
                    assert!((forward - backward).abs() <= bound, "adjoint, {what}: {forward} {backward}");
                }
            }
        }
    }
}

#[test]
fn of_kept_examples_the_gradient_has_the_statistics_of_all() {
    let mut rng = rng(105);
    for gpu in gpus() {
        let block = gpu.profile.block;
        for (channels, side, examples) in [(1, 1, 17), (3, 5, block + 1), (17, 4, 3 * block + 5), (16, 16, 2 * block)] {
            let norm = BatchNorm { shape: Shape::new(channels, side, side) };
            let case = Case { norm, examples, group_blocks: 4 };
            let what = format!("{case:?}, {:?}", gpu.profile);
            let (x, groups) = case.values(&gpu, &mut rng);
            let sums = case.statistics(&gpu, &case.upload(&gpu, &x, GARBAGE));
            // every third, and weights beyond one
            let kept: Vec<usize> = (0..examples).filter(|n| n % 3 == 1).collect();
            let row = |n: &usize| x[n * norm.shape.len()..][..norm.shape.len()].to_vec();
            let x: Vec<f64> = kept.iter().flat_map(row).collect();
            let w: Vec<f64> = kept.iter().map(|n| 1.0 + (n % 5) as f64).collect();
            let dy = uniform(x.len(), &mut rng);
            let (theta, theta_buf) = case.parameters(&gpu, &mut rng);

            // as many blocks as the batch has, of which the first are in use; what the others hold is of no account
            let live = Arc::new(BlockCount::new(&gpu).unwrap());
            gpu.write(&live.blocks, &[kept.len().div_ceil(block) as u32]);
            let all = case.blocks(&gpu) * block;
            let used = kept.len().next_multiple_of(block);
            let room = |of: &[f64], features: usize, padding: f64| {
                let mut words = to_blocks(of, features, block, padding);
                words.resize(all * features, f64::NAN);
                words
            };
            let quads = |of: &[f64], padding| upload_quads(&gpu, &room(of, norm.shape.len(), padding)).counted(&live);
            let (x_quads, dy_quads) = (quads(&x, 1.0), quads(&dy, 0.0));
            let dx = unwritten_quads(&gpu, all * norm.shape.len()).counted(&live);
            let share = upload(&gpu, &room(&w, 1, 0.0));
            let statistics = Statistics::Groups { sums: &sums, blocks: case.group_blocks };
            let partial = unwritten(&gpu, norm.partial_len(&gpu, 1));
            let f = unwritten(&gpu, norm.fisher_len());
            let coefficients = upload(&gpu, &[0.0, 1.0]);
            let steps = [
                norm.products(&gpu, [&dy_quads, &x_quads], all, statistics, &partial).unwrap(),
                norm.grad_input(
                    &gpu,
                    [&dy_quads, &x_quads, &dx],
                    &theta_buf,
                    statistics,
                    Some([&partial, &share]),
                    None,
                )
                .unwrap(),
                norm.fisher(&gpu, [&dy_quads, &x_quads], statistics, &coefficients, &f).unwrap(),
            ];
            run(&gpu, live::grids(&gpu, &live).unwrap().into_iter().chain(steps));

            let scale = groups.moments.iter().map(|m| m.scale()).fold(1.0, f64::max);
            let want = reference::grad_input(&groups, [&dy, &x], &theta, &w);
            let got = download_blocks(&gpu, &dx, kept.len(), norm.shape.len());
            assert_within(&format!("dx, {what}"), &got, &want, 4e-6 * scale * largest(&theta));
            let words = download_quads(&gpu, &dx);
            let (written, rest) = words.split_at(used * norm.shape.len());
            assert!(written.iter().all(|dx| dx.is_finite()) && rest.iter().all(|dx| dx.is_nan()), "{what}");
            let padding = download_blocks(&gpu, &dx, used, norm.shape.len()).split_off(x.len());
            assert!(padding.iter().all(|&dx| dx == 0.0), "{what}");

            let sums = reference::products(&groups, [&dy, &x]);
            let want: Vec<f64> = [0, 1].iter().flat_map(|&k| sums.iter().map(move |sums| sums[k])).collect();
            assert_close(&format!("gradient, {what}"), &gradient_of(&gpu, norm, &partial), &want, 1e-5);
            let want = reference::fisher(&groups, [&dy, &x]);
            assert_close(&format!("fisher, {what}"), &download(&gpu, &f), &want, 1e-5);
        }
    }
}

#[test]
fn blocks_of_scales_and_shifts_are_summed_kept_and_divided_by() {
    const LAMBDA: f64 = 1e-2;
    let mut rng = rng(106);
    for gpu in gpus() {
        let block = gpu.profile.block;
        let cases = [(1, 1, 1), (3, 5, 17), (17, 4, block), (70, 2, 3 * block + 5)];
        let mut parts = Vec::new();
        let (mut start, mut factor) = (64, 3);
        for (channels, _, _) in cases {
            parts.push(NormPart { start, factor, channels });
            start += 2 * channels + 5;
            factor += 3 * channels + 1;
        }
        let mut factors = vec![0.0; factor];
        for ((channels, side, examples), part) in cases.into_iter().zip(&parts) {
            let norm = BatchNorm { shape: Shape::new(channels, side, side) };
            let case = Case { norm, examples, group_blocks: 4 };
            let (x, groups) = case.values(&gpu, &mut rng);
            let x_quads = case.upload(&gpu, &x, 2.0);
            let sums = case.statistics(&gpu, &x_quads);
            let statistics = Statistics::Groups { sums: &sums, blocks: 4 };
            let f = unwritten(&gpu, norm.fisher_len());
            let mut want = vec![0.0; norm.fisher_len()];
            for (keep, scale) in [(0.0, 0.5), (0.75, 2.0)] {
                let dy = case.random(&mut rng);
                let coefficients = upload(&gpu, &[keep, scale]);
                let of = [&case.upload(&gpu, &dy, 0.0), &x_quads];
                run(&gpu, [norm.fisher(&gpu, of, statistics, &coefficients, &f).unwrap()]);
                let now = reference::fisher(&groups, [&dy, &x]);
                want.iter_mut().zip(now).for_each(|(f, now)| *f = keep * *f + scale * now);
            }
            let got = download(&gpu, &f);
            assert_close(&format!("{case:?}, {:?}", gpu.profile), &got, &want, 1e-5);
            factors[part.factor..part.factor + got.len()].copy_from_slice(&got);
        }
        let (g, d) = (uniform(start, &mut rng), unwritten(&gpu, start));
        let [factors_buf, lambda, g_buf] = [&factors[..], &[LAMBDA], &g].map(|of| upload(&gpu, of));
        let lambda_f32 = f64::from(LAMBDA as f32);
        run(&gpu, [divide(&gpu, &parts, &factors_buf, &lambda, [&g_buf, &d]).unwrap()]);
        let mut got = download(&gpu, &d);
        for NormPart { start, factor, channels } in parts {
            let want = reference::divide(&factors[factor..][..3 * channels], lambda_f32, &g[start..][..2 * channels]);
            assert_close(&format!("d of {channels}"), &got[start..][..2 * channels], &want, 1e-4);
            got[start..][..2 * channels].fill(f64::NAN);
        }
        assert!(got.iter().all(|d| d.is_nan()), "nothing else is touched");
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
