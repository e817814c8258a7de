//! Loss, accuracy and gradient.

use crate::common::twin::{dot, moved, relative_error};
use crate::common::{assert_close, gpu, gpus, gpus_and_cases};
use crate::{NETS, OnDevice, problem, workspace};

/// Less than a block, a block with padding, one more than a whole number of blocks and chunks.
const EXAMPLES: [usize; 4] = [1, 17, 255, 257];

#[test]
fn loss_accuracy_and_gradient_agree_with_the_twin_in_any_chunks() {
    for (gpu, nets) in gpus_and_cases(NETS.len()) {
        for which in nets {
            for examples in EXAMPLES {
                let smoothing = if which % 3 == 1 { 0.15 } else { 0.0 };
                let problem = problem(which, examples, if which % 2 == 0 { 1e-2 } else { 0.0 }).smoothed(smoothing);
                let theta = problem.parameters(7);
                let (loss, cross_entropy) = (problem.loss(&theta), problem.cross_entropy(&theta));
                let (accuracy, gradient) = (problem.accuracy(&theta), problem.gradient(&theta));
                let mut first: Option<Vec<f64>> = None;
                for chunk in [64, 128, 512] {
                    let what = format!("net {which}, {examples} examples, chunks of {chunk}");
                    let mut on_device = OnDevice::with_chunks(&gpu, &problem, chunk);
                    let (found, got) = on_device.loss_and_gradient(&theta);
                    assert!((found.loss - loss).abs() <= 5e-7 * loss, "{what}: loss {} not {loss}", found.loss);
                    assert!((found.cross_entropy - cross_entropy).abs() <= 5e-7 * cross_entropy, "{what}");
                    assert_eq!(found.accuracy, accuracy, "{what}");
                    assert_eq!(found.not_finite, None, "{what}");
                    let error = relative_error(&got, &gradient);
                    assert!(error <= 1e-6, "{what}: gradient off by {error:e}");
                    assert_eq!(on_device.loss(&theta), found, "{what}: the forward pass alone");
                    let other = first.get_or_insert_with(|| got.clone());
                    assert!(relative_error(&got, other) <= 1e-6, "{what}: other chunks, other gradient");
                }
            }
        }
    }
}

#[test]
fn the_same_chunks_give_the_same_bits() {
    for (gpu, nets) in gpus_and_cases(NETS.len()) {
        for which in nets {
            let problem = problem(which, 257, 1e-3);
            let (theta, elsewhere) = (problem.parameters(8), problem.parameters(9));
            let (workspace, examples) = (workspace(&gpu, &problem, 64), problem.upload(&gpu));
            let mut on_device = OnDevice::new(&gpu, &problem, &workspace, &examples);
            let (gradient, product) =
                (on_device.loss_and_gradient(&theta), on_device.product(&theta, &problem.direction(1)));
            // What other parameters, passes and objectives leave in the shared workspace must not matter.
            let _ = on_device.tangent(&elsewhere, &theta);
            let mut another = OnDevice::new(&gpu, &problem, &workspace, &examples);
            let _ = another.product(&elsewhere, &theta);
            for run in [&mut on_device, &mut another] {
                assert_eq!(run.product(&theta, &problem.direction(1)), product, "net {which}");
                assert_eq!(run.loss_and_gradient(&theta), gradient, "net {which}");
            }
        }
    }
}

#[test]
fn lavapipe_rehearses_every_kernel() {
    for gpu in gpus() {
        let problem = problem(0, 33, 0.0);
        let mut on_device = OnDevice::with_chunks(&gpu, &problem, 64);
        on_device.product(&problem.parameters(11), &problem.direction(2));
        let rehearses = gpu.info.driver == "llvmpipe" && gpu.info.backend != wgpu::Backend::Gl;
        let expected = if rehearses { gpu.specialisations().len() } else { 0 };
        assert_eq!(gpu.rehearse_kernels().unwrap(), expected);
    }
}

#[test]
fn gradient_is_the_slope_of_the_twins_loss() {
    let Some(gpu) = gpu() else { return };
    for which in 0..NETS.len() {
        let problem = problem(which, 33, 1e-2);
        let theta = problem.parameters(10);
        let (_, gradient) = OnDevice::with_chunks(&gpu, &problem, 64).loss_and_gradient(&theta);
        for seed in 0..4 {
            let v = problem.direction(seed);
            let step = 1e-5; // central differences in f64: truncation 1e-10, cancellation 1e-11
            let along = |step: f64| problem.loss(&moved(&theta, step, &v));
            let slope = (along(step) - along(-step)) / (2.0 * step);
            let (got, scale) = (dot(&gradient, &v), dot(&gradient, &gradient).sqrt());
            assert!((got - slope).abs() <= 1e-6 * scale, "net {which}: slope {got}, not {slope}");
        }
    }
}

#[test]
fn logits_are_those_of_the_twin_example_by_example() {
    for (gpu, nets) in gpus_and_cases(NETS.len()) {
        for which in nets {
            for (examples, chunk) in [(17, 512), (257, 64)] {
                let problem = problem(which, examples, 1e-2);
                let theta = problem.parameters(12);
                let want = problem.activations(&theta).pop().unwrap();
                let mut on_device = OnDevice::with_chunks(&gpu, &problem, chunk);
                let _ = on_device.tangent(&theta, &theta); // the same memory, for something else
                let got = on_device.logits(&theta);
                assert_close(&format!("net {which}, {examples} examples"), &got, &want, 2e-6);
                assert_eq!(on_device.objective.cost().forward, 2 * examples as u64, "charged like any forward pass");
            }
        }
    }
}

#[test]
fn tangent_is_the_derivative_of_every_examples_logits() {
    for (gpu, nets) in gpus_and_cases(NETS.len()) {
        for which in nets {
            for (examples, chunk) in [(17, 512), (257, 64)] {
                let problem = problem(which, examples, 1e-2);
                let (theta, v) = (problem.parameters(11), problem.direction(2));
                let want = problem.twin.jvp(&theta, &problem.activations(&theta), &v);
                let mut on_device = OnDevice::with_chunks(&gpu, &problem, chunk);
                let got = on_device.tangent(&theta, &v);
                let worst = got.iter().zip(&want).fold(0f64, |worst, (g, w)| worst.max((g - w).abs()));
                let scale = want.iter().fold(0f64, |scale, w| scale.max(w.abs()));
                assert!(worst <= 2e-6 * scale, "net {which}, {examples} examples: {worst:e} of {scale:e}");
                // A second call answers anew, into the same memory.
                let opposite = on_device.tangent(&theta, &moved(&v, -2.0, &v));
                assert_eq!(opposite, got.iter().map(|t| -t).collect::<Vec<_>>(), "net {which}: linear in v");
            }
        }
    }
}
