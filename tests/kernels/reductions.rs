//! Vector operations, updates and sums.

use crate::common::*;
use gpu_subset::kernels::update;
use gpu_subset::kernels::vector::{self, FOLDED, PARTIALS, SCRATCH, reference};
use gpu_subset::update::{AdamUpdate, MomentumUpdate, NaturalUpdate};

const LENGTHS: [usize; 7] = [4, 64, 17 * 4, 255 * 4, 257 * 4, 16_384 + 64, 1_000_000];

#[test]
fn axpby_agrees_with_the_reference_and_ignores_the_old_y_for_beta_zero() {
    let mut rng = rng(11);
    for gpu in gpus() {
        for len in LENGTHS {
            for (alpha, beta) in [(1.0, 0.0), (-0.5, 1.0), (0.25, -2.0), (0.0, 0.0)] {
                let x = uniform(len, &mut rng);
                let mut want = uniform(len, &mut rng);
                let y = if beta == 0.0 { unwritten(&gpu, len) } else { upload(&gpu, &want) };
                let coefficients = upload(&gpu, &[alpha, beta]);
                run(&gpu, [vector::axpby(&gpu, &coefficients, &upload(&gpu, &x), &y).unwrap()]);
                reference::axpby(alpha, &x, beta, &mut want);
                assert_close(&format!("{alpha} x + {beta} y of {len}"), &download(&gpu, &y), &want, 1e-6);
            }
        }
    }
}

#[test]
fn dot_and_sum_are_within_rounding_of_the_reference() {
    let mut rng = rng(12);
    for gpu in gpus() {
        for len in LENGTHS {
            let (x, y) = (uniform(len, &mut rng), uniform(len, &mut rng));
            let (x_buf, y_buf) = (upload(&gpu, &x), upload(&gpu, &y));
            let scratch = unwritten(&gpu, SCRATCH);
            let total = |steps: &dyn Fn(&gpu_subset::device::Buf) -> Vec<gpu_subset::program::Dispatch>| {
                let partials = upload(&gpu, &vec![0.0; PARTIALS]);
                run(&gpu, steps(&partials));
                download(&gpu, &partials).iter().sum::<f64>()
            };
            let dot = total(&|partials| vector::dot(&gpu, &x_buf, &y_buf, &scratch, partials).unwrap());
            let sum = total(&|partials| vector::sum(&gpu, &x_buf, &scratch, partials).unwrap());
            let magnitude = x.iter().zip(&y).map(|(x, y)| (x * y).abs()).sum::<f64>();
            assert!((dot - reference::dot(&x, &y)).abs() <= 1e-6 * magnitude, "dot of {len}");
            assert!((sum - reference::sum(&x)).abs() <= 1e-6 * x.iter().map(|x| x.abs()).sum::<f64>(), "sum of {len}");
        }
    }
}

#[test]
fn many_sums_fold_row_by_row() {
    let mut rng = rng(14);
    for gpu in gpus() {
        for rows in [1, 17, 82, 257] {
            let partials = uniform(rows * PARTIALS, &mut rng);
            let folded = unwritten(&gpu, rows * FOLDED);
            run(&gpu, [vector::fold(&gpu, &upload(&gpu, &partials), &folded).unwrap()]);
            let sums = |words: &[f64], row: usize| words.chunks(row).map(reference::sum).collect::<Vec<_>>();
            let (got, want) = (sums(&download(&gpu, &folded), FOLDED), sums(&partials, PARTIALS));
            assert_close(&format!("{rows} rows"), &got, &want, 1e-6);
        }
    }
}

#[test]
fn updates_agree_with_the_reference_step_after_step() {
    let mut rng = rng(15);
    let adam = |step| AdamUpdate { beta1: 0.9, beta2: 0.999, step, epsilon: 1e-8 };
    let momentum = |velocity, gradient| MomentumUpdate { momentum: 0.9, velocity, gradient };
    for gpu in gpus() {
        for len in LENGTHS {
            let start = uniform(len, &mut rng);
            let gradients = [(); 3].map(|()| uniform(len, &mut rng));
            let g = unwritten(&gpu, len);
            let zeros = || upload(&gpu, &vec![0.0; len]);

            let (x, m, v, coefficients) = (upload(&gpu, &start), zeros(), zeros(), unwritten(&gpu, 8));
            let (mut want_x, mut want_m, mut want_v) = (start.clone(), vec![0.0; len], vec![0.0; len]);
            let kernel = update::adam(&gpu, &coefficients, &g, [&m, &v], &x).unwrap();
            for (gradient, step) in gradients.iter().zip([3e-3, 1e-2, 2e-1]) {
                gpu.write(&g, &gradient.iter().map(|&g| g as f32).collect::<Vec<_>>());
                gpu.write(&coefficients, &adam(step).words());
                run(&gpu, [kernel.clone()]);
                update::reference::adam(&adam(step), gradient, [&mut want_m, &mut want_v], &mut want_x);
            }
            for (what, got, want) in [("m", &m, &want_m), ("v", &v, &want_v), ("x", &x, &want_x)] {
                assert_close(&format!("Adam's {what} of {len}"), &download(&gpu, got), want, 2e-6);
            }

            let (x, v, coefficients) = (upload(&gpu, &start), zeros(), unwritten(&gpu, 4));
            let (mut want_x, mut want_v) = (start.clone(), vec![0.0; len]);
            let kernel = update::momentum(&gpu, &coefficients, &g, &v, &x).unwrap();
            for (gradient, (a, b)) in gradients.iter().zip([(1e-2, 0.0), (9e-3, 1e-2), (0.5, 0.25)]) {
                gpu.write(&g, &gradient.iter().map(|&g| g as f32).collect::<Vec<_>>());
                gpu.write(&coefficients, &momentum(a, b).words());
                run(&gpu, [kernel.clone()]);
                update::reference::momentum(&momentum(a, b), gradient, &mut want_v, &mut want_x);
            }
            for (what, got, want) in [("v", &v, &want_v), ("x", &x, &want_x)] {
                assert_close(&format!("momentum's {what} of {len}"), &download(&gpu, got), want, 1e-6);
            }
        }
    }
}

#[test]
fn a_natural_update_agrees_with_the_reference_step_after_step() {
    let mut rng = rng(16);
    for gpu in gpus() {
        for len in LENGTHS {
            let start = uniform(len, &mut rng);
            let gradients = [(); 3].map(|()| uniform(len, &mut rng));
            let (x, v) = (upload(&gpu, &start), upload(&gpu, &vec![0.0; len]));
            let (g, d, coefficients) = (unwritten(&gpu, len), unwritten(&gpu, len), unwritten(&gpu, 8));
            let slopes = upload(&gpu, &[0.0; NaturalUpdate::SLOPES]);
            let (mut want_x, mut want_v, mut want_slopes) = (start.clone(), vec![0.0; len], [0.0; 16]);
            let (mut steps, slope) = vector::dot_on_device(&gpu, &g, &d).unwrap();
            steps.push(update::natural(&gpu, &coefficients, [&slope, &slopes], &d, [&v, &x]).unwrap());
            // the radius decides, then the longest step; later, slopes of before, and those that are forgotten
            let divergences = [1e-3, 1e-1, 1e9].into_iter().chain(std::iter::repeat(1e-3)).take(20);
            for (number, (gradient, divergence)) in (1..).zip(gradients.iter().cycle().zip(divergences)) {
                let by = NaturalUpdate { momentum: 0.9, rate: 0.25, divergence, most: 0.5, number };
                let scale = if number % 7 == 6 { 1e-4 } else { 0.75 };
                let direction: Vec<f64> = gradient.iter().map(|g| f64::from((scale * g) as f32)).collect();
                gpu.write(&g, &gradient.iter().map(|&g| g as f32).collect::<Vec<_>>());
                gpu.write(&d, &direction.iter().map(|&d| d as f32).collect::<Vec<_>>());
                gpu.write(&coefficients, &by.words());
                run(&gpu, steps.clone());
                update::reference::natural(
                    &by,
                    reference::dot(gradient, &direction),
                    &mut want_slopes,
                    &direction,
                    [&mut want_v, &mut want_x],
                );
            }
            assert_close(&format!("slopes of {len}"), &download(&gpu, &slopes), &want_slopes, 2e-6);
            for (what, got, want) in [("v", &v, &want_v), ("x", &x, &want_x)] {
                assert_close(&format!("the natural update's {what} of {len}"), &download(&gpu, got), want, 2e-6);
            }
        }
    }
}
