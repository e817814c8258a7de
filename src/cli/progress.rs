//! Progress on a terminal, plain lines elsewhere; steps and checkpoints into the run folder.

use super::output::say;
use super::pace::Pace;
use crate::device::Interrupt;
use crate::error::Result;
use crate::report::spoken;
use crate::run::{Run, RunFolder};
use crate::subset::{HeldOut, Incident, Observer, Progress, ScreeningReport, StageReport, StepRecord};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::{Duration, Instant};

/// Units a bar counts are thousandths of the planned cost.
const TICKS: f64 = 1000.0;

/// Follows a run for the command line.
pub(super) struct Watcher<'a> {
    folder: &'a mut RunFolder,
    bar: ProgressBar,
    pace: Pace,
    /// The latest validation.
    held_out: Option<HeldOut>,
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
            ProgressStyle::with_template("{bar:24} {percent:>3}% {prefix}{wide_msg}").expect("a constant template");
        bar.set_style(style);
        let of_validation = run.trainer().prices().loss(run.config().held_out);
        Self {
            folder,
            bar,
            pace: Pace::new(run.trainer().planned().count(), of_validation.units().count()),
            held_out: None,
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

    /// A step, with the latest validation.
    fn line(&mut self, record: &StepRecord) -> String {
        self.held_out = record.held_out.or(self.held_out);
        let q = self.overdetermination * record.examples as f64;
        let accuracy = record.accuracy.map_or(String::new(), |share| format!(", accuracy {:.1}%", 100.0 * share));
        let validation = |h: HeldOut| format!(", held-out {:.4} and {:.1}%", h.loss, 100.0 * h.accuracy);
        let held_out = self.held_out.map_or(String::new(), validation);
        format!(
            "{} {:>4}: loss {:.4}{accuracy}{held_out}, Q {q:.1}, cost {:.2} ep",
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
        let line = self.line(record);
        let (share, left) = self.pace.at(record);
        let left = left.map(|left| format!("about {} left", spoken(left, 0)));
        self.bar.set_position((TICKS * share) as u64);
        if self.bar.is_hidden() && self.last_line.elapsed() >= Duration::from_secs(2) {
            self.last_line = Instant::now();
            say!("{line}{}", left.as_ref().map_or(String::new(), |left| format!(", {left}")));
        }
        self.bar.set_prefix(left.map_or(String::new(), |left| format!("{left}; ")));
        self.bar.set_message(line);
        Ok(())
    }

    fn stage(&mut self, report: &StageReport) -> Result<()> {
        self.folder.end_stage(report)?;
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
