//! A run of a plan: stages, validations, checkpoints, stopping.

use super::kept::LastState;
use super::observer::Observer;
use super::plan::{Plan, StagePlan};
use super::preparation::Preparation;
use super::progress::{Progress, ProgressScalars, ProgressVectors};
use super::record::{HeldOut, StageKind};
use super::running::Running;
use super::sampling::Subset;
use super::sets::{Finished, StartOptions, TrainingSets};
use super::stopping::{StopRules, reason_to_stop};
use crate::cost::{Cost, Units};
use crate::device::{Buf, Gpu, Interrupt};
use crate::error::{Error, FailureKind, Result, UsageError};
use crate::objective::{Evaluation, Workspace};
use crate::optimise::{Optimiser, Problem, Space, State, Stop};
use crate::training::{GpuSpace, Prices, SubsetProblem, Team};
use std::sync::Arc;
use std::time::Instant;

/// Runs a plan on a device. It may be moved to another thread.
pub struct Trainer {
    pub(super) plan: Plan,
    pub(super) start: StartOptions,
    pub(super) sets: TrainingSets,
    pub(super) workspace: Arc<Workspace>,
    space: GpuSpace,
    pub(super) prices: Prices,
    /// Where the run stood a short while ago, on the host.
    kept: LastState,
    /// The ranks that it runs on.
    pub(super) team: Team,
}

impl Trainer {
    /// For a plan on these examples, with the model of the workspace, on the ranks of a team.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    ///
    /// # Panics
    /// When there are not as many sets as stages.
    pub fn new(
        workspace: &Arc<Workspace>,
        plan: Plan,
        sets: TrainingSets,
        start: StartOptions,
        team: Team,
    ) -> Result<Self> {
        assert_eq!(plan.stages(), sets.stages.len(), "a set for each stage");
        let space = GpuSpace::new(sets.gpu(), &workspace.model)?;
        let prices = Prices::new(&workspace.model, sets.train.multiply_adds_of_copy(), plan.looks());
        let kept = LastState::of(None);
        Ok(Self { plan, start, sets, workspace: workspace.clone(), space, prices, kept, team })
    }

    /// Runs from initial parameters, or goes on from a checkpoint, and returns where it ended.
    ///
    /// # Errors
    /// [`Error::Diverged`], [`Error::Interrupted`] after a last checkpoint if there was anything to save, and what the
    /// device or the observer reports.
    pub fn run(
        &mut self,
        initial: &[f32],
        resumed: Option<Progress<Vec<f32>>>,
        observer: &mut dyn Observer,
    ) -> Result<Finished> {
        self.kept = LastState::of(resumed.clone());
        let ended = self.run_stages(initial, resumed, observer);
        ended.map_err(|error| self.save_if_stopped(error, observer))
    }

    /// Hands the observer a last checkpoint where a device was stopped in the middle of a step: what the method had
    /// there is spoilt, so it is the state of a short while ago.
    pub(crate) fn save_if_stopped(&self, error: Error, observer: &mut dyn Observer) -> Error {
        let is_stopped = match &error {
            Error::Stopped => true,
            Error::Rank(cause) => cause.failure() == FailureKind::Stopped,
            _ => false,
        };
        if !is_stopped {
            return error;
        }
        let last = self.kept.progress();
        match last.map_or(Ok(()), |last| observer.checkpoint(last)) {
            Ok(()) => self.interrupted(last.map(|last| &last.scalars)),
            Err(unsaved) => unsaved,
        }
    }

    /// A run that was stopped where it stands.
    fn interrupted(&self, scalars: Option<&ProgressScalars>) -> Error {
        let (iteration, stage) = scalars.map_or((0, 0), |scalars| (scalars.state.iteration, scalars.stages.len()));
        Error::Interrupted { iteration, stage: self.plan.kind(stage).to_string() }
    }

    fn run_stages(
        &mut self,
        initial: &[f32],
        resumed: Option<Progress<Vec<f32>>>,
        observer: &mut dyn Observer,
    ) -> Result<Finished> {
        let start = Instant::now();
        let scalars = resumed.as_ref().map(|progress| &progress.scalars);
        let (stage, spent) = scalars.map_or((0, Cost::default()), |known| (known.stages.len(), known.stage_cost));
        let mut problem = self.problem(stage, spent)?;
        let preparation = self.prepare(&mut problem, observer)?;
        let mut running = match resumed {
            Some(host) => self.resume_stage(&host, problem, &preparation, start)?,
            None => {
                let mut theta = initial.to_vec();
                preparation.apply(&mut theta, self.start.seed)?;
                self.start_stage(self.space.upload(&theta)?, None, problem, &preparation, start)?
            }
        };
        loop {
            self.kept.keep(&running, &self.space)?;
            self.run_stage(&mut running, &preparation, observer)?;
            let ended = running.progress.scalars.stages.len();
            if ended == self.plan.stages() {
                let screening = preparation.screening.map(|screening| screening.report);
                return Ok(Finished { progress: running.progress, screening });
            }
            let start = Instant::now();
            let progress = running.end();
            let problem = self.problem(ended, Cost::default())?;
            let theta = problem.space().shrunk(self.plan.shrink(ended - 1), &progress.vectors.parameters)?;
            running = self.start_stage(theta, Some(progress), problem, &preparation, start)?;
        }
    }

    /// What the run does.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What it works on.
    pub fn sets(&self) -> &TrainingSets {
        &self.sets
    }

    /// Where the run stood a short while ago, on the host: all there is when its device is lost. None before the first
    /// step.
    pub fn last(&self) -> Option<&Progress<Vec<f32>>> {
        self.kept.progress()
    }

    /// The losses that report, to be evaluated elsewhere.
    pub(crate) fn sets_mut(&mut self) -> &mut TrainingSets {
        &mut self.sets
    }

    /// Where parameters live.
    pub fn space(&self) -> &GpuSpace {
        &self.space
    }

    /// Device memory.
    pub fn workspace(&self) -> &Arc<Workspace> {
        &self.workspace
    }

    /// The examples of the first stage.
    pub fn first(&self) -> &Subset {
        &self.sets.stages[0]
    }

    /// What its method's calls cost.
    pub fn prices(&self) -> &Prices {
        &self.prices
    }

    /// What all stages may cost, validations left out.
    pub fn planned(&self) -> Units {
        let budget = |(i, set): (usize, &Subset)| self.plan.rules(&self.prices, i, set.len()).budget;
        self.sets.stages.iter().enumerate().map(budget).fold(Units::default(), |sum, budget| sum + budget)
    }

    /// Goes over these examples for ever in place of its stages, and takes no decisions: to be measured.
    pub(crate) fn measure_on(&mut self, some: Subset) {
        if let Plan::Stages { stages, .. } = &mut self.plan {
            let endless =
                |stage: &StagePlan| StagePlan { subset: None, passes: f64::INFINITY, gap: 0.0, stall: 0.0, ..*stage };
            *stages = stages.last().map(endless).into_iter().collect();
        }
        self.sets.stages = vec![some];
        self.sets.held_out = None;
    }

    pub(super) fn gpu(&self) -> &Gpu {
        self.sets.gpu()
    }

    /// The ranks that it runs on.
    pub(crate) fn team(&self) -> &Team {
        &self.team
    }

    /// The optimiser at the start of a stage. Of the stage before, it takes over what that learned: the loss is nearly
    /// the same function.
    fn optimiser(
        &self,
        problem: &mut SubsetProblem,
        theta: Buf,
        before: Option<(&State<Buf>, f64)>,
        preparation: &Preparation,
    ) -> Result<Box<dyn Optimiser<SubsetProblem>>> {
        match &self.plan {
            // a learning rate falls over all that the preparation left
            Plan::Stochastic { budget, rule, .. } => {
                rule.start(problem, theta, *budget - preparation.cost.units(), self.start.seed)
            }
            Plan::Stages { method, .. } => method.start(problem, theta, before),
        }
    }

    /// The start of a stage: one evaluation at θ, or none where the method goes over mini-batches.
    fn start_stage(
        &self,
        theta: Buf,
        before: Option<Progress<Buf>>,
        mut problem: SubsetProblem,
        preparation: &Preparation,
        start: Instant,
    ) -> Result<Running> {
        let stages = before.as_ref().map_or(Vec::new(), |before| before.scalars.stages.clone());
        let known = before.as_ref().map(|before| (before.state(), before.scalars.step_norm));
        let known = known.as_ref().map(|(state, step_norm)| (state, *step_norm));
        let optimiser = self.optimiser(&mut problem, theta, known, preparation)?;
        let snapshot = optimiser.snapshot();
        // where nothing is evaluated before the first step, they are infinite
        if self.plan.rule().is_none() && !(snapshot.loss.is_finite() && snapshot.gradient_norm.is_finite()) {
            return Err(self.diverged(self.plan.kind(stages.len()), 0, snapshot.evaluation));
        }
        let (other_cost, wall_seconds) = match &before {
            Some(before) => (before.scalars.cost(), before.scalars.wall_seconds),
            None => (preparation.cost, 0.0),
        };
        let scalars = ProgressScalars {
            initial_gradient_norm: snapshot.gradient_norm,
            cross_entropy: snapshot.evaluation.map_or(f64::NAN, |found| found.cross_entropy),
            step_norm: known.map_or(0.0, |(_, step_norm)| step_norm),
            stage_cost: problem.cost(),
            other_cost,
            best: before.as_ref().and_then(|before| before.scalars.best),
            wall_seconds: wall_seconds + start.elapsed().as_secs_f64(),
            stages,
            ..ProgressScalars::default()
        };
        let state = optimiser.state();
        let vectors = ProgressVectors {
            parameters: state.parameters.clone(),
            optimiser: Vec::new(),
            problem: Vec::new(),
            best: before.and_then(|before| before.vectors.best),
        };
        let mut progress = Progress { scalars, vectors };
        progress.take(state, problem.memory(), problem.paid_for());
        Ok(Running { progress, problem, optimiser, cost_before: Cost::default() })
    }

    /// Goes on in the middle of a stage.
    fn resume_stage(
        &self,
        host: &Progress<Vec<f32>>,
        mut problem: SubsetProblem,
        preparation: &Preparation,
        start: Instant,
    ) -> Result<Running> {
        let mut progress = host.convert(|values| self.gpu().upload("checkpoint", values))?;
        progress.scalars.wall_seconds += start.elapsed().as_secs_f64();
        problem.remember(&progress.vectors.problem)?;
        problem.set_paid_for(progress.scalars.paid_for);
        let state = progress.state();
        let optimiser = match &self.plan {
            Plan::Stochastic { budget, rule, .. } => {
                rule.resume(&problem, &state, *budget - preparation.cost.units(), self.start.seed)?
            }
            Plan::Stages { method, .. } => method.resume(&problem, &state)?,
        };
        Ok(Running { cost_before: progress.scalars.stage_cost, progress, problem, optimiser })
    }

    /// Iterates until the stage's budget is spent, its minimum is near, or the held-out loss says so.
    fn run_stage(
        &mut self,
        running: &mut Running,
        preparation: &Preparation,
        observer: &mut dyn Observer,
    ) -> Result<()> {
        let (clock, seconds_before) = (Instant::now(), running.progress.scalars.wall_seconds);
        let stage = running.progress.scalars.stages.len();
        let (kind, validation) = (self.plan.kind(stage), self.plan.validation(stage));
        let examples = self.sets.stages[stage].len();
        let least = running.problem.objective().least_cross_entropy();
        let rules = StopRules { least, ..self.plan.rules(&self.prices, stage, examples) };
        let prepared = if self.plan.rule().is_some() { preparation.cost } else { Cost::default() };
        let mut traffic = self.team.traffic();
        let stopped = loop {
            let scalars = &running.progress.scalars;
            if !scalars.is_within
                && let Some(reason) = reason_to_stop(&rules, (scalars.stage_cost + prepared).units(), scalars)
            {
                break reason.to_string();
            }
            let outcome = running.step()?;
            let iteration = running.progress.scalars.state.iteration;
            match outcome.stop {
                Some(Stop::NotFinite) => {
                    return Err(self.diverged(kind, iteration, running.optimiser.snapshot().evaluation));
                }
                Some(Stop::Paused) => {
                    running.progress.scalars.wall_seconds = seconds_before + clock.elapsed().as_secs_f64();
                    self.save(running, observer)?;
                    continue;
                }
                Some(stop) => break stop.to_string(),
                None => running.progress.scalars.step_norm = outcome.step_norm,
            }
            let held_out = if validation.is_due(iteration) { self.validate(&mut running.progress)? } else { None };
            running.progress.scalars.wall_seconds = seconds_before + clock.elapsed().as_secs_f64();
            let exchanged = self.team.traffic();
            let exchange = exchanged.zip(traffic).map(|(now, before)| now - before);
            traffic = exchanged;
            observer.step(&running.record(kind, [examples, self.sets.train.len()], exchange, &outcome, held_out))?;
            self.save(running, observer)?;
        };
        let progress = &mut running.progress;
        if let (0, Plan::Stochastic { budget, .. }) = (progress.scalars.state.iteration, &self.plan) {
            let epochs = budget.passes(self.sets.train.len());
            return Err(UsageError::Budget { epochs, examples: self.sets.train.len() }.into());
        }
        let held_out = match progress.scalars.last_validation {
            Some((iteration, held_out)) if iteration == progress.scalars.state.iteration => Some(held_out),
            _ => self.validate(progress)?,
        };
        progress.scalars.wall_seconds = seconds_before + clock.elapsed().as_secs_f64();
        let report = self.sets.report(kind, &self.workspace.model, progress, held_out, stopped)?;
        observer.stage(&report)?;
        progress.scalars.stages.push(report);
        Ok(())
    }

    /// Makes a checkpoint where one is wanted, and stops where the run is to.
    fn save(&mut self, running: &Running, observer: &mut dyn Observer) -> Result<()> {
        if observer.is_interrupted() {
            // what is left is to save it, however long that takes
            self.gpu().heed(&Interrupt::default());
            observer.checkpoint(self.kept.copy(running, &self.space)?)?;
            return Err(self.interrupted(Some(&running.progress.scalars)));
        }
        if observer.wants_checkpoint() {
            observer.checkpoint(self.kept.copy(running, &self.space)?)
        } else {
            self.kept.keep(running, &self.space)
        }
    }

    fn diverged(&self, stage: StageKind, iteration: u64, evaluation: Option<&Evaluation>) -> Error {
        let tensor = evaluation.and_then(|e| e.not_finite.clone()).unwrap_or_else(|| "the loss".to_owned());
        let conventional = self.plan.rule().filter(|rule| rule.is_conventional());
        let learning_rate = conventional.map(|rule| rule.batches().learning_rate);
        let weight_decay = self.start.weight_decay;
        Error::Diverged { tensor, iteration, stage: stage.to_string(), learning_rate, weight_decay }
    }

    /// Evaluates the held-out examples at the present parameters, charges for it, and remembers the best.
    fn validate(&mut self, progress: &mut Progress<Buf>) -> Result<Option<HeldOut>> {
        let Some(objective) = &mut self.sets.held_out else { return Ok(None) };
        let Progress { scalars, vectors } = progress;
        let before = objective.cost();
        let evaluation = objective.loss(&vectors.parameters)?;
        scalars.other_cost += objective.cost() - before;
        let held_out = HeldOut { loss: evaluation.cross_entropy, accuracy: evaluation.accuracy };
        scalars.last_validation = Some((scalars.state.iteration, held_out));
        scalars.validations_since_best += 1;
        let is_lower = scalars.best.is_none_or(|best| held_out.loss < best.loss);
        if is_lower && evaluation.not_finite.is_none() {
            // Its own memory: the optimiser goes on to overwrite the vector it holds.
            vectors.best = Some(self.space.copied(&vectors.parameters)?);
            scalars.best = Some(held_out);
            scalars.validations_since_best = 0;
        }
        Ok(Some(held_out))
    }
}
