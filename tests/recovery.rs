//! A run whose device is lost, or has too little memory, goes on: to the same bits, or in smaller chunks.

mod common;

use common::rng;
use gpu_subset::data::Dataset;
use gpu_subset::device::{AdapterChoice, Gpu};
use gpu_subset::error::{Error, MemoryError, Result};
use gpu_subset::optimise::{Adam, Method, Muon, Rule, Sweep};
use gpu_subset::run::{Run, RunBuilder, RunFolder, Schedule, Trained};
use gpu_subset::subset::{Incident, Observer, Progress, ScreeningReport, StageReport, StepRecord, SubsetSize};
use rand::RngExt;
use std::thread;
use std::time::Instant;

/// Where a run meets what happens to its device.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    /// Before anything is uploaded.
    Start,
    Screening,
    /// After so many records.
    Step(usize),
    /// At the end of so many stages.
    Stage(usize),
}

/// What a run told.
#[derive(Default)]
struct Notes {
    steps: Vec<StepRecord>,
    stages: Vec<StageReport>,
    incidents: Vec<Incident>,
    /// Records of the stage that came after the state that the run goes on from.
    again: u64,
}

/// Takes notes, keeps a run folder as the program does, and does something to the device at one place.
struct Witness<'a> {
    at: Option<Place>,
    happen: &'a dyn Fn(),
    notes: Notes,
    folder: RunFolder,
}

impl Notes {
    /// The records, times aside.
    fn timeless(&self) -> (Vec<StepRecord>, &[StageReport]) {
        let steps = self.steps.iter().map(|step| StepRecord { wall_seconds: 0.0, ..step.clone() });
        (steps.collect(), &self.stages)
    }
}

impl Witness<'_> {
    fn meet(&self, place: Place) {
        if self.at == Some(place) {
            (self.happen)();
        }
    }
}

impl Observer for Witness<'_> {
    fn screening(&mut self, _: &ScreeningReport) -> Result<()> {
        self.meet(Place::Screening);
        Ok(())
    }

    fn step(&mut self, record: &StepRecord) -> Result<()> {
        self.folder.append(record)?;
        self.notes.steps.push(record.clone());
        self.meet(Place::Step(self.notes.steps.len()));
        Ok(())
    }

    fn stage(&mut self, report: &StageReport) -> Result<()> {
        self.notes.stages.push(report.clone());
        self.meet(Place::Stage(self.notes.stages.len()));
        Ok(())
    }

    fn wants_checkpoint(&mut self) -> bool {
        self.notes.steps.len().is_multiple_of(5)
    }

    fn checkpoint(&mut self, progress: &Progress<Vec<f32>>) -> Result<()> {
        self.folder.save_checkpoint(progress)?;
        let last = self.notes.steps.last().map_or(0, |step| step.iteration);
        if progress.scalars.stages.len() == self.notes.stages.len() {
            self.notes.again = last - progress.scalars.state.iteration;
        }
        Ok(())
    }

    fn incident(&mut self, incident: &Incident) -> Result<()> {
        self.notes.incidents.push(incident.clone());
        Ok(())
    }
}

/// A device of its own: others must not meet what happens to it.
fn open() -> Option<Gpu> {
    common::gpu().map(|_| Gpu::open(&AdapterChoice::default()).unwrap())
}

/// Trains on a device, to which something happens at a place.
fn train(run: &RunBuilder<'_>, at: Option<Place>, gpu: &Gpu, happen: &dyn Fn()) -> Result<(Trained, Notes)> {
    let (folder, config) = (tempfile::tempdir().unwrap(), run.config()?);
    let path = folder.path().join("run");
    let mut witness =
        Witness { at, happen, notes: Notes::default(), folder: RunFolder::create(&path, false, &config)? };
    witness.meet(Place::Start);
    let trained = run.clone().on(gpu)?.train(&mut witness)?;
    let Witness { notes, mut folder, .. } = witness;
    if let Some(state) = &trained.state {
        folder.save_state(state)?;
    }
    assert_eq!(folder.read_steps()?, notes.steps, "steps.jsonl has each record once");
    Ok((trained, notes))
}

/// Runs of several methods, each of some dozen records.
fn runs(data: &Dataset) -> Vec<(&'static str, RunBuilder<'_>)> {
    let some = |method| Run::by(data, Schedule::Paper(method)).subset(SubsetSize::Count(300));
    vec![
        ("sweep", Run::by(data, Schedule::Stochastic(Rule::Sweep(Sweep::default()))).budget(6.0)),
        ("kfac", some(Method::Kfac(Default::default()))),
        ("lbfgs", some(Method::Lbfgs(Default::default()))),
        ("adam", Run::by(data, Schedule::Stochastic(Rule::Adam(Adam::default()))).budget(6.0)),
        ("muon", Run::by(data, Schedule::Stochastic(Rule::Muon(Muon::default()))).model("cifar-43k").budget(6.0)),
    ]
}

#[test]
fn a_run_whose_device_is_lost_at_any_step_goes_on_to_the_same_bits() {
    let Some(gpu) = open() else { return };
    let (data, mut rng) = (Dataset::digits().unwrap(), rng(17));
    // tools/lost_device.sh asks for more
    let random = std::env::var("LOSSES").map_or(1, |count| count.parse().unwrap());
    for (name, run) in runs(&data) {
        let (whole, undisturbed) = train(&run, None, &gpu, &|| ()).unwrap();
        let steps = undisturbed.steps.len();
        let mut places = vec![Place::Start, Place::Stage(1), Place::Step(1), Place::Step(steps)];
        places.extend((0..random).map(|_| Place::Step(rng.random_range(1..=steps))));
        for place in places {
            let gpu = open().unwrap();
            let (trained, witness) = train(&run, Some(place), &gpu, &|| gpu.lose()).unwrap();
            let what = format!("{name}, lost at {place:?} of {steps}");
            assert!(matches!(&witness.incidents[..], [Incident::Lost { why }] if why.contains("lost")), "{what}");
            assert_eq!(trained.record.weights_sha256, whole.record.weights_sha256, "{what}");
            assert_eq!(trained.record.cost_epochs, whole.record.cost_epochs, "{what}");
            assert!(witness.timeless() == undisturbed.timeless(), "{what}: each record is told once, and the same");
            println!("{what}: {} records done again", witness.again);
        }
    }
}

#[test]
fn a_device_may_be_lost_at_any_moment() {
    let Some(gpu) = open() else { return };
    let (data, mut rng) = (Dataset::digits().unwrap(), rng(18));
    let (_, run) = runs(&data).swap_remove(0);
    let start = Instant::now();
    let (whole, undisturbed) = train(&run, None, &gpu, &|| ()).unwrap();
    let most = start.elapsed();
    for _ in 0..6 {
        let (gpu, wait) = (open().unwrap(), most.mul_f64(rng.random()));
        let lost = gpu.clone();
        let other = thread::spawn(move || {
            thread::sleep(wait);
            lost.lose();
        });
        let (trained, notes) = train(&run, None, &gpu, &|| ()).unwrap();
        other.join().unwrap();
        assert_eq!(trained.record.weights_sha256, whole.record.weights_sha256, "lost after {wait:?} of {most:?}");
        assert!(notes.timeless() == undisturbed.timeless() && notes.incidents.len() <= 1, "{:?}", notes.incidents);
        println!("sweep, lost after {wait:?} of {most:?}: {} records done again", notes.again);
    }
}

#[test]
fn a_device_may_be_lost_while_examples_are_screened() {
    let Some(gpu) = open() else { return };
    // enough examples for a linear model
    let mut data = Dataset::digits().unwrap();
    let images = data.train.images.bytes().unwrap().repeat(5);
    (data.train.images, data.train.labels) = (images.into(), data.train.labels.repeat(5));
    let run = Run::sweep(&data).budget(2.0);
    let (whole, undisturbed) = train(&run, None, &gpu, &|| ()).unwrap();
    let (trained, notes) = train(&run, Some(Place::Screening), &gpu, &|| gpu.lose()).unwrap();
    assert_eq!(trained.record.weights_sha256, whole.record.weights_sha256);
    assert_eq!(notes.incidents.len(), 1, "{:?}", notes.incidents);
    assert!(notes.timeless() == undisturbed.timeless());
}

#[test]
fn a_device_with_too_little_memory_gets_smaller_chunks() {
    let Some(gpu) = open() else { return };
    let data = Dataset::digits().unwrap();
    let run = Run::by(&data, Schedule::Paper(Method::Lbfgs(Default::default()))).subset(SubsetSize::Count(300));
    // an example's part of the largest array: eight channels of 8×8, and the logits
    let bytes = |examples: usize| 4 * (512 + 10) * examples as u64;
    let chunk = run.clone().on(&gpu).unwrap().trainer().workspace().chunk;
    let (trained, witness) = train(&run, Some(Place::Start), &gpu, &|| gpu.refuse_beyond(bytes(chunk / 2))).unwrap();
    let [Incident::Memory { chunk: chunks, .. }] = &witness.incidents[..] else { panic!("{:?}", witness.incidents) };
    assert_eq!(*chunks, [chunk, chunk / 2]);
    assert!(witness.incidents[0].to_string().contains("other bits"), "{}", witness.incidents[0]);
    assert!(trained.record.test_accuracy > 0.8, "{:?}", trained.record);

    // in the middle: the next stage needs memory
    gpu.refuse_beyond(u64::MAX);
    let tight = || gpu.refuse_beyond(4 * 1000);
    let error = train(&run, Some(Place::Step(3)), &gpu, &tight).map(|_| ()).unwrap_err();
    assert!(matches!(&error, Error::OutOfMemory(MemoryError::Allocation { limit: None, .. })), "{error}");
    gpu.refuse_beyond(u64::MAX);
    assert!(train(&run, None, &gpu, &|| ()).unwrap().1.incidents.is_empty());
}
