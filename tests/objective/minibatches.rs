//! What a mini-batch leaves behind, and for how long.

use crate::common::gpus;
use crate::common::twin::relative_error;
use crate::{OnDevice, problem};
use gpu_subset::batch::{Batch, Chosen, Looks};
use gpu_subset::objective::Kronecker;
use std::sync::Arc;

#[test]
fn activations_are_those_of_the_last_mini_batch_until_another_pass_overwrites_them() {
    const EXAMPLES: usize = 128;
    let positions: Vec<u32> = (0..EXAMPLES as u32).collect();
    for gpu in gpus() {
        let problem = problem(0, EXAMPLES, 1e-2);
        let mut on_device = OnDevice::with_chunks(&gpu, &problem, EXAMPLES);
        let (theta, gradient) = (on_device.vector(&problem.parameters(81)), on_device.unwritten());
        let mut minibatches = on_device.minibatches(EXAMPLES, Chosen::All);
        let mut kronecker = Kronecker::new(&on_device.objective, Looks::USUAL.at(EXAMPLES)).unwrap();
        assert!(minibatches.activations().is_none(), "no mini-batch ran");
        let batch = Batch { positions: &positions, weights: None, epoch: 0, draw: None };
        minibatches.gradient(&theta, batch, &gradient).unwrap();
        let activations = minibatches.activations().expect("nothing ran since");
        kronecker.update_at(&activations, 1, 0.0).unwrap();
        assert!(minibatches.activations().is_some(), "a backward pass leaves them alone");

        on_device.objective.loss(&theta).unwrap();
        assert!(minibatches.activations().is_none(), "an evaluation overwrote them");
        minibatches.gradient(&theta, batch, &gradient).unwrap();
        assert!(minibatches.activations().is_some());
        kronecker.update(&theta, 1, 0.0).unwrap();
        assert!(minibatches.activations().is_none(), "so does a refresh from the sample");
    }
}

/// A weight of an example is the same in the loss over all as in a mini-batch.
#[test]
fn examples_count_as_much_in_all_losses() {
    for gpu in gpus() {
        for which in [0, 6] {
            let problem = problem(which, 49, 1e-2).minibatch();
            let theta = problem.parameters(17);
            let plain = OnDevice::with_chunks(&gpu, &problem, 64);
            let mut weighted = OnDevice::with_chunks(&gpu, &problem, 64);
            let all = weighted.objective.examples().len();
            let of_data: Arc<[f64]> = (0..all).map(|i| 0.5 + (i % 5) as f64).collect();
            weighted.objective = weighted.objective.weighted(Some(&of_data)).unwrap();
            let of_examples: Vec<f32> = problem.indices.iter().map(|&i| of_data[i as usize % all] as f32).collect();
            let positions: Vec<u32> = (0..49).collect();
            let gradient = |of: &OnDevice<'_>, weights: Option<&[f32]>| {
                let (theta, gradient) = (of.vector(&theta), of.unwritten());
                let mut minibatches = of.minibatches(49, Chosen::All);
                let batch = Batch { positions: &positions, weights, epoch: 0, draw: None };
                minibatches.gradient(&theta, batch, &gradient).unwrap();
                (minibatches.take_evaluation().unwrap(), of.compact(&gradient))
            };
            let (of_weights, want) = gradient(&plain, Some(&of_examples));
            let (of_data, got) = gradient(&weighted, None);
            assert!(relative_error(&got, &want) <= 1e-6, "net {which}");
            assert!((of_data.loss - of_weights.loss).abs() <= 1e-6 * of_weights.loss, "net {which}");
            assert!((of_data.accuracy - of_weights.accuracy).abs() <= 1e-6, "net {which}");
            let (of_all, got) = weighted.loss_and_gradient(&theta);
            assert!(relative_error(&got, &want) <= 1e-6, "net {which}: all examples");
            assert!((of_all.accuracy - of_weights.accuracy).abs() <= 1e-6, "net {which}: {of_all:?}");
        }
    }
}
