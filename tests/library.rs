//! The library as a Rust program uses it: the example trains what the program trains, and runs move between threads.

#[path = "common/mod.rs"]
mod common;
#[path = "../examples/train.rs"]
#[expect(dead_code, reason = "its main is the example's own")]
mod example;

use common::program::run;
use gpu_subset::data::Dataset;
use gpu_subset::error::{Error, Result};
use gpu_subset::optimise::{Method, Optimiser};
use gpu_subset::run::{Run, Schedule, Trained};
use gpu_subset::subset::{Observer, StepRecord, SubsetSize, Trainer};
use gpu_subset::training::SubsetProblem;

#[test]
fn the_example_trains_what_the_program_trains() {
    let Some(_gpu) = common::gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("example.safetensors");
    let trained = example::train("digits", 1.0, out.to_str().unwrap()).unwrap();
    let folder = folder.path().join("run");
    let output = run(&["train", "--budget", "1", "--json", "--out", folder.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let record: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(record["weights_sha256"], trained.record.weights_sha256);
    assert_eq!(record["test_accuracy"], trained.record.test_accuracy);
    let program = std::fs::read(folder.join("weights.safetensors")).unwrap();
    assert!(std::fs::read(out).unwrap() == program, "the files of weights differ");
}

#[test]
fn a_run_may_be_built_here_and_trained_on_another_thread() {
    fn is_send<T: Send>() {}
    is_send::<Run>();
    is_send::<Trainer>();
    is_send::<Trained>();
    is_send::<Box<dyn Optimiser<SubsetProblem>>>();
    let Some(gpu) = common::gpu() else { return };
    let data = Dataset::digits().unwrap();
    let mut run = Run::by(&data, Schedule::Paper(Method::Lbfgs(Default::default())))
        .subset(SubsetSize::Count(100))
        .on(&gpu)
        .unwrap();
    let trained = std::thread::scope(|scope| scope.spawn(move || run.train(&mut ())).join().unwrap()).unwrap();
    assert_eq!(trained.record.subset_examples, 100);
    assert!(trained.record.test_accuracy > 0.8, "{:?}", trained.record);
}

#[test]
fn an_observer_with_one_function_of_its_own_stops_a_run() {
    struct After(usize);
    impl Observer for After {
        fn step(&mut self, _: &StepRecord) -> Result<()> {
            self.0 -= 1;
            Ok(())
        }

        fn is_interrupted(&self) -> bool {
            self.0 == 0
        }
    }
    let Some(gpu) = common::gpu() else { return };
    let data = Dataset::digits().unwrap();
    let mut run = Run::by(&data, Schedule::Full(Method::Ncg(Default::default()))).on(&gpu).unwrap();
    let mut observer = After(3);
    let error = run.train(&mut observer).unwrap_err();
    assert!(matches!(error, Error::Interrupted { iteration: 3, .. }), "{error}");
    assert_eq!(observer.0, 0);
}
