//! `gpu-subset doctor`: a network on a device, kernel by kernel and as a whole, against f64.

mod common;

use common::gpus;
use common::program::{refused, run};
use gpu_subset::bench::{Check, doctor};
use gpu_subset::device::{AdapterChoice, Gpu};
use gpu_subset::error::{DeviceError, Error};
use gpu_subset::model::{Description, Model};
use gpu_subset::shape::Shape;
use serde_json::Value;
use std::sync::Arc;

/// Every kind of layer, one of them an activation that no product takes over.
const LAYERS: &str = r#"layer = [
    { kind = "max-pool", size = 2, stride = 1 },
    { kind = "conv", channels = 3, size = 3, stride = 2, padding = 1, activation = "tanh" },
    { kind = "avg-pool", size = 2, stride = 1, name = "a" },
    { kind = "batch-norm", activation = "relu" },
    { kind = "add", from = "a" },
    { kind = "dense", activation = "softplus" },
]"#;

fn model() -> Arc<Model> {
    Arc::new(Model::new(&Description::parse(LAYERS, "net.toml").unwrap(), Shape::new(2, 9, 8), 4).unwrap())
}

#[test]
fn every_kernel_and_the_whole_network_are_right_under_every_profile() {
    for gpu in gpus() {
        gpu.time_submissions();
        let mut checks = Vec::new();
        doctor(&gpu, &model(), &mut checks, |_| ()).unwrap();
        let failed: Vec<_> = checks.iter().filter(|check| !check.is_ok()).collect();
        assert!(failed.is_empty(), "{failed:?}");
        // three of each of two pools and of the last activation, three and four of the products, four of the
        // normalisation, three of the sum; the loss, the whole; and factors from all places, from a few, and without a
        // matrix of the inputs
        assert_eq!(checks.len(), 9 + 7 + 4 + 3 + 3 + 3 + 3, "{checks:?}");
        assert!(gpu.submission_times().unwrap().count > checks.len());
    }
}

#[test]
fn a_check_that_fails_is_an_error_of_the_device_that_names_it() {
    let Some(gpu) = common::gpu() else { return };
    // what a wrong kernel would look like: right but for one value
    let mut checks = Vec::new();
    doctor(&gpu, &model(), &mut checks, |_| ()).unwrap();
    for check in checks {
        let wrong = Check { error: check.tolerance * 1.01, ..check.clone() }.result("adapter").unwrap_err();
        assert!(matches!(&wrong, Error::Device(DeviceError::Wrong { what, .. }) if *what == check.what), "{wrong}");
        let unsteady = Check { same_bits: false, ..check }.result("adapter").unwrap_err();
        assert!(matches!(unsteady, Error::Device(DeviceError::Unsteady { .. })), "{unsteady}");
    }
}

#[test]
fn a_lost_device_is_reported() {
    if common::gpu().is_none() {
        return;
    }
    let gpu = Gpu::open(&AdapterChoice::default()).unwrap();
    gpu.lose();
    assert!(doctor(&gpu, &model(), &mut Vec::new(), |_| ()).is_err());
}

#[test]
fn the_program_prints_what_a_bug_report_needs() {
    let Some(gpu) = common::gpu() else { return };
    let output = run(&["doctor", "--model", "digits-1k"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let driver = gpu.driver();
    let named =
        ["gpu-subset 0.", std::env::consts::OS, &gpu.info.name, &driver, "binding / buffer", "digits-1k on 1×8×8"];
    let rows = ["conv1 forward", "avg_pool2 grad_input", "dense3 grad_weight", "gradient", "Gauss-Newton", "longest"];
    for what in named.into_iter().chain(rows) {
        assert!(text.contains(what), "{what} is not in:\n{text}");
    }

    let output = run(&["doctor", "--data", "digits", "--json"]);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&found["is_ok"], &found["model"]), (&Value::from(true), &Value::from("digits-1k")), "{found}");
    assert!(found["checks"].as_array().unwrap().len() > 10 && found["submissions"]["longest"].is_number(), "{found}");
    refused(&["doctor", "--model", "resnet"], 2, &["resnet", "--model"]);
    refused(&["doctor", "--adapter", "none of that name"], 4, &["none of that name"]);
}
