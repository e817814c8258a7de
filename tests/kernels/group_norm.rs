//! Group normalisation: every kernel against its reference, on awkward shapes and on examples that were kept of a
//! batch.

use crate::batch_norm::{GARBAGE, assert_within, largest};
use crate::common::*;
use crate::turns::{agree, buf, device, quads};
use gpu_subset::device::{BlockCount, Buf, Gpu, Quads};
use gpu_subset::error::{Error, MemoryError};
use gpu_subset::kernels::activation::{self, Activation};
use gpu_subset::kernels::epilogue::{Epilogue, Mask};
use gpu_subset::kernels::group_norm::{ExampleSums, GroupNorm, reference};
use gpu_subset::kernels::weights::{Base, Partials, reduce_partials};
use gpu_subset::kernels::{live, to_blocks};
use gpu_subset::shape::Shape;
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

#[derive(Clone, Copy, Debug)]
struct Case {
    norm: GroupNorm,
    examples: usize,
}

impl Case {
    /// Awkward ones.
    fn all(gpu: &Gpu) -> Vec<Self> {
        let block = gpu.profile.block;
        let batches = [1, 17, block, block + 1, 3 * block + 5];
        let channels = [(1, 1), (3, 3), (6, 2), (17, 1), (18, 6)];
        let images = [(1, 1), (1, 17), (4, 4), (15, 17), (1, 257), (16, 16)];
        let case = |levels: &[usize]| {
            let ((height, width), (channels, groups)) = (images[levels[2]], channels[levels[1]]);
            let norm = GroupNorm { shape: Shape::new(channels, height, width), groups };
            Self { norm, examples: batches[levels[0]] }
        };
        let is_small = |levels: &[usize]| case(levels).examples * case(levels).norm.shape.len() <= 60_000;
        let levels = pairwise(&[batches.len(), channels.len(), images.len()], is_small);
        levels.iter().map(|levels| case(levels)).collect()
    }

    fn len(&self) -> usize {
        self.examples * self.norm.shape.len()
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

    fn room(&self, gpu: &Gpu, x: &Quads) -> [Buf; 2] {
        self.norm.room().map(|words| unwritten(gpu, x.len() / self.norm.shape.len() * words))
    }

    fn parameters(&self, gpu: &Gpu, rng: &mut ChaCha8Rng) -> (Vec<f64>, Buf) {
        let theta = uniform(2 * self.norm.shape.channels, rng);
        let on_device = upload(gpu, &theta);
        (theta, on_device)
    }

    /// The largest r, and γ or a direction of it: errors grow with them.
    fn scale(&self, x: &[f64], theta: &[f64]) -> f64 {
        let moments = reference::statistics(self.norm, x).moments;
        moments.iter().map(|m| m.scale()).fold(1.0, f64::max) * largest(theta).max(1.0)
    }
}

fn in_room([statistics, products]: &[Buf; 2]) -> ExampleSums<'_> {
    ExampleSums { statistics, products }
}

/// The gradient to γ and β, of so many splits.
fn gradient(gpu: &Gpu, norm: GroupNorm, dy: &Quads, room: ExampleSums<'_>, splits: usize) -> Vec<f64> {
    let partial = unwritten(gpu, splits * norm.weights().partial_len());
    let g = upload(gpu, &vec![0.0; norm.weights().len()]);
    let all = [Partials::alone(norm.weights(), &partial)];
    let reduced = reduce_partials(gpu, &all, &partial, Base::Gradient, &g).unwrap();
    run(gpu, [norm.grad_weight(gpu, dy, room, &partial).unwrap(), reduced]);
    download(gpu, &g)
}

/// Values about 0.5.
fn values(len: usize, rng: &mut ChaCha8Rng) -> Vec<f64> {
    uniform(len, rng).iter().map(|x| f64::from((x + 0.5) as f32)).collect()
}

#[test]
fn forward_agrees_with_the_reference() {
    let mut rng = rng(111);
    for gpu in gpus() {
        for (i, case) in Case::all(&gpu).into_iter().enumerate() {
            let (norm, what) = (case.norm, format!("{case:?}, {:?}", gpu.profile));
            let (x, skip) = (values(case.len(), &mut rng), uniform(case.len(), &mut rng));
            let (theta, theta_buf) = case.parameters(&gpu, &mut rng);
            let [x_quads, skip_quads] = [&x, &skip].map(|of| case.upload(&gpu, of, GARBAGE));
            let (y, room) = (case.unwritten(&gpu), case.room(&gpu, &x_quads));
            let room = in_room(&room);
            let f = Activation::ALL[i % Activation::ALL.len()];
            let (derivative, found) = (Some(case.unwritten(&gpu)), Some(gpu.upload("found", &[0u32]).unwrap()));
            let epilogue = Epilogue { activation: Some(f), derivative, found, ..Epilogue::default() };
            let skips = (i % 2 == 0).then_some(&skip_quads);
            let steps = [
                norm.statistics(&gpu, &x_quads, room),
                norm.forward(&gpu, [&x_quads, &y], skips, &theta_buf, room, &epilogue),
            ];
            run(&gpu, steps.map(Result::unwrap));
            let mut z = reference::forward(norm, &x, &theta);
            if skips.is_some() {
                z.iter_mut().zip(&skip).for_each(|(z, skip)| *z += skip);
            }
            let want: Vec<f64> = z.iter().map(|&z| activation::reference::forward(f, z)).collect();
            let bound = 4e-6 * case.scale(&x, &theta);
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

#[test]
fn a_mean_far_from_zero_costs_no_digits_and_what_is_not_finite_is_found() {
    let mut rng = rng(112);
    for gpu in gpus() {
        let norm = GroupNorm { shape: Shape::new(6, 16, 16), groups: 2 };
        let case = Case { norm, examples: gpu.profile.block + 5 };
        // of deviation 1
        let x = uniform(case.len(), &mut rng)
            .iter()
            .map(|x| f64::from((1000.0 + 3f64.sqrt() * x) as f32))
            .collect::<Vec<_>>();
        let x_quads = case.upload(&gpu, &x, GARBAGE);
        let (y, room) = (case.unwritten(&gpu), case.room(&gpu, &x_quads));
        let room = in_room(&room);
        for (gamma, is_found) in [(2.0, 0u32), (f64::NAN, 1)] {
            let mut theta = vec![1.0; 12];
            theta[4] = gamma;
            let found = gpu.upload("found", &[0u32]).unwrap();
            let epilogue = Epilogue { found: Some(found.clone()), ..Epilogue::default() };
            let steps = [
                norm.statistics(&gpu, &x_quads, room),
                norm.forward(&gpu, [&x_quads, &y], None, &upload(&gpu, &theta), room, &epilogue),
            ];
            run(&gpu, steps.map(Result::unwrap));
            assert_eq!(gpu.read::<u32>(&found).unwrap(), [is_found], "{gamma}");
            if is_found == 0 {
                assert_close("y", &case.download(&gpu, &y), &reference::forward(norm, &x, &theta), 1e-5);
            }
        }
    }
}

#[test]
fn derivatives_agree_with_the_reference() {
    let mut rng = rng(113);
    for gpu in gpus() {
        for case in Case::all(&gpu) {
            let (norm, what) = (case.norm, format!("{case:?}, {:?}", gpu.profile));
            let x = values(case.len(), &mut rng);
            let [tx, dy, slopes] = [(); 3].map(|()| uniform(case.len(), &mut rng));
            let [(theta, theta_buf), (v, v_buf)] = [(); 2].map(|()| case.parameters(&gpu, &mut rng));
            let [x_quads, tx_quads, slope_quads] = [&x, &tx, &slopes].map(|of| case.upload(&gpu, of, GARBAGE));
            let dy_quads = case.upload(&gpu, &dy, 0.0);
            let [ty, of_theta, dx] = [(); 3].map(|()| case.unwritten(&gpu));
            let room = case.room(&gpu, &x_quads);
            let room = in_room(&room);
            let mask = [None, Some(true), Some(false)][norm.shape.channels % 3];
            let mask = mask.map(|is_relu| Mask { values: slope_quads, is_relu });
            let steps = [
                norm.statistics(&gpu, &x_quads, room),
                norm.jvp(&gpu, [&x_quads, &of_theta], [&theta_buf, &v_buf], None, room, mask.as_ref()),
                norm.products(&gpu, [&tx_quads, &x_quads], room),
                norm.jvp(&gpu, [&x_quads, &ty], [&theta_buf, &v_buf], Some(&tx_quads), room, mask.as_ref()),
                norm.products(&gpu, [&dy_quads, &x_quads], room),
                norm.grad_input(&gpu, [&dy_quads, &x_quads, &dx], &theta_buf, room, mask.as_ref()),
            ];
            run(&gpu, steps.map(Result::unwrap));
            let masked = |values: Vec<f64>| -> Vec<f64> {
                let slope = |m: f64| match &mask {
                    None => 1.0,
                    Some(mask) if mask.is_relu => f64::from(m > 0.0),
                    Some(_) => m,
                };
                values.iter().zip(&slopes).map(|(v, &m)| v * slope(m)).collect()
            };
            let bound = 8e-6 * case.scale(&x, &theta);
            for (got, tx) in [(&ty, Some(&tx[..])), (&of_theta, None)] {
                let want = masked(reference::jvp(norm, &x, [&theta, &v], tx));
                assert_within(&format!("jvp, {what}"), &case.download(&gpu, got), &want, bound);
            }
            let want = masked(reference::grad_input(norm, [&dy, &x], &theta));
            let mut got = download_blocks(&gpu, &dx, dx.len() / norm.shape.len(), norm.shape.len());
            let padding = got.split_off(want.len());
            assert_within(&format!("dx, {what}"), &got, &want, bound);
            assert!(padding.iter().all(|&dx| dx == 0.0), "padding, {what}");
            let magnitude = largest(&dy) * (case.examples * norm.shape.pixels()) as f64;
            let want = reference::grad_weight(norm, [&dy, &x]);
            for splits in [norm.splits(&gpu, case.examples.div_ceil(gpu.profile.block)), 3] {
                let got = gradient(&gpu, norm, &dy_quads, room, splits);
                assert_within(&format!("gradient, {what}"), &got, &want, 2e-6 * magnitude);
            }
        }
    }
}

/// Of examples that were kept of a batch the device alone knows how many there are.
#[test]
fn kept_examples_are_gone_through_and_no_others() {
    let mut rng = rng(114);
    for gpu in gpus() {
        let block = gpu.profile.block;
        for (channels, groups, side, kept) in [(1, 1, 1, 5), (6, 3, 5, block), (17, 17, 4, block + 3), (16, 4, 16, 7)] {
            let norm = GroupNorm { shape: Shape::new(channels, side, side), groups };
            let (case, all) = (Case { norm, examples: kept }, 3 * block);
            let what = format!("{case:?}, {:?}", gpu.profile);
            let (x, dy) = (values(case.len(), &mut rng), uniform(case.len(), &mut rng));
            let (theta, theta_buf) = case.parameters(&gpu, &mut rng);
            let live = Arc::new(BlockCount::new(&gpu).unwrap());
            gpu.write(&live.blocks, &[kept.div_ceil(block) as u32]);
            let quads = |of: &[f64], padding| {
                let mut words = to_blocks(of, norm.shape.len(), block, padding);
                words.resize(all * norm.shape.len(), f64::NAN);
                upload_quads(&gpu, &words).counted(&live)
            };
            let (x_quads, dy_quads) = (quads(&x, 1.0), quads(&dy, 0.0));
            let dx = unwritten_quads(&gpu, all * norm.shape.len()).counted(&live);
            let (room, f) = (case.room(&gpu, &x_quads), unwritten(&gpu, norm.fisher_len()));
            let room = in_room(&room);
            let steps = [
                norm.statistics(&gpu, &x_quads, room),
                norm.products(&gpu, [&dy_quads, &x_quads], room),
                norm.grad_input(&gpu, [&dy_quads, &x_quads, &dx], &theta_buf, room, None),
                norm.fisher(&gpu, &dy_quads, room, &upload(&gpu, &[0.0, 0.5]), &f),
                norm.fisher(&gpu, &dy_quads, room, &upload(&gpu, &[0.5, 0.75]), &f),
            ];
            run(&gpu, live::grids(&gpu, &live).unwrap().into_iter().chain(steps.map(Result::unwrap)));
            let want = reference::grad_input(norm, [&dy, &x], &theta);
            let bound = 8e-6 * case.scale(&x, &theta);
            assert_within(&format!("dx, {what}"), &case.download(&gpu, &dx), &want, bound);
            let words = download_quads(&gpu, &dx);
            let (written, rest) = words.split_at(kept.next_multiple_of(block) * norm.shape.len());
            assert!(written.iter().all(|dx| dx.is_finite()) && rest.iter().all(|dx| dx.is_nan()), "{what}");
            let got = gradient(&gpu, norm, &dy_quads, room, 2);
            assert_close(&format!("gradient, {what}"), &got, &reference::grad_weight(norm, [&dy, &x]), 1e-5);
            assert_close(&format!("fisher, {what}"), &download(&gpu, &f), &reference::fisher(norm, [&dy, &x]), 1e-5);
        }
    }
}

/// Groups of channels of one example; and one whose values are too many for an invocation.
#[test]
fn groups_of_large_images_are_gone_through_or_refused() {
    let norm = GroupNorm { shape: Shape::new(2, 1, 13_381), groups: 1 };
    agree("group norm", |gpu| {
        let [x, u] = [(); 2].map(|()| quads(gpu, norm.shape.len() * gpu.profile.block));
        let [y, ty, dx] = [(); 3].map(|()| unwritten_quads(gpu, x.len()));
        let [statistics, products] = norm.room().map(|words| unwritten(gpu, words * gpu.profile.block));
        let (room, theta) = (ExampleSums { statistics: &statistics, products: &products }, buf(gpu, 4));
        let steps = [
            norm.statistics(gpu, &x, room),
            norm.products(gpu, [&u, &x], room),
            norm.forward(gpu, [&x, &y], None, &theta, room, &Epilogue::default()),
            norm.jvp(gpu, [&x, &ty], [&theta; 2], Some(&u), room, None),
            norm.grad_input(gpu, [&u, &x, &dx], &theta, room, None),
        ];
        run(gpu, steps.map(Result::unwrap));
        [y, ty, dx].iter().flat_map(|of| gpu.read_quads(of).unwrap()).collect()
    });
    let Some(gpu) = device(1) else { return };
    if gpu.max_turns() == 65_535 {
        // a prime: steps of one pixel
        let norm = GroupNorm { shape: Shape::new(1, 1, 65_537), groups: 1 };
        let x = unwritten_quads(&gpu, norm.shape.len() * gpu.profile.block);
        let [statistics, products] = norm.room().map(|words| unwritten(&gpu, words * gpu.profile.block));
        let room = ExampleSums { statistics: &statistics, products: &products };
        let refused = norm.statistics(&gpu, &x, room).map(|_| ()).unwrap_err();
        assert!(matches!(refused, Error::OutOfMemory(MemoryError::Turns { .. })), "{refused}");
        assert!(norm.turns(&gpu, 1) > 65_535);
    }
}
