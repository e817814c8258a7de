//! The library as a Rust program uses it: the example trains what the program trains, and runs move between threads.

#[path = "common/mod.rs"]
mod common;
#[path = "../examples/train.rs"]
#[expect(dead_code, reason = "its main is the example's own")]
mod example;

use common::program::run;
use gpu_subset::data::Dataset;
use gpu_subset::error::{Error, Result};
use gpu_subset::kernels::augment::Augmentation;
use gpu_subset::optimise::{Method, Optimiser, Rule, Sweep};
use gpu_subset::run::{Config, Run, Schedule, Trained};
use gpu_subset::subset::{Observer, Plan, StageOptions, StagePlan, StepRecord, SubsetSize, Trainer};
use gpu_subset::training::SubsetProblem;
use gpu_subset::values::Values;

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

#[test]
fn what_does_not_go_together_is_refused_and_not_left_out() {
    let data = Dataset::digits().unwrap();
    let lbfgs = || Schedule::Full(Method::Lbfgs(Default::default()));
    let passes = StageOptions { full_passes: Some(2.0), ..StageOptions::default() };
    let half = SubsetSize::Fraction(1, 2);
    for (run, fragment) in [
        (Run::sweep(&data).subset(half), "neither a subset nor passes"),
        (Run::sweep(&data).stages(passes), "neither a subset nor passes"),
        (Run::by(&data, lbfgs()).budget(0.5), "no budget"),
        (Run::by(&data, lbfgs()).subset(half), "no subset"),
        (Run::by(&data, lbfgs()).held_out(SubsetSize::Fraction(1, 0)), "leaves none"),
        (
            Run::by(&data, Schedule::Paper(Method::Kfac(Default::default()))).subset(SubsetSize::Fraction(1, 0)),
            "0 examples",
        ),
    ] {
        let why = run.config().unwrap_err();
        assert!(matches!(why, Error::Usage(_)) && why.to_string().contains(fragment), "{why}");
    }
}

#[test]
fn a_configuration_that_does_not_fit_is_refused_by_what_is_wrong_with_it() {
    let Some(gpu) = common::gpu() else { return };
    let data = Dataset::digits().unwrap();
    let sweep = Run::sweep(&data).config().unwrap();
    let paper = Run::by(&data, Schedule::Paper(Method::Kfac(Default::default()))).config().unwrap();
    let staged = |change: fn(&mut Vec<StagePlan>)| {
        let mut config = paper.clone();
        let Plan::Stages { stages, .. } = &mut config.plan else { panic!("{config:?}") };
        change(stages);
        config
    };
    let with_rule =
        |rule: Rule| Config { plan: Plan::stochastic(rule, None, 1437, &StageOptions::default()), ..sweep.clone() };
    for (config, fragment) in [
        (Config { data_sha256: "0".to_owned(), ..sweep.clone() }, "not the data"),
        (Config { examples: 7, ..sweep.clone() }, "examples"),
        (Config { held_out: 1437, ..sweep.clone() }, "held_out"),
        (Config { checkpoint_every: -1.0, ..sweep.clone() }, "checkpoint_every"),
        (Config { weight_decay: f64::NAN, ..sweep.clone() }, "weight_decay"),
        (Config { class_weights: Some(vec![1.0; 9]), ..sweep.clone() }, "class_weights"),
        (Config { label_smoothing: 1.0, ..sweep.clone() }, "label_smoothing"),
        (with_rule(Rule::Sweep(Sweep { refresh_every: 0, ..Sweep::default() })), "refresh_every"),
        (with_rule(Rule::Sweep(Sweep { entropy: -0.5, ..Sweep::default() })), "entropy"),
        (staged(Vec::clear), "no stage"),
        (staged(|stages| stages[0].subset = Some(1438)), "more examples than the next"),
        (staged(|stages| stages[0].subset = Some(0)), "has no examples"),
        (staged(|stages| stages[0].passes = f64::NAN), "passes"),
    ] {
        let why = Run::new(&gpu, &config, &data).map(|_| ()).unwrap_err();
        assert!(why.to_string().contains(fragment), "{fragment}: {why}");
    }
    assert_eq!(sweep.open_data().unwrap().sha256, data.sha256);
}

#[test]
fn a_sweep_follows_from_what_its_data_are_like() {
    let digits = Dataset::digits().unwrap();
    let of = |data: &Dataset| {
        let config = Run::sweep(data).budget(2.0).config().unwrap();
        let Plan::Stochastic { rule: Rule::Sweep(sweep), .. } = config.plan else { panic!("{config:?}") };
        (sweep, config.weight_decay, config.augment)
    };
    let (sweep, decay, augment) = of(&digits);
    assert!(
        sweep.entropy > 0.9999 && (decay - 2e-3).abs() < 1e-6 && augment.is_none(),
        "{sweep:?} {decay} {augment:?}"
    );
    assert_eq!(sweep.divergence, Some(0.01), "a small budget");

    let mut uneven = digits.clone();
    uneven.train.labels[..1423].fill(0);
    uneven.train.labels[1423..].fill(1);
    let (sweep, decay, _) = of(&uneven);
    assert!((0.07..0.09).contains(&sweep.entropy), "{}", sweep.entropy);
    assert!((decay / sweep.entropy - 2e-3).abs() < 1e-12);
    let adam = Run::by(&uneven, Schedule::Stochastic(Rule::Adam(Default::default()))).config().unwrap();
    assert_eq!((adam.weight_decay, adam.augment), (1e-3, None));

    // a border as MNIST's
    let mut framed = digits.clone();
    let is_border = |i: usize| [0, 7].contains(&(i % 8)) || [0, 7].contains(&(i % 64 / 8));
    let Values::Bytes(pixels) = &mut framed.train.images else { panic!("the digits are bytes") };
    pixels.iter_mut().enumerate().filter(|(i, _)| is_border(*i)).for_each(|(_, pixel)| *pixel = 0);
    let shift = Augmentation { crop: 1, ..Augmentation::default() };
    assert_eq!(of(&framed).2, Some(shift));
    let without = Run::sweep(&framed).augment(Augmentation::default(), None).config().unwrap();
    assert_eq!((without.augment, without.copies), (None, None));
    assert!(Run::by(&framed, Schedule::Stochastic(Rule::Adam(Default::default()))).config().unwrap().augment.is_none());
}

#[test]
fn a_run_that_is_trained_again_comes_to_the_same_record() {
    let Some(gpu) = common::gpu() else { return };
    let data = Dataset::digits().unwrap();
    let mut run = Run::sweep(&data).budget(1.0).on(&gpu).unwrap();
    let [first, second] = [run.train(&mut ()).unwrap(), run.train(&mut ()).unwrap()].map(|trained| trained.record);
    assert_eq!(first.weights_sha256, second.weights_sha256);
    assert_eq!((first.cost_epochs, first.reporting_epochs), (second.cost_epochs, second.reporting_epochs));
}
