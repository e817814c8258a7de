//! The loss over copies of examples, and which copies mini-batches take.

use crate::common::gpus_and_cases;
use crate::common::twin::relative_error;
use crate::selection::{SEED, expected};
use crate::{NETS, OnDevice, problem};
use gpu_subset::batch::{Batch, Chosen, Draw};
use gpu_subset::kernels::augment::Augmentation;

const BY: Augmentation =
    Augmentation { crop: 2, flip: true, rotate: 20.0, scale: 0.2, brightness: 0.3, contrast: 0.3, cutout: 2 };
const COPIES: u64 = 77;

#[test]
fn the_gradient_over_copies_is_that_of_the_images_changed() {
    for (gpu, nets) in gpus_and_cases(NETS.len()) {
        for which in nets {
            for (examples, chunk) in [(17, 64), (257, 128)] {
                let problem = problem(which, examples, 1e-2).copies(BY, COPIES, 3);
                let theta = problem.parameters(71);
                let mut on_device = OnDevice::with_chunks(&gpu, &problem, chunk);
                let (at, gradient) = (on_device.vector(&theta), on_device.unwritten());
                let evaluation = on_device.objective.loss_and_gradient(&at, &gradient).unwrap();
                assert!((evaluation.loss - problem.loss(&theta)).abs() <= 1e-5 * problem.loss(&theta), "net {which}");
                let error = relative_error(&on_device.compact(&gradient), &problem.gradient(&theta));
                assert!(error <= 1e-5, "net {which}, {examples} examples: off by {error:e}");
            }
        }
    }
}

#[test]
fn each_epoch_takes_the_next_copies_all_of_them_or_those_kept() {
    const EXAMPLES: usize = 100;
    let positions: Vec<u32> = (0..EXAMPLES as u32).collect();
    for (gpu, nets) in gpus_and_cases(NETS.len()) {
        for which in nets {
            let first = problem(which, EXAMPLES, 1e-2).minibatch().copies(BY, COPIES, 1);
            let theta = first.parameters(72);
            let on_device = OnDevice::with_chunks(&gpu, &first, 128);
            let mut minibatches = [Chosen::All, Chosen::Own].map(|choice| on_device.minibatches(EXAMPLES, choice));
            let (at, gradient) = (on_device.vector(&theta), on_device.unwritten());
            let mut get = |epoch, draw| {
                let batch = Batch { positions: &positions, weights: None, epoch, draw };
                let minibatches = &mut minibatches[usize::from(batch.draw.is_some())];
                minibatches.gradient(&at, batch, &gradient).unwrap();
                minibatches.take_evaluation().unwrap();
                on_device.compact(&gradient)
            };
            let mut compared = 0;
            for epoch in 0..5 {
                let of_epoch = problem(which, EXAMPLES, 1e-2).minibatch().copies(BY, COPIES, epoch as u32 + 1);
                let error = relative_error(&get(epoch, None), &of_epoch.gradient(&theta));
                assert!(error <= 1e-5, "net {which}, epoch {epoch}: off by {error:e}");
                let Some((want, _)) = expected(&of_epoch, &theta, epoch as u32, None) else { continue };
                let error = relative_error(&get(epoch, Some(Draw { seed: SEED, step: epoch })), &want);
                assert!(error <= 1e-5, "net {which}, epoch {epoch}, those kept: off by {error:e}");
                compared += 1;
            }
            assert!(compared > 0, "net {which}: every draw was near a threshold");
        }
    }
}
