//! Kronecker factors, their inverses, and what is multiplied with them.

use crate::common::*;
use gpu_subset::kernels::blocks::{self, Blocks, Part};
use gpu_subset::kernels::conv2d::Conv2d;
use gpu_subset::kernels::kronecker::{self, Factor};
use gpu_subset::program::Program;
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
            (Conv2d { input: Shape::new(1, 28, 28), channels: 8, size: 5, stride: 2, padding: 0, groups: 1 }, true),
            (Conv2d { input: Shape::new(12, 7, 9), channels: 3, size: 3, stride: 2, padding: 1, groups: 1 }, true),
            (Conv2d { input: Shape::new(3, 11, 11), channels: 1, size: 9, stride: 1, padding: 4, groups: 1 }, true),
            (Conv2d { input: Shape::new(17, 5, 6), channels: 1, size: 1, stride: 1, padding: 0, groups: 1 }, false),
            (Conv2d::dense(257, 10), true),
            (Conv2d::dense(10, 10), false),
            (Conv2d::dense(1, 1), false),
        ];
        for (patches, with_bias) in cases {
            let what = format!("{patches:?}, {:?}", gpu.profile);
            let x = uniform(batch * patches.input.len(), &mut rng);
            let side = kronecker::factor_side(&patches, with_bias);
            let factor = Factor::new(&gpu, patches, with_bias, unwritten(&gpu, side * side)).unwrap();
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
    const LAYERS: [(usize, usize); 3] = [(2, 1), (17, 255), (257, 10)];
    for gpu in gpus() {
        // more buffers than one
        let blocks = Blocks::within(&gpu, &LAYERS.map(|(a, g)| [[a, g], [g, a]]).concat(), 66_000).unwrap();
        let lambda = gpu.upload("lambda", &[0.3f32]).unwrap();
        let factors: Vec<_> =
            LAYERS.iter().flat_map(|&(a, g)| [a, g]).map(|side| semidefinite(side, 40, &mut rng)).collect();
        for (i, factor) in factors.iter().enumerate() {
            gpu.write(&blocks.matrix(i), &factor.iter().map(|&x| x as f32).collect::<Vec<_>>());
        }
        run(&gpu, kronecker::damping(&gpu, &blocks, &lambda).unwrap());
        let deltas = download(&gpu, &blocks.deltas);
        for (l, (a_side, g_side)) in LAYERS.into_iter().enumerate() {
            let what = format!("{a_side} {g_side}");
            let want = kronecker::reference::damping(&factors[2 * l], &factors[2 * l + 1], 0.3);
            assert_close(&what, &deltas[2 * l..2 * l + 2], &want, 1e-6);

            let [a, g] = [(2 * l, a_side), (2 * l + 1, g_side)]
                .map(|(i, side)| Factor::new(&gpu, Conv2d::dense(side, 1), false, blocks.matrix(i)).unwrap());
            let v = uniform(a_side * g_side, &mut rng);
            let d = unwritten(&gpu, v.len());
            run(&gpu, [kronecker::diagonal(&gpu, [&a, &g], &lambda, &upload(&gpu, &v), &d).unwrap()]);
            let lambda = f64::from(0.3f32);
            let want = kronecker::reference::diagonal(&factors[2 * l], &factors[2 * l + 1], lambda, &v);
            assert_close(&format!("diagonal {what}"), &download(&gpu, &d), &want, 1e-6);
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

/// S + δ I
fn damped(s: &[f64], delta: f64) -> Vec<f64> {
    s.iter().zip(identity(s.len().isqrt())).map(|(s, i)| s + f64::from(delta as f32) * i).collect()
}

#[test]
fn inverses_of_damped_factors_have_small_residuals() {
    let mut rng = rng(33);
    for gpu in gpus() {
        let blocks = Blocks::within(&gpu, &SIDES.map(|side| [side, 1]), 5_000).unwrap();
        let mut invert = Program::default();
        invert.extend(blocks.invert(&gpu).unwrap());
        // ranks as shares of the side, or one
        for (rank, delta) in [(2.0, 1e-2), (0.5, 1e-2), (0.5, 1e-4), (0.0, 1.0)] {
            let matrices =
                SIDES.map(|side| semidefinite(side, ((rank * side as f64).ceil() as usize).max(1), &mut rng));
            for (i, matrix) in matrices.iter().enumerate() {
                gpu.write(&blocks.matrix(i), &matrix.iter().map(|&x| x as f32).collect::<Vec<_>>());
            }
            gpu.write(&blocks.deltas, &[delta as f32; SIDES.len()]);
            invert.run(&gpu).unwrap();
            for (i, matrix) in matrices.iter().enumerate() {
                let what = format!("side {}, rank {rank}, δ {delta}, {:?}", SIDES[i], gpu.profile);
                let got: Vec<f64> = blocks.read_inverse(&gpu, i).unwrap().into_iter().map(f64::from).collect();
                let damped = damped(matrix, delta);
                let residual = residual(&damped, &got);
                assert!(residual <= 1e-6, "{what}: residual {residual:e}");
                assert_close(&what, &got, &blocks::reference::inverse(&damped), if delta < 1e-3 { 1e-2 } else { 1e-4 });
            }
        }
    }
}

#[test]
fn gradients_between_inverses_agree_with_the_reference() {
    const LAYERS: [(usize, usize); 5] = [(1, 1), (8, 25), (17, 255), (40, 256), (255, 16)];
    let mut rng = rng(34);
    for gpu in gpus() {
        let mut start = 64;
        let parts = LAYERS.map(|(outputs, patches)| {
            let part = Part::whole(start, outputs, patches);
            start += (outputs * (patches + 1)).next_multiple_of(64);
            part
        });
        let blocks = Blocks::new(&gpu, &LAYERS.map(|(g, p)| [[p + 1, g], [g, p + 1]]).concat()).unwrap();
        let factors: Vec<_> =
            LAYERS.iter().flat_map(|&(g, p)| [p + 1, g]).map(|n| semidefinite(n, 2 * n, &mut rng)).collect();
        for (i, factor) in factors.iter().enumerate() {
            gpu.write(&blocks.matrix(i), &factor.iter().map(|&x| x as f32).collect::<Vec<_>>());
        }
        gpu.write(&blocks.deltas, &[0.1f32; 10]);
        let theta = uniform(start, &mut rng);
        let d = unwritten(&gpu, start);
        let mut steps = blocks.invert(&gpu).unwrap();
        steps.extend(blocks.apply_inverse(&gpu, &parts, &upload(&gpu, &theta), &d).unwrap());
        run(&gpu, steps);
        let got = download(&gpu, &d);
        for (l, Part { start, outputs, patches, .. }) in parts.into_iter().enumerate() {
            let columns = patches + 1;
            let range = start..start + outputs * columns;
            let theta = &theta[range.clone()];
            let [a, g] = [2 * l, 2 * l + 1].map(|i| blocks::reference::inverse(&damped(&factors[i], 0.1)));
            // weights and then biases, as a matrix with the biases as its last column
            let at = |o: usize, r: usize| if r == patches { outputs * patches + o } else { o * patches + r };
            let v: Vec<f64> = (0..outputs * columns).map(|i| theta[at(i / columns, i % columns)]).collect();
            let product = blocks::reference::between(&g, &v, &a);
            let mut want = vec![0.0; theta.len()];
            (0..outputs * columns).for_each(|i| want[at(i / columns, i % columns)] = product[i]);
            let what = format!("{outputs} outputs, {patches} patches, {:?}", gpu.profile);
            assert_close(&what, &got[range], &want, 1e-4);
        }
        assert!(got[..64].iter().all(|x| x.is_nan()), "nothing beside the layers is touched");
    }
}
