//! The Gauss-Newton product against the matrix itself.

use crate::common::problem::Problem;
use crate::common::twin::{dot, norm, relative_error};
use crate::common::{gpus, gpus_and_cases};
use crate::{NETS, OnDevice, problem};
use gpu_subset::kernels::softmax_xent::reference as xent;

/// Gauss-Newton matrix (1/K) Σ JᵀHJ + λI, row by row: J column by column in forward mode, which the product's backward
/// pass has no part in.
fn dense(problem: &Problem, theta: &[f64]) -> Vec<Vec<f64>> {
    let (parameters, classes) = (theta.len(), problem.twin.model.classes);
    let x = problem.activations(theta);
    let unit = |i: usize| (0..parameters).map(|j| f64::from(i == j)).collect::<Vec<_>>();
    let columns: Vec<Vec<f64>> = (0..parameters).map(|i| problem.twin.jvp(theta, &x, &unit(i))).collect();
    let logits = &x[x.len() - 1];
    let curved = |column: &Vec<f64>| -> Vec<f64> {
        let rows = logits.chunks_exact(classes).zip(column.chunks_exact(classes));
        rows.flat_map(|(z, u)| xent::hvp(z, u)).collect()
    };
    let curved: Vec<Vec<f64>> = columns.iter().map(curved).collect();
    let row = |(i, column): (usize, &Vec<f64>)| {
        problem.mean_and_decay(curved.iter().map(|other| dot(column, other)).collect(), &unit(i))
    };
    columns.iter().enumerate().map(row).collect()
}

fn times(matrix: &[Vec<f64>], v: &[f64]) -> Vec<f64> {
    matrix.iter().map(|row| dot(row, v)).collect()
}

#[test]
fn product_equals_that_of_the_dense_matrix() {
    for which in 0..NETS.len() {
        for (examples, chunk, weight_decay) in [(17, 512, 0.0), (65, 64, 3e-2)] {
            let problem = problem(which, examples, weight_decay);
            let theta = problem.parameters(12);
            assert!(theta.len() <= 500);
            let matrix = dense(&problem, &theta);
            for gpu in gpus() {
                let mut on_device = OnDevice::with_chunks(&gpu, &problem, chunk);
                for seed in 0..3 {
                    let v = problem.direction(seed);
                    let (found, got) = on_device.product(&theta, &v);
                    let error = relative_error(&got, &times(&matrix, &v));
                    assert!(error <= 2e-6, "net {which}, {examples} examples: off by {error:e}");
                    assert!((found.loss - problem.loss(&theta)).abs() <= 5e-7 * found.loss, "net {which}: loss");
                }
            }
        }
    }
}

#[test]
fn product_is_symmetric_and_never_negative() {
    for (gpu, nets) in gpus_and_cases(NETS.len()) {
        for which in nets {
            let problem = problem(which, 97, 0.0);
            let theta = problem.parameters(13);
            let mut on_device = OnDevice::with_chunks(&gpu, &problem, 64);
            for seed in 0..4 {
                let (u, v) = (problem.direction(seed), problem.direction(seed + 100));
                let (gu, gv) = (on_device.product(&theta, &u).1, on_device.product(&theta, &v).1);
                let (one, other) = (dot(&u, &gv), dot(&v, &gu));
                assert!((one - other).abs() <= 1e-6 * norm(&u) * norm(&gv), "net {which}: {one} and {other}");
                assert!(dot(&u, &gu) > 0.0 && dot(&v, &gv) > 0.0, "net {which}");
            }
            // The same change of every logit changes no probability: the matrix does not see it.
            let mut v = vec![0.0; theta.len()];
            let last = problem.twin.ops.maps.iter().rposition(|op| op.parameters() > 0).unwrap();
            let before: usize = problem.twin.ops.maps[..last].iter().map(|op| op.parameters()).sum();
            let biases = before + problem.twin.ops.maps[last].parameters() - problem.twin.model.classes;
            v[biases..biases + problem.twin.model.classes].fill(1.0);
            let flat = on_device.product(&theta, &v).1;
            assert!(norm(&flat) <= 1e-6 * norm(&v), "net {which}: {:e}", norm(&flat));
        }
    }
}

/// A linear model has no second derivative of its own: Gauss-Newton matrix and Hessian are one,
/// (1/K) Σ (diag p − p pᵀ) ⊗ x̂ x̂ᵀ + λI with x̂ = (x, 1), written out here without the twin's layers.
#[test]
fn product_is_the_hessian_of_softmax_regression() {
    let problem = problem(3, 65, 1e-2);
    let (theta, v) = (problem.parameters(14), problem.direction(3));
    let (classes, inputs) = (problem.twin.model.classes, problem.twin.model.input.len());
    let x = &problem.activations(&theta)[0];
    let times = |theta: &[f64], x: &[f64]| -> Vec<f64> {
        (0..classes).map(|m| dot(&theta[m * inputs..(m + 1) * inputs], x) + theta[classes * inputs + m]).collect()
    };
    let mut want: Vec<f64> = v.iter().map(|v| problem.weight_decay * v).collect();
    for x in x.chunks_exact(inputs) {
        let (e, change): (Vec<f64>, _) = (times(&theta, x).iter().map(|z| z.exp()).collect(), times(&v, x));
        let p: Vec<f64> = e.iter().map(|one| one / e.iter().sum::<f64>()).collect();
        let mean = dot(&p, &change);
        for m in 0..classes {
            let curved = p[m] * (change[m] - mean) / problem.indices.len() as f64;
            x.iter().enumerate().for_each(|(i, x)| want[m * inputs + i] += curved * x);
            want[classes * inputs + m] += curved;
        }
    }
    for gpu in gpus() {
        let got = OnDevice::with_chunks(&gpu, &problem, 64).product(&theta, &v).1;
        let error = relative_error(&got, &want);
        assert!(error <= 1e-6, "off by {error:e}");
    }
}
