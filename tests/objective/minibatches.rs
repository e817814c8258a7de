//! What a mini-batch leaves behind, and for how long.

use crate::common::gpus;
use crate::{OnDevice, problem};
use gpu_subset::batch::{Batch, Looks};
use gpu_subset::objective::Kronecker;

#[test]
fn activations_are_those_of_the_last_mini_batch_until_another_pass_overwrites_them() {
    const EXAMPLES: usize = 128;
    let positions: Vec<u32> = (0..EXAMPLES as u32).collect();
    for gpu in gpus() {
        let problem = problem(0, EXAMPLES, 1e-2);
        let mut on_device = OnDevice::with_chunks(&gpu, &problem, EXAMPLES);
        let (theta, gradient) = (on_device.vector(&problem.parameters(81)), on_device.unwritten());
        let mut minibatches = on_device.minibatches(EXAMPLES, false);
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
