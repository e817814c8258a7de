//! Jvp, gradients and curvature of batch normalisation.

use super::{Case, GARBAGE, assert_within, largest};
use crate::common::*;
use gpu_subset::device::{BlockCount, Buf, Gpu, Quads};
use gpu_subset::kernels::batch_norm::reference::{self, Groups};
use gpu_subset::kernels::batch_norm::{BatchNorm, NormPart, Statistics, divide};
use gpu_subset::kernels::epilogue::Mask;
use gpu_subset::kernels::weights::{Base, Partials, reduce_partials};
use gpu_subset::kernels::{live, to_blocks};
use gpu_subset::shape::Shape;
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

/// The gradient to γ and β in partial sums.
fn gradient_of(gpu: &Gpu, norm: BatchNorm, partial: &Buf) -> Vec<f64> {
    let g = upload(gpu, &vec![0.0; norm.weights().len()]);
    let all = [Partials::alone(norm.weights(), partial)];
    run(gpu, [reduce_partials(gpu, &all, partial, Base::Gradient, &g).unwrap()]);
    download(gpu, &g)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// A case and the vectors that its derivatives are taken along: values, and on the device.
struct Along {
    case: Case,
    x: (Vec<f64>, Quads),
    tx: (Vec<f64>, Quads),
    dy: (Vec<f64>, Quads),
    theta: (Vec<f64>, Buf),
    v: (Vec<f64>, Buf),
    slopes: Vec<f64>,
    mask: Option<Mask>,
}

impl Along {
    fn new(gpu: &Gpu, case: Case, mask: Option<bool>, x: Vec<f64>, rng: &mut ChaCha8Rng) -> Self {
        let on_device = |of: Vec<f64>, padding: f64| {
            let quads = case.upload(gpu, &of, padding);
            (of, quads)
        };
        let slopes = case.random(rng);
        let mask = mask.map(|is_relu| Mask { values: case.upload(gpu, &slopes, GARBAGE), is_relu });
        Self {
            x: on_device(x, GARBAGE),
            tx: on_device(case.random(rng), GARBAGE),
            dy: on_device(case.random(rng), 0.0),
            theta: case.parameters(gpu, rng),
            v: case.parameters(gpu, rng),
            slopes,
            mask,
            case,
        }
    }

    fn masked(&self, values: Vec<f64>) -> Vec<f64> {
        let Some(mask) = &self.mask else { return values };
        let slope = |m: f64| if mask.is_relu { f64::from(m > 0.0) } else { m };
        values.iter().zip(&self.slopes).map(|(v, &m)| v * slope(m)).collect()
    }

    fn products(&self, gpu: &Gpu, u: &Quads, statistics: Statistics<'_>) -> Buf {
        let (case, norm) = (self.case, self.case.norm);
        let groups = if matches!(statistics, Statistics::Running(_)) { 1 } else { case.groups(gpu) };
        let partial = unwritten(gpu, norm.partial_len(gpu, groups));
        run(gpu, [norm.products(gpu, [u, &self.x.1], case.examples, statistics, &partial).unwrap()]);
        partial
    }

    /// Every derivative against its reference, and jvp against gradients.
    fn check(&self, gpu: &Gpu, statistics: Statistics<'_>, groups: &Groups) {
        let what = format!("{:?}, {:?}", self.case, gpu.profile);
        // what cancels is as large as what is left of one value in its group
        let scale = groups.moments.iter().map(|m| m.scale()).fold(1.0, f64::max);
        let bound = 2e-6 * scale * largest(&self.theta.0).max(largest(&self.v.0));
        let ty = self.check_jvp(gpu, statistics, groups, (&what, 4.0 * bound));
        let (dx, g) = self.check_gradients(gpu, statistics, groups, (&what, bound));
        if self.mask.is_none() {
            let (forward, backward) = (dot(&ty, &self.dy.0), dot(&self.tx.0, &dx) + dot(&self.v.0, &g));
            let magnitude = ty.iter().zip(&self.dy.0).map(|(a, b)| (a * b).abs()).sum::<f64>();
            let bound = 1e-5 * magnitude.max(scale);
            assert!((forward - backward).abs() <= bound, "adjoint, {what}: {forward} {backward}");
        }
    }

    fn check_jvp(
        &self,
        gpu: &Gpu,
        statistics: Statistics<'_>,
        groups: &Groups,
        (what, bound): (&str, f64),
    ) -> Vec<f64> {
        let (case, norm, x, mask) = (self.case, self.case.norm, &self.x.1, self.mask.as_ref());
        let of_tx = self.products(gpu, &self.tx.1, statistics);
        let along = Some((&self.tx.1, (!groups.are_fixed).then_some(&of_tx)));
        let (ty, of_theta) = (case.unwritten(gpu), case.unwritten(gpu));
        let parameters = [&self.theta.1, &self.v.1];
        let steps = [
            norm.jvp(gpu, [x, &ty], parameters, along, statistics, mask),
            norm.jvp(gpu, [x, &of_theta], parameters, None, statistics, mask),
        ];
        run(gpu, steps.map(Result::unwrap));
        let want = |tx| self.masked(reference::jvp(groups, &self.x.0, [&self.theta.0, &self.v.0], tx));
        let ty = case.download(gpu, &ty);
        assert_within(&format!("jvp, {what}"), &ty, &want(Some(&self.tx.0[..])), bound);
        assert_within(&format!("jvp of θ alone, {what}"), &case.download(gpu, &of_theta), &want(None), bound);
        ty
    }

    /// dx, and the gradient to γ and β.
    fn check_gradients(
        &self,
        gpu: &Gpu,
        statistics: Statistics<'_>,
        groups: &Groups,
        (what, bound): (&str, f64),
    ) -> (Vec<f64>, Vec<f64>) {
        let (case, norm, shape) = (self.case, self.case.norm, self.case.norm.shape);
        let of_dy = self.products(gpu, &self.dy.1, statistics);
        let ones = vec![1.0; case.examples];
        let share = upload(gpu, &to_blocks(&ones, 1, gpu.profile.block, 0.0));
        let means = (!groups.are_fixed).then_some([&of_dy, &share]);
        let quads = case.unwritten(gpu);
        let (of, mask) = ([&self.dy.1, &self.x.1, &quads], self.mask.as_ref());
        run(gpu, [norm.grad_input(gpu, of, &self.theta.1, statistics, means, mask).unwrap()]);
        let values = [&self.dy.0[..], &self.x.0[..]];
        let want = self.masked(reference::grad_input(groups, values, &self.theta.0, &ones));
        let mut dx = download_blocks(gpu, &quads, share.len(), shape.len());
        let padding = dx.split_off(want.len());
        assert_within(&format!("dx, {what}"), &dx, &want, bound);
        assert!(padding.iter().all(|&dx| dx == 0.0), "padding, {what}");

        let g = gradient_of(gpu, norm, &of_dy);
        let mut want = vec![0.0; g.len()];
        for (i, [gamma, beta]) in reference::products(groups, values).into_iter().enumerate() {
            want[i % shape.channels] += gamma;
            want[shape.channels + i % shape.channels] += beta;
        }
        let magnitude = largest(&self.dy.0) * (case.examples * shape.pixels()) as f64;
        assert_within(&format!("gradient, {what}"), &g, &want, 1e-6 * magnitude);
        (dx, g)
    }
}

#[test]
fn derivatives_agree_with_the_reference_and_are_adjoint() {
    let mut rng = rng(104);
    for gpu in gpus() {
        for case in Case::all(&gpu) {
            let (x, groups) = case.values(&gpu, &mut rng);
            let mask = [None, Some(true), Some(false)][case.norm.shape.channels % 3];
            let along = Along::new(&gpu, case, mask, x, &mut rng);
            let sums = case.statistics(&gpu, &along.x.1);
            along.check(&gpu, Statistics::Groups { sums: &sums, blocks: case.group_blocks }, &groups);
            let moments = uniform(2 * case.norm.shape.channels, &mut rng);
            let moments: Vec<f64> = moments.iter().map(|x| f64::from((x.abs() + 0.1) as f32)).collect();
            let running = upload(&gpu, &moments);
            along.check(&gpu, Statistics::Running(&running), &Groups::running(case.norm, &moments));
        }
    }
}

/// Plain rows as blocks, and beyond those in use no numbers: as many blocks as all examples have.
fn in_room(of: &[f64], [features, block, examples]: [usize; 3], padding: f64) -> Vec<f64> {
    let mut words = to_blocks(of, features, block, padding);
    words.resize(examples * features, f64::NAN);
    words
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

            let live = Arc::new(BlockCount::new(&gpu).unwrap());
            gpu.write(&live.blocks, &[kept.len().div_ceil(block) as u32]);
            let all = case.blocks(&gpu) * block;
            let used = kept.len().next_multiple_of(block);
            let room = |of: &[f64], features, padding| in_room(of, [features, block, all], padding);
            let quads = |of: &[f64], padding| upload_quads(&gpu, &room(of, norm.shape.len(), padding)).counted(&live);
            let (x_quads, dy_quads) = (quads(&x, 1.0), quads(&dy, 0.0));
            let dx = unwritten_quads(&gpu, all * norm.shape.len()).counted(&live);
            let share = upload(&gpu, &room(&w, 1, 0.0));
            let statistics = Statistics::Groups { sums: &sums, blocks: case.group_blocks };
            let partial = unwritten(&gpu, norm.partial_len(&gpu, 1));
            let f = unwritten(&gpu, norm.fisher_len());
            let (coefficients, of) = (upload(&gpu, &[0.0, 1.0]), [&dy_quads, &x_quads]);
            let steps = [
                norm.products(&gpu, of, all, statistics, &partial),
                norm.grad_input(&gpu, [of[0], of[1], &dx], &theta_buf, statistics, Some([&partial, &share]), None),
                norm.fisher(&gpu, of, statistics, &coefficients, &f),
            ];
            run(&gpu, live::grids(&gpu, &live).unwrap().into_iter().chain(steps.map(Result::unwrap)));

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
