//! Timing a program.

use crate::device::Gpu;
use crate::error::Result;
use crate::program::{Dispatch, Program};

/// A program, repeated so that it takes a few milliseconds.
pub(super) struct Timed {
    program: Program,
    repeats: usize,
    seconds: Vec<f64>,
}

/// Seconds that one measurement should take at least: a hundred times what a submission costs.
const LEAST: f64 = 4e-3;

impl Timed {
    /// Records dispatches often enough, by a first run that also compiles them.
    ///
    /// # Errors
    /// What the device reports.
    pub(super) fn new(gpu: &Gpu, record: impl Fn() -> Result<Vec<Dispatch>>) -> Result<Self> {
        let repeated = |repeats: usize| -> Result<Program> {
            let mut program = Program::default();
            for _ in 0..repeats {
                program.extend(record()?);
            }
            Ok(program)
        };
        let once = repeated(1)?;
        once.time(gpu)?;
        let repeats = (LEAST / once.time(gpu)?).ceil().clamp(1.0, 200.0) as usize;
        Ok(Self { program: repeated(repeats)?, repeats, seconds: Vec::new() })
    }

    /// Runs it once more.
    ///
    /// # Errors
    /// What the device reports.
    pub(super) fn measure(&mut self, gpu: &Gpu) -> Result<()> {
        self.seconds.push(self.program.time(gpu)? / self.repeats as f64);
        Ok(())
    }

    /// Seconds of a run, the least first.
    pub(super) fn sorted(&self) -> Vec<f64> {
        let mut seconds = self.seconds.clone();
        seconds.sort_by(f64::total_cmp);
        seconds
    }
}

/// The middle of sorted values.
pub fn median(sorted: &[f64]) -> f64 {
    sorted[sorted.len() / 2]
}
