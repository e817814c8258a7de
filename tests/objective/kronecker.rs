//! Curvature along directions, and products with the inverse of Kronecker factors, against the twin.

use crate::common::gpus;
use crate::common::problem::Problem;
use crate::common::twin::{dot, relative_error};
use crate::{NETS, OnDevice, problem};
use gpu_subset::cost::Cost;
use gpu_subset::objective::{FactorWork, Kronecker};

/// A multiple of every profile's block, so that the factors' sample is all of them, each once.
const EXAMPLES: usize = 64;

/// G⁻¹ V A⁻¹ of every layer, the factors damped by λ.
fn divided(problem: &Problem, theta: &[f64], seed: u32, lambda: f64, v: &[f64]) -> Vec<f64> {
    let labels = problem.chosen_labels();
    let signs = (&problem.indices[..], seed);
    problem.reference(&labels).divided(theta, &problem.activations(theta), signs, lambda, v)
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
            let (model, examples) = (&problem.twin.model, EXAMPLES as u64);
            let work = FactorWork::of(model);
            // three looks, each λ's inverses, which a second product with it would not pay for again
            let parts = [work.look(EXAMPLES), work.inverses, work.product];
            let grains = parts.map(|work| (1000 * work).div_ceil(model.multiply_adds() as u64));
            let besides = 3 * grains.iter().sum::<u64>();
            let expected = Cost { forward: 3 * examples, besides, in_place: 6 * examples, ..Cost::default() };
            let vector = on_device.vector(&theta);
            assert_eq!(kronecker.cost(), expected);
            assert_eq!(kronecker.cost().network_units().count(), 3.0 * EXAMPLES as f64);
            kronecker.precondition(1e-3, &vector, &on_device.unwritten()).unwrap();
            assert_eq!(kronecker.cost().besides - besides, grains[2]);
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
