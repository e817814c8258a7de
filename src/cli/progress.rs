//! Progress on a terminal, plain lines elsewhere; steps and checkpoints into the run folder.

use super::output::say;
use crate::device::Interrupt;
use crate::error::Result;
use crate::run::{Run, RunFolder};
use crate::subset::{Incident, Observer, Progress, ScreeningReport, StageReport, StepRecord};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::{Duration, Instant};

/// Units a bar counts are thousandths of the planned cost.
const TICKS: f64 = 1000.0;

/// Follows a run for the command line.
pub(super) struct Watcher<'a> {
    folder: &'a mut RunFolder,
    bar: ProgressBar,
    /// Planned units of all stages.
    planned: f64,
    /// Q of one example.
    overdetermination: f64,
    checkpoint_every: Duration,
    last_checkpoint: Instant,
    last_line: Instant,
    interrupt: Interrupt,
}

impl<'a> Watcher<'a> {
    /// Of a run into its folder, without a bar where quiet, until it is told to stop.
    pub(super) fn new(run: &Run<'_>, folder: &'a mut RunFolder, quiet: bool, interrupt: Interrupt) -> Self {
        let bar = ProgressBar::with_draw_target(Some(TICKS as u64), ProgressDrawTarget::stderr());
        if quiet {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        let style =
            ProgressStyle::with_template("{bar:24} {percent:>3}% {msg} eta {eta}").expect("a constant template");
        bar.set_style(style);
        Self {
            folder,
            bar,
            planned: run.trainer().planned().count(),
            overdetermination: run.overdetermination(1),
            checkpoint_every: Duration::try_from_secs_f64(run.config().checkpoint_every).unwrap_or(Duration::MAX),
            last_checkpoint: Instant::now(),
            last_line: Instant::now(),
            interrupt,
        }
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn line(&self, record: &StepRecord) -> String {
        let q = self.overdetermination * record.examples as f64;
        let held_out = record.held_out.map_or(String::new(), |h| format!(", held-out {:.4}", h.loss));
        format!(
            "{} {:>4}: loss {:.4}{held_out}, Q {q:.1}, cost {:.2} ep",
            record.stage, record.iteration, record.outcome.loss, record.cost_epochs
        )
    }

    /// A line that stays: above the bar on a terminal, on stderr elsewhere.
    fn say(&self, line: &str) {
        if self.bar.is_hidden() {
            say!("{line}");
        } else {
            self.bar.println(line);
        }
    }
}

impl Observer for Watcher<'_> {
    fn step(&mut self, record: &StepRecord) -> Result<()> {
        self.folder.append(record)?;
        self.bar.set_position((TICKS * (record.units / self.planned).min(1.0)) as u64);
        self.bar.set_message(self.line(record));
        if self.bar.is_hidden() && self.last_line.elapsed() >= Duration::from_secs(2) {
            self.last_line = Instant::now();
            let left = record.wall_seconds * (self.planned / record.units - 1.0).max(0.0);
            say!("{}, about {left:.0} s left", self.line(record));
        }
        Ok(())
    }

    fn stage(&mut self, report: &StageReport) -> Result<()> {
        let held_out = report.held_out.map_or(String::new(), |h| format!("held-out {:.2}%, ", 100.0 * h.accuracy));
        self.say(&format!(
            "{}: {} examples (Q {:.1}), {} iterations, {:.1} passes, loss {:.5}, {held_out}test {:.2}%; {}",
            report.stage,
            report.examples,
            report.overdetermination,
            report.iterations,
            report.passes,
            report.loss,
            100.0 * report.test_accuracy,
            report.stopped
        ));
        Ok(())
    }

    fn screening(&mut self, report: &ScreeningReport) -> Result<()> {
        let right = 100.0 * report.accuracy;
        self.say(&if report.share < 1.0 {
            format!(
                "screening: a linear model, right on {right:.1}%, lets {:.0}% of the examples into an epoch",
                100.0 * report.share
            )
        } else {
            format!("screening: a linear model, right on {right:.1}%, is no help: all examples in every epoch")
        });
        Ok(())
    }

    fn incident(&mut self, incident: &Incident) -> Result<()> {
        self.say(&format!("note: {incident}"));
        Ok(())
    }

    fn wants_checkpoint(&mut self) -> bool {
        self.last_checkpoint.elapsed() >= self.checkpoint_every
    }

    fn checkpoint(&mut self, progress: &Progress<Vec<f32>>) -> Result<()> {
        self.last_checkpoint = Instant::now();
        self.folder.save_checkpoint(progress)
    }

    fn is_interrupted(&self) -> bool {
        self.interrupt.is_asked()
    }
}
