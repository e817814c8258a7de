//! Values that are not finite, memory that does not suffice, and what it all costs.

use crate::common::problem::Problem;
use crate::common::twin::{Twin, moved};
use crate::common::{gpu, gpus};
use crate::{MIB, NETS, OnDevice, problem};
use gpu_subset::cost::Cost;
use gpu_subset::device::Gpu;
use gpu_subset::error::{Error, MemoryError};
use gpu_subset::model::{Description, Model};
use gpu_subset::objective::Workspace;
use gpu_subset::shape::Shape;
use std::sync::Arc;

/// θ with one word of a tensor replaced.
fn with(problem: &Problem, theta: &[f64], tensor: &str, value: f64) -> Vec<f64> {
    let model = &problem.twin.model;
    let tensor = model.tensors().into_iter().find(|t| t.name == tensor).unwrap();
    let mut vector = model.expand(theta);
    vector[tensor.range.start] = value;
    model.compact(&vector)
}

#[test]
fn a_parameter_that_is_not_finite_is_reported_where_it_first_shows() {
    for gpu in gpus() {
        let problem = problem(0, 97, 1e-3);
        let (theta, v) = (problem.parameters(15), problem.direction(1));
        let mut on_device = OnDevice::with_chunks(&gpu, &problem, 64);
        for (tensor, layer) in [("conv1.weight", "conv1"), ("conv3.bias", "conv3"), ("dense6.weight", "dense6")] {
            for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                let broken = with(&problem, &theta, tensor, value);
                let expected = Some(format!("the output of {layer}"));
                let pass = [on_device.loss(&broken), on_device.product(&broken, &v).0];
                for found in pass.into_iter().chain([evaluate_gradient(&mut on_device, &broken)]) {
                    assert!(found.loss.is_nan(), "{tensor} = {value}: loss {}", found.loss);
                    assert_eq!(found.not_finite, expected, "{tensor} = {value}");
                }
            }
        }
        // The marks of a failed pass are gone in the next.
        let (found, _) = on_device.loss_and_gradient(&theta);
        assert!(found.loss.is_finite() && found.not_finite.is_none());
    }
}

/// The evaluation of a gradient that may hold anything, gaps included.
fn evaluate_gradient(on_device: &mut OnDevice, theta: &[f64]) -> gpu_subset::objective::Evaluation {
    let (theta, gradient) = (on_device.vector(theta), on_device.unwritten());
    on_device.objective.loss_and_gradient(&theta, &gradient).unwrap()
}

#[test]
fn an_overflow_that_a_relu_hides_is_reported() {
    for gpu in gpus() {
        let (input, classes, layers) = NETS[2];
        let mut problem = Problem::new(Twin::new(input, classes, layers), 33, 0.0, 5);
        // every feature is positive, so every product of the row is very negative
        problem.statistics = vec![(-10.0, 50.0)];
        let model = problem.twin.model.clone();
        let mut vector = model.expand(&problem.parameters(16));
        vector[..input.len()].fill(-3e38); // the weights of the first hidden unit
        let found = OnDevice::with_chunks(&gpu, &problem, 64).loss(&model.compact(&vector));
        assert!(found.cross_entropy.is_finite(), "the ReLU hides -inf: {}", found.cross_entropy);
        assert!(found.loss.is_nan());
        assert_eq!(found.not_finite.as_deref(), Some("the output of dense1"));
    }
}

#[test]
fn an_overflow_of_the_derivatives_alone_is_reported() {
    for gpu in gpus() {
        // Softmax regression on features of 1e25: logits of moderate size, Jv beyond f32.
        let mut problem = problem(3, 33, 0.0);
        problem.statistics = vec![(120.0, 1e-25)];
        let theta: Vec<f64> = problem.parameters(17).iter().map(|p| p * 1e-27).collect();
        let v = vec![1e14; theta.len()];
        let mut on_device = OnDevice::with_chunks(&gpu, &problem, 64);
        assert_eq!(on_device.loss(&theta).not_finite, None);
        assert_eq!(evaluate_gradient(&mut on_device, &theta).not_finite, None);
        let (theta_buf, v_buf, product) = (on_device.vector(&theta), on_device.vector(&v), on_device.unwritten());
        let found = on_device.objective.gauss_newton_product(&theta_buf, &v_buf, &product).unwrap();
        assert_eq!(found.not_finite.as_deref(), Some("the Gauss-Newton product"));
        assert!(found.loss.is_nan());

        // A gradient of 1e40: hidden units of size 1, behind weights of 1e-24 and features of 1e25, before weights of
        // 1e15.
        let (input, classes, layers) = NETS[2];
        let mut problem = Problem::new(Twin::new(input, classes, layers), 33, 0.0, 6);
        problem.statistics = vec![(120.0, 1e-25)];
        let model = problem.twin.model.clone();
        let mut theta = problem.parameters(18);
        let (first, second) = theta.split_at_mut(model.ranges()[0].clone().unwrap().len());
        first.iter_mut().for_each(|p| *p *= 1e-26);
        second.iter_mut().for_each(|p| *p *= 1e15);
        let mut on_device = OnDevice::with_chunks(&gpu, &problem, 64);
        let found = on_device.loss(&theta);
        assert!(found.loss.is_finite() && found.not_finite.is_none(), "{found:?}");
        let found = evaluate_gradient(&mut on_device, &theta);
        assert!(found.loss.is_nan() && found.not_finite.as_deref() == Some("the gradient"), "{found:?}");
    }
}

#[test]
fn a_sum_that_overflows_is_reported_only_where_it_counts() {
    for gpu in gpus() {
        let mut problem = problem(3, 33, 0.0);
        // Biases of 1e20 drown the products, so all logits are equal and the loss is ln 3; ‖θ‖² is beyond f32.
        let mut theta = problem.parameters(21);
        let biases = theta.len() - 3..;
        theta[biases].fill(1e20);
        let found = OnDevice::with_chunks(&gpu, &problem, 64).loss(&theta);
        assert!(found.loss == found.cross_entropy && found.not_finite.is_none(), "no weight decay: {found:?}");
        problem.weight_decay = 1e-3;
        let found = OnDevice::with_chunks(&gpu, &problem, 64).loss(&theta);
        assert!(found.loss.is_nan() && found.not_finite.as_deref() == Some("the loss"), "{found:?}");

        // Logits of ±3e38 are finite; their difference is not.
        problem.weight_decay = 0.0;
        let (first, last) = (theta.len() - 3, theta.len() - 1);
        (theta[first], theta[last]) = (3e38, -3e38);
        let found = OnDevice::with_chunks(&gpu, &problem, 64).loss(&theta);
        assert!(found.loss.is_nan() && found.not_finite.as_deref() == Some("the loss"), "{found:?}");
    }
}

#[test]
fn every_pass_is_charged() {
    let Some(gpu) = gpu() else { return };
    let problem = problem(2, 33, 1e-3);
    let (theta, v) = (problem.parameters(19), problem.direction(4));
    let mut on_device = OnDevice::with_chunks(&gpu, &problem, 64);
    let mut charged = Cost::default();
    assert_eq!(on_device.objective.cost(), charged);
    type Call = fn(&mut OnDevice, &[f64], &[f64]);
    // (forward, backward, tangent) passes of each call; units: 1/3, 2/3, 2/3; multiply-adds a parameter: ‖θ‖², and the
    // penalty's part of what is derived
    let calls: [(Call, Cost, f64, u64); 4] = [
        (|on, theta, _| drop(on.loss(theta)), cost(1, 0, 0), 1.0 / 3.0, 1),
        (|on, theta, _| drop(on.loss_and_gradient(theta)), cost(1, 1, 0), 1.0, 3),
        (|on, theta, v| drop(on.product(theta, v)), cost(1, 1, 1), 5.0 / 3.0, 3),
        (|on, theta, v| drop(on.tangent(theta, v)), cost(1, 0, 1), 1.0, 1),
    ];
    let model = &problem.twin.model;
    for _ in 0..2 {
        for (call, passes, units, of_vectors) in calls {
            let before = on_device.objective.cost();
            call(&mut on_device, &theta, &v);
            let examples = 33; // padding costs nothing
            charged += cost(passes.forward * examples, passes.backward * examples, passes.tangent * examples);
            charged.besides += (1000 * of_vectors * model.parameters() as u64).div_ceil(model.multiply_adds() as u64);
            assert_eq!(on_device.objective.cost(), charged);
            let spent = (charged - before).network_units().count();
            assert!((spent - units * examples as f64).abs() < 1e-9, "{spent} units");
        }
    }
}

fn cost(forward: u64, backward: u64, tangent: u64) -> Cost {
    Cost { forward, backward, tangent, ..Cost::default() }
}

/// Why a workspace of so much memory is refused.
fn refusal(gpu: &Gpu, model: &Arc<Model>, memory: u64) -> MemoryError {
    match Workspace::new(gpu, model.clone(), memory) {
        Err(Error::OutOfMemory(cause)) => cause,
        other => panic!("{memory} bytes: {other:?}"),
    }
}

#[test]
fn memory_that_does_not_suffice_is_an_error_that_says_how_much_is_needed() {
    let Some(gpu) = gpu() else { return };
    let model = problem(0, 1, 0.0).twin.model;
    for memory in [0, 1000, 40_000] {
        let cause = refusal(&gpu, &model, memory);
        let MemoryError::Chunk { examples: 64, bytes, budget, .. } = &cause else { panic!("{cause:?}") };
        assert!(*budget == memory && *bytes > 0 && cause.to_string().contains("64 examples"), "{cause}");
    }
    assert!(Workspace::new(&gpu, model, MIB).is_ok());

    // 2^32 weights: 16 GiB are more than one binding of 32-bit offsets can ever hold
    let description = Description::parse(r#"layer = [{ kind = "dense", units = 65536 }, { kind = "dense" }]"#, "large");
    let large = Arc::new(Model::new(&description.unwrap(), Shape::new(1, 256, 256), 2).unwrap());
    let cause = refusal(&gpu, &large, u64::MAX);
    let MemoryError::Parameters { model, parameters, limit, .. } = &cause else { panic!("{cause:?}") };
    assert_eq!((model.as_str(), *parameters), ("large", large.parameters()));
    assert!(*limit < 4 * *parameters as u64 && cause.to_string().contains("parameters are more than"), "{cause}");
}

#[test]
fn a_direction_that_is_not_finite_is_reported() {
    let Some(gpu) = gpu() else { return };
    let problem = problem(0, 17, 0.0);
    let (theta, v) = (problem.parameters(20), problem.direction(5));
    let mut on_device = OnDevice::with_chunks(&gpu, &problem, 64);
    let broken = moved(&v, f64::INFINITY, &v);
    let (theta, broken, product) = (on_device.vector(&theta), on_device.vector(&broken), on_device.unwritten());
    let found = on_device.objective.gauss_newton_product(&theta, &broken, &product).unwrap();
    assert_eq!(found.not_finite.as_deref(), Some("the Gauss-Newton product"));
}
