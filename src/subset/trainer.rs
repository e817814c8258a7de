//! A run of the schedule: stages, looks at held-out examples, checkpoints, stopping.

use super::schedule::{Best, HeldOut, Progress, Schedule, StageKind, StageReport, StepRecord};
use super::{Screening, ScreeningReport, Subset, overdetermination};
use crate::device::Buf;
use crate::error::{Error, Result, UsageError};
use crate::objective::{Cost, Evaluation, Examples, Objective, Whitening, Workspace};
use crate::optimise::{GpuSpace, Method, Optimiser, Outcome, Problem, Space, Stop, SubsetProblem};
use std::sync::Arc;
use std::time::Instant;

/// Screening, and whitening, may each take so much of a budget.
const MOST_OF_BUDGET: f64 = 0.1;

/// Who is told how a run goes, and may stop it.
pub trait Observer {
    /// After every iteration.
    ///
    /// # Errors
    /// Ends the run, as when the disk is full.
    fn step(&mut self, record: &StepRecord) -> Result<()>;
    /// After every stage.
    ///
    /// # Errors
    /// Ends the run.
    fn stage(&mut self, report: &StageReport) -> Result<()>;
    /// Whether a checkpoint is due. GridRequest after every iteration, since making one reads the vectors back.
    fn wants_checkpoint(&mut self) -> bool;
    /// A checkpoint that was asked for, or the last one of a run that is told to stop.
    ///
    /// # Errors
    /// Ends the run.
    fn checkpoint(&mut self, progress: &Progress<Vec<f32>>) -> Result<()>;
    /// Once the examples were screened.
    ///
    /// # Errors
    /// Ends the run.
    fn screening(&mut self, report: &ScreeningReport) -> Result<()>;
    /// Whether the user wants the run to stop here.
    fn is_interrupted(&self) -> bool;
}

/// Everything a run works on.
pub struct Trainer {
    /// What to do.
    pub schedule: Schedule,
    /// The optimiser and its choices.
    pub method: Method,
    /// λ
    pub weight_decay: f64,
    /// BatchPlan examples.
    pub train: Arc<Examples>,
    /// The subsets of the stages before the last, in order.
    pub subsets: Vec<Subset>,
    /// The examples of the last stage: all that are not held out.
    pub full: Subset,
    /// BatchPlan examples that only decisions use.
    pub held_out: Option<Objective>,
    /// The whole training set, for reports.
    pub train_loss: Objective,
    /// The test set, for reports.
    pub test: Objective,
    /// Device memory.
    pub workspace: Arc<Workspace>,
    /// Where parameters live.
    pub space: GpuSpace,
    /// Whether the first layer starts as whitened components of what it reads.
    pub whiten: bool,
    /// What a linear model said of the examples, once it was asked.
    pub screening: Option<Screening>,
    /// What was spent before the first step: on screening and whitening.
    pub preparation: Cost,
}

/// A stage in the middle.
struct InStage {
    problem: SubsetProblem,
    optimiser: Box<dyn Optimiser<SubsetProblem>>,
    /// What the stage's examples cost before the problem was set up.
    cost_before: Cost,
}

impl Trainer {
    /// Runs from initial parameters, or goes on from a checkpoint, and returns where it ended.
    ///
    /// # Errors
    /// [`Error::Diverged`], [`Error::Interrupted`] after a last checkpoint, and what the device or the observer reports.
    pub fn run(
        &mut self,
        initial: &[f32],
        resumed: Option<Progress<Vec<f32>>>,
        observer: &mut dyn Observer,
    ) -> Result<Progress<Buf>> {
        let start = Instant::now();
        self.preparation = Cost::default();
        let mut problem = self.problem(resumed.as_ref().map_or(0, |progress| progress.stages.len()))?;
        problem.prepare(&self.method)?;
        self.screen(observer)?;
        problem.inclusion = self.screening.as_ref().and_then(|screening| screening.inclusion.clone());
        let whitening = if self.whiten { Whitening::of(&problem.objective)? } else { None };
        let whitening = whitening.filter(|whitening| self.is_affordable(whitening.cost()));
        self.preparation += whitening.as_ref().map_or(Cost::default(), Whitening::cost);
        let (mut progress, mut stage) = match resumed {
            Some(host) => {
                let mut progress = host.convert(|values| self.test.gpu().upload("checkpoint", values))?;
                progress.wall_seconds += start.elapsed().as_secs_f64();
                self.resume_stage(progress, problem)?
            }
            None => {
                let mut theta = initial.to_vec();
                if let Some(whitening) = &whitening {
                    whitening.apply(&mut theta, self.full.seed)?;
                }
                self.start_stage(self.space.upload(&theta)?, None, problem, start)?
            }
        };
        loop {
            progress = self.run_stage(progress, stage, observer)?;
            if progress.stages.len() == self.stages() {
                return Ok(progress);
            }
            let theta = self.space.scaled(self.schedule.shrink, &progress.optimiser.parameters)?;
            let (start, problem) = (Instant::now(), self.problem(progress.stages.len())?);
            (progress, stage) = self.start_stage(theta, Some(progress), problem, start)?;
        }
    }

    /// Whether a preparation leaves the training nine tenths of its budget, if it has one.
    fn is_affordable(&self, cost: Cost) -> bool {
        let budget = self.schedule.full_passes * self.full.len() as f64;
        !self.schedule.name.has_budget() || cost.units() <= MOST_OF_BUDGET * budget
    }

    /// Asks a linear model which examples are worth it, where the method goes by its answer.
    fn screen(&mut self, observer: &mut dyn Observer) -> Result<()> {
        let Some(training) = self.method.training().filter(|training| training.screen) else { return Ok(()) };
        let (gpu, model) = (self.test.gpu(), &self.workspace.model);
        let batch = training.batch_of(self.full.len());
        self.screening = Screening::new(gpu, &self.train, &self.full, model, batch, |cost| self.is_affordable(cost))?;
        let Some(screening) = &self.screening else { return Ok(()) };
        self.preparation += screening.cost;
        observer.screening(&screening.report)
    }

    /// The examples of the first stage.
    pub fn first(&self) -> &Subset {
        self.examples(0)
    }

    /// What all stages may cost, held-out looks left out.
    pub fn planned_units(&self) -> f64 {
        let subsets: usize = self.subsets.iter().map(Subset::len).sum();
        self.schedule.subset_passes * subsets as f64 + self.schedule.full_passes * self.full.len() as f64
    }

    /// How many stages there are: the full set has none where it gets no passes after a subset's.
    pub fn stages(&self) -> usize {
        let has_full = self.subsets.is_empty() || self.schedule.full_passes > 0.0;
        self.subsets.len() + usize::from(has_full)
    }

    /// The examples of the stage after so many others.
    fn examples(&self, stages: usize) -> &Subset {
        self.subsets.get(stages).unwrap_or(&self.full)
    }

    /// The method as it goes about a stage: a learning rate falls over all of it that the preparation left.
    fn method(&self, stage: StageKind) -> Method {
        self.method.with_epochs(self.schedule.passes(stage) - self.preparation.units() / self.full.len() as f64)
    }

    fn problem(&self, stages: usize) -> Result<SubsetProblem> {
        let indices = &self.examples(stages).indices;
        SubsetProblem::new(Objective::new(self.test.gpu(), &self.workspace, &self.train, indices, self.weight_decay)?)
    }

    /// The progress at the start of a stage: one evaluation at θ, or none where the method goes over mini-batches.
    fn start_stage(
        &self,
        theta: Buf,
        before: Option<Progress<Buf>>,
        mut problem: SubsetProblem,
        start: Instant,
    ) -> Result<(Progress<Buf>, InStage)> {
        let stages = before.as_ref().map_or(0, |before| before.stages.len());
        let stage = if stages < self.subsets.len() { StageKind::Subset } else { StageKind::Full };
        // The loss is nearly the same function, so what the stage before learned of it is a better guess than none.
        let known = before.as_ref().map(|b| (&b.optimiser, b.step_norm));
        let step_norm = known.map_or(0.0, |(_, step_norm)| step_norm);
        let optimiser = self.method(stage).start(&mut problem, theta, known)?;
        let state = optimiser.state();
        // where nothing is evaluated before the first step, they are infinite
        if self.method.training().is_none() && !(state.loss.is_finite() && state.gradient_norm.is_finite()) {
            return Err(diverged(stage, 0, problem.last.as_ref()));
        }
        let (other_cost, wall_seconds) =
            before.as_ref().map_or((self.preparation, 0.0), |b| (b.cost(), b.wall_seconds));
        let (best, stages) = before.map_or((None, Vec::new()), |before| (before.best, before.stages));
        let progress = Progress {
            stage,
            initial_gradient_norm: state.gradient_norm,
            cross_entropy: problem.last.as_ref().map_or(f64::NAN, |last| last.cross_entropy),
            earlier_losses: [f64::INFINITY; 2],
            step_norm,
            optimiser: state,
            memory: problem.memory(),
            stage_cost: problem.cost(),
            other_cost,
            best,
            last_look: None,
            looks_since_best: 0,
            stages,
            wall_seconds: wall_seconds + start.elapsed().as_secs_f64(),
        };
        Ok((progress, InStage { problem, optimiser, cost_before: Cost::default() }))
    }

    /// Goes on in the middle of a stage.
    fn resume_stage(&self, progress: Progress<Buf>, mut problem: SubsetProblem) -> Result<(Progress<Buf>, InStage)> {
        problem.remember(&progress.memory)?;
        let optimiser = self.method(progress.stage).resume(&problem, &progress.optimiser)?;
        let cost_before = progress.stage_cost;
        Ok((progress, InStage { problem, optimiser, cost_before }))
    }

    /// Iterates until the stage's budget is spent, its minimum is near, or the held-out loss says so.
    fn run_stage(
        &mut self,
        mut progress: Progress<Buf>,
        InStage { mut problem, mut optimiser, cost_before }: InStage,
        observer: &mut dyn Observer,
    ) -> Result<Progress<Buf>> {
        let (clock, seconds_before) = (Instant::now(), progress.wall_seconds);
        let stage = progress.stage;
        let passes = self.schedule.passes(stage);
        let stopped = loop {
            if let Some(reason) = self.reason_to_stop(&progress, passes) {
                break reason;
            }
            progress.earlier_losses = [progress.optimiser.loss, progress.earlier_losses[0]];
            let outcome: Outcome = optimiser.step(&mut problem)?;
            let taken = problem.found(outcome.loss).filter(|_| outcome.rejected.is_none());
            if let Some(last) = taken {
                progress.cross_entropy = last.cross_entropy;
            }
            progress.optimiser = optimiser.state();
            progress.memory = problem.memory();
            progress.stage_cost = cost_before + problem.cost();
            if progress.initial_gradient_norm.is_infinite() {
                progress.initial_gradient_norm = progress.optimiser.gradient_norm;
            }
            match outcome.stop {
                Some(Stop::NotFinite) => {
                    return Err(diverged(stage, progress.optimiser.iteration, problem.last.as_ref()));
                }
                Some(stop) => break stop.to_string(),
                None => progress.step_norm = outcome.step_norm,
            }
            let due = self.schedule.is_look_due(stage, progress.optimiser.iteration);
            let looked = if due { self.look(&mut progress)? } else { None };
            progress.wall_seconds = seconds_before + clock.elapsed().as_secs_f64();
            observer.step(&self.record(&progress, &outcome, taken, looked))?;
            let interrupted = observer.is_interrupted();
            if interrupted || observer.wants_checkpoint() {
                observer.checkpoint(&progress.convert(|vector| self.space.download(vector))?)?;
            }
            if interrupted {
                let iteration = progress.optimiser.iteration;
                return Err(Error::Interrupted { iteration, stage: stage.to_string() });
            }
        };
        if progress.optimiser.iteration == 0 && self.schedule.name.has_budget() {
            return Err(UsageError::Budget { epochs: passes, examples: self.full.len() }.into());
        }
        let looked = match progress.last_look {
            Some((iteration, held_out)) if iteration == progress.optimiser.iteration => Some(held_out),
            _ => self.look(&mut progress)?,
        };
        progress.wall_seconds = seconds_before + clock.elapsed().as_secs_f64();
        let report = self.report(&progress, looked, stopped)?;
        observer.stage(&report)?;
        progress.stages.push(report);
        Ok(progress)
    }

    fn reason_to_stop(&self, progress: &Progress<Buf>, passes: f64) -> Option<String> {
        let examples = self.examples(progress.stages.len()).len() as f64;
        let Schedule { patience, gap, stall, .. } = self.schedule;
        let is_subset = progress.stage == StageKind::Subset;
        // a subset that is left before its minimum is left as soon as its loss says no more of the held-out one
        let patience = if is_subset && gap > 0.0 { 1 } else { patience };
        let held_out = progress.last_look.map_or(f64::NAN, |(_, held_out)| held_out.loss);
        let with_preparation = if self.schedule.name.has_budget() { self.preparation } else { Cost::default() };
        if (progress.stage_cost + with_preparation).units() >= passes * examples {
            Some(format!("{} passes are spent", (1e3 * passes).round() / 1e3))
        } else if self.method.training().is_none()
            && progress.optimiser.gradient_norm <= self.schedule.tolerance * progress.initial_gradient_norm
        {
            Some(format!("the gradient fell to {:e} of its start", self.schedule.tolerance))
        } else if patience > 0 && progress.looks_since_best >= patience {
            Some(format!("looks without a lower held-out loss: {patience}"))
        } else if is_subset && progress.cross_entropy < gap * held_out {
            Some(format!("the subset's cross entropy is below {gap} of the held-out one"))
        } else if is_subset && stall > 0.0 && progress.optimiser.loss > (1.0 - stall) * progress.earlier_losses[1] {
            Some(format!("two iterations lowered the loss by less than {stall}"))
        } else {
            None
        }
    }

    /// Evaluates the held-out examples at the present parameters, charges for it, and remembers the best.
    fn look(&mut self, progress: &mut Progress<Buf>) -> Result<Option<HeldOut>> {
        let Some(objective) = &mut self.held_out else { return Ok(None) };
        let before = objective.cost();
        let evaluation = objective.loss(&progress.optimiser.parameters)?;
        progress.other_cost.forward += objective.cost().forward - before.forward;
        let held_out = HeldOut { loss: evaluation.cross_entropy, accuracy: evaluation.accuracy };
        progress.last_look = Some((progress.optimiser.iteration, held_out));
        progress.looks_since_best += 1;
        let is_lower = progress.best.as_ref().is_none_or(|best| held_out.loss < best.held_out.loss);
        if is_lower && evaluation.not_finite.is_none() {
            // Its own memory: the optimiser goes on to overwrite the vector it holds.
            let parameters = self.space.copied(&progress.optimiser.parameters)?;
            progress.best = Some(Best { held_out, parameters });
            progress.looks_since_best = 0;
        }
        Ok(Some(held_out))
    }

    fn record(
        &self,
        progress: &Progress<Buf>,
        outcome: &Outcome,
        taken: Option<&Evaluation>,
        held_out: Option<HeldOut>,
    ) -> StepRecord {
        let units = progress.cost().units();
        StepRecord {
            stage: progress.stage,
            examples: self.examples(progress.stages.len()).len(),
            iteration: progress.optimiser.iteration,
            outcome: *outcome,
            cross_entropy: taken.map(|evaluation| evaluation.cross_entropy),
            accuracy: taken.map(|evaluation| evaluation.accuracy),
            kept: taken.and_then(|evaluation| evaluation.kept),
            held_out,
            units,
            cost_epochs: units / self.train.len() as f64,
            wall_seconds: progress.wall_seconds,
        }
    }

    fn report(&mut self, progress: &Progress<Buf>, held_out: Option<HeldOut>, stopped: String) -> Result<StageReport> {
        let model = &self.workspace.model;
        let examples = self.examples(progress.stages.len()).len();
        let theta = &progress.optimiser.parameters;
        let (train, test) = (self.train_loss.loss(theta)?, self.test.loss(theta)?);
        Ok(StageReport {
            stage: progress.stage,
            examples,
            overdetermination: overdetermination(examples, model.classes, model.parameters()),
            iterations: progress.optimiser.iteration,
            passes: progress.stage_cost.units() / examples as f64,
            loss: progress.optimiser.loss,
            cross_entropy: Some(progress.cross_entropy),
            train_loss: Some(train.cross_entropy),
            gradient_reduction: progress.optimiser.gradient_norm / progress.initial_gradient_norm,
            held_out,
            test_accuracy: test.accuracy,
            test_loss: Some(test.cross_entropy),
            stopped,
        })
    }
}

fn diverged(stage: StageKind, iteration: u64, evaluation: Option<&Evaluation>) -> Error {
    let tensor = evaluation.and_then(|e| e.not_finite.clone()).unwrap_or_else(|| "the loss".to_owned());
    Error::Diverged { tensor, iteration, stage: stage.to_string() }
}
