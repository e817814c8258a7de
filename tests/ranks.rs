//! A run on several ranks is the run on one: the same losses, and the same ranks give the same bits. The ranks are
//! threads here, each with a device of its own; `tools/ranks.sh` has processes under MPI.

#[path = "common/mod.rs"]
mod common;

use common::program::gpu_subset;
use gpu_subset::data::Dataset;
use gpu_subset::device::{AdapterChoice, Gpu};
use gpu_subset::error::{Error, FailureKind, RankError, Result};
use gpu_subset::exchange::Exchange;

use gpu_subset::optimise::{Method, Rule};
use gpu_subset::run::{ClassWeights, Config, Invitation, Run, RunBuilder, Schedule, Trained};
use gpu_subset::subset::{Plan, StageOptions, StepRecord, SubsetSize};
use gpu_subset::training::Team;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

/// Ranks that are threads of one process.
struct Threads {
    rank: usize,
    to: Vec<Mutex<Sender<Vec<u32>>>>,
    from: Vec<Mutex<Receiver<Vec<u32>>>>,
}

impl Threads {
    fn new(ranks: usize) -> Vec<Self> {
        let mut all: Vec<Self> = (0..ranks).map(|rank| Self { rank, to: Vec::new(), from: Vec::new() }).collect();
        for from in 0..ranks {
            for to in 0..ranks {
                let (sender, receiver) = channel();
                all[from].to.push(Mutex::new(sender));
                all[to].from.push(Mutex::new(receiver));
            }
        }
        all
    }
}

impl Exchange for Threads {
    fn rank(&self) -> usize {
        self.rank
    }

    fn ranks(&self) -> usize {
        self.to.len()
    }

    fn send(&self, to: usize, words: &[u32]) -> Result<()> {
        let gone = |_| RankError::Message { why: format!("rank {to} is gone") }.into();
        self.to[to].lock().unwrap().send(words.to_vec()).map_err(gone)
    }

    fn receive(&self, from: usize) -> Result<Vec<u32>> {
        let gone = |_| RankError::Message { why: format!("rank {from} is gone") }.into();
        self.from[from].lock().unwrap().recv().map_err(gone)
    }
}

/// What ranks other than 0 do.
fn serve(team: &Team, data: &Dataset) -> Result<()> {
    let Some(invitation) = Invitation::receive(team)? else { return Ok(()) };
    invitation.check(team)?;
    let gpu = Gpu::open(&AdapterChoice::default())?;
    let mut run = Run::on_team(&gpu, &invitation.config, data, team.clone())?;
    Invitation::ready(team, Ok(Vec::new()))?;
    run.serve()
}

/// A run on so many ranks, with the records of its steps.
fn train(config: &Config, data: &Dataset, ranks: usize) -> Result<(Trained, Vec<StepRecord>)> {
    let mut teams = Threads::new(ranks).into_iter().map(|exchange| Team::new(Arc::new(exchange)));
    let first = teams.next().unwrap();
    std::thread::scope(|scope| {
        let others: Vec<_> = teams.map(|team| scope.spawn(move || serve(&team, data))).collect();
        Invitation::send(&first, config)?;
        let gpu = Gpu::open(&AdapterChoice::default())?;
        let mut run = Run::on_team(&gpu, config, data, first.clone())?;
        Invitation::ready(&first, Ok(Vec::new()))?;
        let mut steps = Vec::new();
        let trained = run.train(&mut |step: &StepRecord| steps.push(step.clone()));
        first.end()?;
        others.into_iter().try_for_each(|other| other.join().unwrap())?;
        Ok((trained?, steps))
    })
}

/// One configuration each of what asks ranks for different things; with it, over how many iterations losses are the
/// same to 1e-5, as long as other last bits have not led elsewhere, and how many there are of those at least.
fn configurations(data: &Dataset) -> Vec<(&'static str, Config, [usize; 2])> {
    let passes = |passes: f64| StageOptions { full_passes: Some(passes), ..StageOptions::default() };
    let full = |method| Run::by(data, Schedule::Full(method)).stages(passes(14.0));
    let of = |run: RunBuilder<'_>| run.seed(3).config().unwrap();
    let mut sweep = of(Run::sweep(data).budget(2.0));
    let Plan::Stochastic { rule: Rule::Sweep(rule), .. } = &mut sweep.plan else { unreachable!("it is a sweep") };
    rule.batches.batch = 96; // three blocks
    let weights = ClassWeights::Given((1..=10).map(f64::from).collect());
    vec![
        ("lbfgs", of(full(Method::Lbfgs(Default::default()))), [10, 6]),
        ("kfac", of(full(Method::Kfac(Default::default()))), [10, 6]),
        (
            "paper",
            of(Run::by(data, Schedule::Paper(Method::Kfac(Default::default()))).subset(SubsetSize::Count(700))),
            [10, 6],
        ),
        ("weighted", of(full(Method::Lbfgs(Default::default())).class_weights(weights)), [10, 6]),
        ("normalised", of(full(Method::Kfac(Default::default())).model("digits-resnet-5k")), [2, 2]),
        ("sweep", sweep, [10, 5]),
    ]
}

#[test]
fn ranks_together_find_what_one_finds_and_the_same_bits_each_time() {
    let Some(_gpu) = common::gpu() else { return };
    let data = Dataset::digits().unwrap();
    for (name, config, [most, least]) in configurations(&data) {
        let (alone, steps) = train(&config, &data, 1).unwrap();
        for ranks in [2, 3] {
            let (shared, steps_of_ranks) = train(&config, &data, ranks).unwrap();
            let losses =
                steps.iter().zip(&steps_of_ranks).take(most).map(|(one, other)| [one, other].map(|s| s.outcome.loss));
            let differences: Vec<f64> = losses.map(|[one, other]| (one - other).abs() / one.abs()).collect();
            let are_the_same = differences.len() >= least && differences.iter().all(|&difference| difference < 1e-5);
            assert!(are_the_same, "{name} on {ranks} ranks: {differences:?}");
            if least > 0 {
                let [one, other] = [&steps, &steps_of_ranks].map(|steps| steps[0].accuracy.unwrap());
                assert!((one - other).abs() < 1e-6, "{name} on {ranks} ranks: accuracy {other} in place of {one}");
            }
            let (one, other) = (alone.record.test_accuracy, shared.record.test_accuracy);
            assert!((one - other).abs() < 0.03, "{name} on {ranks} ranks: {other} in place of {one}");
            if ranks == 3 {
                let again = train(&config, &data, ranks).unwrap().0;
                assert_eq!(again.record.weights_sha256, shared.record.weights_sha256, "{name}");
            }
        }
    }
}

#[test]
fn one_rank_of_a_team_has_the_bits_of_a_run_without() {
    let Some(gpu) = common::gpu() else { return };
    let data = Dataset::digits().unwrap();
    let config = Run::sweep(&data).budget(1.0).config().unwrap();
    let plain = Run::new(&gpu, &config, &data).unwrap().train(&mut ()).unwrap();
    let (of_team, _) = train(&config, &data, 1).unwrap();
    assert_eq!(of_team.record.weights_sha256, plain.record.weights_sha256);
}

#[test]
fn the_error_of_a_rank_ends_the_run_and_names_it() {
    let Some(_gpu) = common::gpu() else { return };
    let data = Dataset::digits().unwrap();
    let config = Run::sweep(&data).budget(1.0).config().unwrap();
    let mut teams = Threads::new(2).into_iter().map(|exchange| Team::new(Arc::new(exchange)));
    let (first, second) = (teams.next().unwrap(), teams.next().unwrap());
    let error = std::thread::scope(|scope| {
        scope.spawn(move || {
            Invitation::receive(&second).unwrap();
            Invitation::ready(&second, Err(Error::usage("no such thing"))).unwrap();
            assert!(Invitation::receive(&second).unwrap().is_none(), "it is over");
        });
        Invitation::send(&first, &config).unwrap();
        let error = Invitation::ready(&first, Ok(Vec::new())).unwrap_err();
        first.end().unwrap();
        error
    });
    assert!(matches!(error, Error::Rank(RankError::Failed { rank: 1, failure: FailureKind::Usage, .. })), "{error}");
    assert!(error.to_string().contains("no such thing"), "{error}");
}

#[test]
fn ranks_that_nothing_connects_are_refused_in_one_line() {
    let output = gpu_subset().args(["train"]).env("PMI_RANK", "0").env("PMI_SIZE", "3").output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    let said = if cfg!(feature = "mpi") { "3 ranks were started, but this one finds 1" } else { "built without MPI" };
    assert!(
        stderr.lines().filter(|line| line.starts_with("error: ")).count() == 1 && stderr.contains(said),
        "{stderr}"
    );
    let other = gpu_subset().args(["train"]).env("PMI_RANK", "1").env("PMI_SIZE", "3").output().unwrap();
    assert!(other.status.code() == Some(2) && other.stderr.is_empty(), "rank 0 says it: {other:?}");
}
