//! The first layer's whitened start, against patches in f64.

use crate::common::gpus;
use crate::common::twin::Op;
use crate::{NETS, OnDevice, problem};
use gpu_subset::cost::Cost;
use gpu_subset::kernels::kronecker::reference::gram;
use gpu_subset::objective::Whitening;

/// A multiple of every profile's block, so that the sample is all of them, each once.
const EXAMPLES: usize = 64;

#[test]
fn outputs_of_the_first_layer_are_as_large_as_one_another_and_not_correlated() {
    for gpu in gpus() {
        for which in [0, 2, 3] {
            let problem = problem(which, EXAMPLES, 0.0);
            let on_device = OnDevice::with_chunks(&gpu, &problem, 128);
            let model = &problem.twin.model;
            let before = model.initialise(7);
            let whitening = Whitening::of(&on_device.objective).unwrap().expect("a first layer with weights");
            let cost = whitening.cost();
            assert_eq!(cost, Cost { besides: cost.besides, in_place: EXAMPLES as u64, ..Cost::default() });
            assert!(cost.besides > 0);
            let started = |seed| {
                let mut theta = before.clone();
                whitening.apply(&mut theta, seed).unwrap();
                theta
            };
            let theta = started(7);
            assert_eq!(theta, started(7));
            assert_ne!(theta, started(8));

            let Op::Affine(product) = &problem.twin.ops.maps[0] else { panic!("net {which} starts with weights") };
            let conv = product.patches().unwrap();
            let (outputs, inputs) = (conv.channels, conv.weights().patches());
            assert_eq!(theta[outputs * inputs..], before[outputs * inputs..], "nothing else changes");
            let x = &problem.activations(&problem.parameters(1))[0];
            let moments = gram(&conv, x, true);
            let (side, count) = (inputs + 1, moments[(inputs + 1) * (inputs + 1) - 1]);
            let mean = |i: usize| moments[i * side + inputs] / count;
            let covariance = |i: usize, j: usize| moments[i * side + j] / count - mean(i) * mean(j);
            let weight = |o: usize, i: usize| f64::from(theta[o * inputs + i]);
            for (a, b) in (0..outputs).flat_map(|a| (0..=a).map(move |b| (a, b))) {
                let terms = (0..inputs).flat_map(|i| (0..inputs).map(move |j| (i, j)));
                let of_outputs: f64 = terms.map(|(i, j)| weight(a, i) * covariance(i, j) * weight(b, j)).sum();
                let want = f64::from(u8::from(a == b));
                assert!((of_outputs - want).abs() < 0.1, "net {which}, outputs {a} and {b}: {of_outputs}");
            }
        }
    }
}

#[test]
fn a_first_layer_without_weights_starts_as_it_is() {
    for gpu in gpus() {
        let problem = problem(1, EXAMPLES, 0.0);
        let on_device = OnDevice::with_chunks(&gpu, &problem, 128);
        assert!(Whitening::of(&on_device.objective).unwrap().is_none(), "{}", NETS[1].2);
    }
}
