//! Kronecker factors, their inverses, and what is multiplied with them.

use crate::common::*;
use gpu_subset::device::Gpu;
use gpu_subset::kernels::blocks::{self, Blocks};
use gpu_subset::kernels::conv2d::Conv2d;
use gpu_subset::kernels::kronecker::{self, Factor};
use gpu_subset::shape::Shape;
use rand_chacha::ChaCha8Rng;

const SIDES: [usize; 9] = [1, 4, 17, 31, 32, 33, 64, 255, 257];

fn identity(side: usize) -> Vec<f64> {
    (0..side * side).map(|i| f64::from(u8::from(i / side == i % side))).collect()
}

/// A positive semidefinite matrix of rank at most `rank`.
fn semidefinite(side: usize, rank: usize, rng: &mut ChaCha8Rng) -> Vec<f64> {
    let x = uniform(rank * side, rng);
    let mut s = vec![0.0; side * side];
    for x in x.chunks_exact(side) {
        for (s, a) in s.chunks_exact_mut(side).zip(x) {
            s.iter_mut().zip(x).for_each(|(s, b)| *s += a * b / rank as f64);
        }
    }
    s.iter().map(|&x| f64::from(x as f32)).collect()
}

#[test]
fn factors_are_the_products_of_patches() {
    let mut rng = rng(31);
    for gpu in gpus() {
        let batch = 3 * gpu.profile.block;
        let cases = [
            (Conv2d { input: Shape::new(1, 28, 28), channels: 8, size: 5, stride: 2, padding: 0 }, true),
            (Conv2d { input: Shape::new(12, 7, 9), channels: 3, size: 3, stride: 2, padding: 1 }, true),
            (Conv2d { input: Shape::new(3, 11, 11), channels: 1, size: 9, stride: 1, padding: 4 }, true),
            (Conv2d { input: Shape::new(17, 5, 6), channels: 1, size: 1, stride: 1, padding: 0 }, false),
            (Conv2d::dense(257, 10), true),
            (Conv2d::dense(10, 10), false),
            (Conv2d::dense(1, 1), false),
        ];
        for (patches, with_bias) in cases {
            let what = format!("{patches:?}, {:?}", gpu.profile);
            let x = uniform(batch * patches.input.len(), &mut rng);
            let factor = Factor {
                matrix: unwritten(&gpu, Factor::new(&gpu, patches, with_bias).unwrap().matrix.len()),
                ..Factor::new(&gpu, patches, with_bias).unwrap()
            };
            let x_buf = upload_blocks(&gpu, &x, patches.input.len());
            let partial = unwritten(&gpu, factor.partial_len(&gpu, 3));
            let sum = kronecker::reference::gram(&patches, &x, with_bias);
            let pixels = patches.output().unwrap().pixels();
            let (scale, count) = (1.0 / batch as f32, (batch * pixels) as f32);
            gpu.write(&factor.coefficients, &[0.0f32, scale, count]);
            run(&gpu, factor.accumulate(&gpu, &x_buf, &partial).unwrap());
            let want: Vec<f64> = sum.iter().map(|s| s * f64::from(scale)).collect();
            let got = download(&gpu, &factor.matrix);
            assert_close(&what, &got, &want, 1e-5);
            let side = factor.side();
            assert!((0..side * side).all(|i| got[i] == got[i % side * side + i / side]), "symmetric, {what}");

            gpu.write(&factor.coefficients, &[0.75f32, 2.0 * scale, count]);
            run(&gpu, factor.accumulate(&gpu, &x_buf, &partial).unwrap());
            let want: Vec<f64> = want.iter().map(|w| 2.75 * w).collect();
            assert_close(&format!("again, {what}"), &download(&gpu, &factor.matrix), &want, 1e-5);
        }
    }
}

#[test]
fn damping_is_shared_out_by_the_traces() {
    let mut rng = rng(32);
    for gpu in gpus() {
        for (a_side, g_side) in [(2, 1), (17, 255), (257, 10)] {
            let [a, g] = [a_side, g_side].map(|side| Factor::new(&gpu, Conv2d::dense(side, 1), false).unwrap());
            let [a_host, g_host] = [a_side, g_side].map(|side| semidefinite(side, 40, &mut rng));
            gpu.write(&a.matrix, &a_host.iter().map(|&x| x as f32).collect::<Vec<_>>());
            gpu.write(&g.matrix, &g_host.iter().map(|&x| x as f32).collect::<Vec<_>>());
            let lambda = gpu.upload("lambda", &[0.3f32]).unwrap();
            let (delta_a, delta_g) = (unwritten(&gpu, 1), unwritten(&gpu, 1));
            run(&gpu, [kronecker::damping(&gpu, [&a, &g], &lambda, [&delta_a, &delta_g]).unwrap()]);
            let v = uniform(a_side * g_side, &mut rng);
            let d = unwritten(&gpu, v.len());
            run(&gpu, [kronecker::diagonal(&gpu, [&a, &g], &lambda, &upload(&gpu, &v), &d).unwrap()]);
            let lambda = f64::from(0.3f32);
            let want = kronecker::reference::diagonal(&a_host, &g_host, lambda, &v);
            assert_close(&format!("diagonal {a_side} {g_side}"), &download(&gpu, &d), &want, 1e-6);
            let got = [download(&gpu, &delta_a)[0], download(&gpu, &delta_g)[0]];
            assert_close(
                &format!("{a_side} {g_side}"),
                &got,
                &kronecker::reference::damping(&a_host, &g_host, 0.3),
                1e-6,
            );
        }
    }
}

/// ‖A X − I‖ as a share of ‖A‖ ‖X‖, largest entries.
fn residual(a: &[f64], x: &[f64]) -> f64 {
    let side = a.len().isqrt();
    let product = blocks::reference::between(&identity(side), a, x);
    let largest = |m: &[f64]| m.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
    let error: Vec<f64> = product.iter().zip(identity(side)).map(|(p, i)| p - i).collect();
    largest(&error) / (side as f64 * largest(a) * largest(x)).max(1.0)
}

#[test]
fn inverses_of_damped_factors_have_small_residuals() {
    let mut rng = rng(33);
    for gpu in gpus() {
        for side in SIDES {
            for (rank, delta) in [(2 * side, 1e-2), (side.div_ceil(2), 1e-2), (side.div_ceil(2), 1e-4), (1, 1.0)] {
                let what = format!("side {side}, rank {rank}, δ {delta}, {:?}", gpu.profile);
                let s = semidefinite(side, rank, &mut rng);
                let delta_buf = gpu.upload("delta", &[delta as f32]).unwrap();
                let room = Blocks::new(&gpu, side, 1).unwrap();
                run(&gpu, room.invert(&gpu, &upload(&gpu, &s), &delta_buf).unwrap());
                let got: Vec<f64> = room.read_inverse(&gpu).unwrap().into_iter().map(f64::from).collect();
                let damped: Vec<f64> =
                    s.iter().zip(identity(side)).map(|(s, i)| s + f64::from(delta as f32) * i).collect();
                let residual = residual(&damped, &got);
                assert!(residual <= 1e-6, "{what}: residual {residual:e}");
                assert_close(&what, &got, &blocks::reference::inverse(&damped), if delta < 1e-3 { 1e-2 } else { 1e-4 });
            }
        }
    }
}

#[test]
fn a_gradient_between_two_inverses_agrees_with_the_reference() {
    let mut rng = rng(34);
    for gpu in gpus() {
        for (outputs, patches) in [(1, 1), (8, 25), (17, 255), (40, 256), (255, 16)] {
            let what = format!("{outputs} outputs, {patches} patches, {:?}", gpu.profile);
            let [a, g] = [(patches + 1), outputs].map(|side| semidefinite(side, 2 * side, &mut rng));
            let theta = uniform(outputs * (patches + 1), &mut rng);
            let delta = gpu.upload("delta", &[0.1f32]).unwrap();
            let [a_room, g_room] = rooms(&gpu, patches + 1, outputs);
            let d = unwritten(&gpu, theta.len());
            let mut steps = a_room.invert(&gpu, &upload(&gpu, &a), &delta).unwrap();
            steps.extend(g_room.invert(&gpu, &upload(&gpu, &g), &delta).unwrap());
            steps.push(a_room.load_gradient(&gpu, &upload(&gpu, &theta), outputs).unwrap());
            steps.push(a_room.multiply(&gpu).unwrap());
            steps.push(a_room.transpose_into(&gpu, &g_room).unwrap());
            steps.push(g_room.multiply(&gpu).unwrap());
            steps.push(g_room.store_direction(&gpu, patches, &d).unwrap());
            run(&gpu, steps);

            let inverse = |s: &[f64]| {
                let side = s.len().isqrt();
                blocks::reference::inverse(
                    &s.iter().zip(identity(side)).map(|(s, i)| s + f64::from(0.1f32) * i).collect::<Vec<_>>(),
                )
            };
            // weights and then biases, as a matrix with the biases as its last column
            let at = |o: usize, r: usize| if r == patches { outputs * patches + o } else { o * patches + r };
            let columns = patches + 1;
            let v: Vec<f64> = (0..outputs * columns).map(|i| theta[at(i / columns, i % columns)]).collect();
            let product = blocks::reference::between(&inverse(&g), &v, &inverse(&a));
            let mut want = vec![0.0; theta.len()];
            (0..outputs * columns).for_each(|i| want[at(i / columns, i % columns)] = product[i]);
            assert_close(&what, &download(&gpu, &d), &want, 1e-4);
        }
    }
}

fn rooms(gpu: &Gpu, patches: usize, outputs: usize) -> [Blocks; 2] {
    [Blocks::new(gpu, patches, outputs).unwrap(), Blocks::new(gpu, outputs, patches).unwrap()]
}
