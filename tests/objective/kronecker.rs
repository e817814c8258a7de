//! Curvature along directions, and products with the inverse of Kronecker factors, against the twin.

use crate::common::gpus;
use crate::common::problem::Problem;
use crate::common::twin::{Op, dot, relative_error};
use crate::{NETS, OnDevice, problem};
use gpu_subset::kernels::blocks::reference as blocks;
use gpu_subset::kernels::conv2d::Conv2d;
use gpu_subset::kernels::kronecker::reference as factors;
use gpu_subset::kernels::softmax_xent::reference as xent;
use gpu_subset::objective::Kronecker;

/// A multiple of every profile's block, so that the factors' sample is all of them, each once.
const EXAMPLES: usize = 64;

/// G⁻¹ V A⁻¹ of every layer, the factors damped by λ.
fn divided(problem: &Problem, theta: &[f64], seed: u32, lambda: f64, v: &[f64]) -> Vec<f64> {
    let (twin, x) = (&problem.twin, problem.activations(theta));
    let logits = x[x.len() - 1].chunks_exact(twin.model.classes);
    let mut dy: Vec<f64> = logits.zip(&problem.indices).flat_map(|(z, &index)| xent::root(z, index, seed)).collect();
    let mut parts = Vec::new();
    for (((op, theta), v), x) in twin.ops.iter().zip(twin.split(theta)).zip(twin.split(v)).zip(&x).rev() {
        if let Op::Affine(conv) = op {
            let out = conv.output().unwrap();
            let pixels = Conv2d { input: out, channels: 1, size: 1, stride: 1, padding: 0 };
            let mean = |sum: Vec<f64>, count: usize| sum.into_iter().map(|s| s / count as f64).collect::<Vec<_>>();
            let a = mean(factors::gram(conv, x, true), EXAMPLES);
            let g = mean(factors::gram(&pixels, &dy, false), EXAMPLES * out.pixels());
            let [delta_a, delta_g] = factors::damping(&a, &g, lambda);
            let inverse = |mut s: Vec<f64>, delta: f64| {
                let side = s.len().isqrt();
                (0..side).for_each(|i| s[i * side + i] += delta);
                blocks::inverse(&s)
            };
            // weights and then biases, as a matrix with the biases as its last column
            let (outputs, patches) = (conv.channels, conv.weights().patches());
            let at = |o: usize, r: usize| if r == patches { outputs * patches + o } else { o * patches + r };
            let entries = || (0..outputs).flat_map(|o| (0..=patches).map(move |r| at(o, r)));
            let matrix: Vec<f64> = entries().map(|i| v[i]).collect();
            let product = blocks::between(&inverse(g, delta_g), &matrix, &inverse(a, delta_a));
            let mut part = vec![0.0; v.len()];
            entries().zip(product).for_each(|(i, value)| part[i] = value);
            parts.push(part);
        }
        dy = op.vjp(x, theta, &dy).0;
    }
    parts.into_iter().rev().flatten().collect()
}

#[test]
fn a_product_with_the_inverse_agrees_with_the_twin() {
    for which in 0..NETS.len() {
        let problem = problem(which, EXAMPLES, 0.0);
        let theta = problem.parameters(41);
        for gpu in gpus() {
            let on_device = OnDevice::with_chunks(&gpu, &problem, 128);
            let mut kronecker = Kronecker::new(&on_device.objective, EXAMPLES).unwrap();
            for (seed, lambda) in [(0, 1.0), (7, 1e-2), (7, 1e-3)] {
                let v = problem.direction(u64::from(seed));
                kronecker.update(&on_device.vector(&theta), u64::from(seed), 0.0).unwrap();
                let out = on_device.unwritten();
                kronecker.precondition(lambda, &on_device.vector(&v), &out).unwrap();
                let error = relative_error(&on_device.compact(&out), &divided(&problem, &theta, seed, lambda, &v));
                assert!(error <= 1e-4, "net {which}, λ {lambda}: off by {error:e}");
            }
            assert_eq!(kronecker.cost().units().count(), 3.0 * EXAMPLES as f64);
        }
    }
}

#[test]
fn curvature_is_that_of_the_products() {
    for which in 0..NETS.len() {
        let problem = problem(which, 97, 0.0);
        let theta = problem.parameters(42);
        for gpu in gpus() {
            let mut on_device = OnDevice::with_chunks(&gpu, &problem, 64);
            let (u, v) = (problem.direction(1), problem.direction(2));
            let (gu, gv) = (on_device.product(&theta, &u).1, on_device.product(&theta, &v).1);
            let (theta, u_buf, v_buf) = (on_device.vector(&theta), on_device.vector(&u), on_device.vector(&v));
            let got = on_device.objective.curvature(&theta, [&u_buf, &v_buf]).unwrap();
            let want = [dot(&u, &gu), dot(&u, &gv), dot(&v, &gv)];
            let scale = (want[0] * want[2]).sqrt();
            for (got, want) in got.into_iter().zip(want) {
                assert!((got - want).abs() <= 1e-6 * scale, "net {which}: {got} and {want}");
            }
        }
    }
}
