//! Curvature along directions, and products with the inverse of Kronecker factors, against the twin.

use crate::common::gpus;
use crate::common::problem::Problem;
use crate::common::twin::{dot, relative_error};
use crate::{NETS, OnDevice, problem};
use gpu_subset::batch::{Batch, Chosen, Draw, Looks};
use gpu_subset::cost::Cost;
use gpu_subset::objective::reference::Look;
use gpu_subset::objective::{FactorWork, Kronecker};

/// A multiple of every profile's block, so that the factors' sample is all of them, each once.
const EXAMPLES: usize = 64;

/// G⁻¹ V A⁻¹ of every layer, the factors damped by λ.
fn divided(problem: &Problem, theta: &[f64], (seed, looks): (u32, Looks), lambda: f64, v: &[f64]) -> Vec<f64> {
    let labels = problem.chosen_labels();
    let look = Look { indices: &problem.indices, seed, looks };
    problem.reference(&labels).divided(theta, &problem.activations(theta), look, lambda, v)
}

#[test]
fn a_product_with_the_inverse_agrees_with_the_twin() {
    for gpu in gpus() {
        let whole =
            [(0, 0), (0, 3), (1, 0), (1, 1), (2, 0), (2, 1), (3, 0), (4, 0), (5, 1), (6, 0), (6, 2), (9, 0), (9, 2)]
                .map(|(net, places)| (net, places, None));
        let others =
            [(0, 0), (0, 3), (1, 0), (1, 1), (2, 2), (3, 0), (9, 3)].map(|(net, places)| (net, places, Some(0)));
        let some = [(0, 2, Some(30)), (1, 3, Some(30)), (2, 0, Some(20))];
        let inputs = whole.into_iter().chain(others).chain(some).map(|(net, places, whole)| (net, places, whole, None));
        // G in blocks, the last of them shorter
        let blocks = [
            (0, 2, None, 3),
            (1, 0, Some(0), 2),
            (2, 0, Some(20), 5),
            (4, 1, None, 1),
            (6, 0, Some(30), 2),
            (9, 1, Some(9), 3),
        ];
        let blocks = blocks.map(|(net, places, inputs, outputs)| (net, places, inputs, Some(outputs)));
        for (which, positions, whole_inputs, whole_outputs) in inputs.chain(blocks) {
            let problem = problem(which, EXAMPLES, 0.0).minibatch();
            let theta = problem.parameters(41);
            let on_device = OnDevice::with_chunks(&gpu, &problem, 128);
            let looks = Looks { positions, whole_inputs, whole_outputs, ..Looks::USUAL.at(EXAMPLES) };
            let mut kronecker = Kronecker::new(&on_device.objective, looks).unwrap();
            for (seed, lambda) in [(0, 1.0), (7, 1e-2), (7, 1e-3)] {
                let v = problem.direction(u64::from(seed));
                kronecker.update(&on_device.vector(&theta), u64::from(seed), 0.0).unwrap();
                let out = on_device.unwritten();
                kronecker.precondition(lambda, &on_device.vector(&v), &out).unwrap();
                let want = divided(&problem, &theta, (seed, looks), lambda, &v);
                let error = relative_error(&on_device.compact(&out), &want);
                assert!(error <= 1e-4, "net {which}, {looks:?}, λ {lambda}: off by {error:e}");
            }
            let (model, examples) = (&problem.twin.model, EXAMPLES as u64);
            let work = FactorWork::of(model, looks);
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

/// Mini-batches that are no whole blocks of any device: padded examples count nothing.
#[test]
fn a_look_at_a_mini_batch_takes_the_examples_it_has() {
    for gpu in gpus() {
        let cases = [(0, 19, 2, None), (0, 83, 0, None), (1, 83, 3, None), (2, 19, 0, None), (9, 19, 2, None)];
        let others =
            [(0, 19, 2, Some(0)), (1, 83, 0, Some(0)), (2, 19, 0, Some(0)), (1, 19, 2, Some(30)), (6, 83, 2, None)];
        let whole =
            cases.into_iter().chain(others).map(|(net, batch, places, inputs)| (net, batch, places, inputs, None));
        let blocks = [
            (0, 19, 2, None, Some(3)),
            (1, 83, 0, Some(0), Some(2)),
            (6, 19, 2, None, Some(2)),
            (9, 83, 0, Some(0), None),
        ];
        for (which, batch, positions, whole_inputs, whole_outputs) in whole.chain(blocks) {
            let problem = problem(which, batch, 0.0).minibatch();
            let theta = problem.parameters(43);
            let on_device = OnDevice::with_chunks(&gpu, &problem, 128);
            let looks = Looks { first: 32, examples: 100, positions, whole_inputs, whole_outputs };
            let mut kronecker = Kronecker::new(&on_device.objective, looks).unwrap();
            let mut minibatches = on_device.minibatches(batch, Chosen::Own);
            let (at, v) = (on_device.vector(&theta), problem.direction(5));
            let all: Vec<u32> = (0..batch as u32).collect();
            let draw = Some(Draw { seed: 0, step: 0 });
            let of_all = Batch { positions: &all, weights: None, epoch: 0, draw };
            minibatches.gradient(&at, of_all, &on_device.unwritten()).unwrap();
            kronecker.update_at(&minibatches.activations().unwrap(), 9, 0.0).unwrap();
            let out = on_device.unwritten();
            kronecker.precondition(1e-2, &on_device.vector(&v), &out).unwrap();
            let want = divided(&problem, &theta, (9, looks), 1e-2, &v);
            let error = relative_error(&on_device.compact(&out), &want);
            assert!(error <= 1e-4, "net {which}, {batch} examples, {looks:?}: off by {error:e}");
            assert_eq!((kronecker.cost().forward, kronecker.cost().in_place), (0, 2 * batch as u64));
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
