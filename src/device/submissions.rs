//! How long submissions take, where somebody asks: a driver takes a device away that is silent for too long.

use super::lock::lock;
use serde::Serialize;
use std::sync::{Arc, Mutex};

/// What the submissions of a device took, each by itself.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SubmissionTimes {
    /// How many there were.
    pub count: usize,
    /// Median of their seconds.
    pub median: f64,
    /// The 99th percentile: one in a hundred takes longer.
    pub p99: f64,
    /// Seconds of the longest.
    pub longest: f64,
    /// The kernels that the longest ran, in order.
    pub kernels: String,
}

/// Seconds and kernels of every submission, once they are asked for. Cloning shares them.
#[derive(Clone, Debug, Default)]
pub(super) struct Submissions(Arc<Log>);

#[derive(Debug, Default)]
struct Log(Mutex<Option<Vec<(f64, String)>>>);

impl Log {
    fn summary(&self) -> Option<SubmissionTimes> {
        let mut all = lock(&self.0).clone()?;
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (longest, kernels) = all.last()?.clone();
        let at = |share: f64| all[(share * (all.len() - 1) as f64).ceil() as usize].0;
        Some(SubmissionTimes { count: all.len(), median: at(0.5), p99: at(0.99), longest, kernels })
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if let Some(SubmissionTimes { count, median, p99, longest, kernels }) = self.summary() {
            let [median, p99, longest] = [median, p99, longest].map(|seconds| 1e3 * seconds);
            tracing::debug!(
                "{count} submissions: median {median:.1} ms, p99 {p99:.1} ms, longest {longest:.1} ms ({kernels})"
            );
        }
    }
}

impl Submissions {
    /// What they took, if there was any.
    pub(super) fn summary(&self) -> Option<SubmissionTimes> {
        self.0.summary()
    }

    /// Those of a new device, timed where debug lines of this file are shown.
    pub(super) fn new() -> Self {
        let submissions = Self::default();
        if tracing::enabled!(tracing::Level::DEBUG) {
            submissions.ask();
        }
        submissions
    }

    /// Takes notes from now on.
    pub(super) fn ask(&self) {
        lock(&self.0.0).get_or_insert_default();
    }

    /// Whether anyone asked.
    pub(super) fn are_asked_for(&self) -> bool {
        lock(&self.0.0).is_some()
    }

    /// Takes a note of one.
    pub(super) fn note(&self, seconds: f64, kernels: String) {
        tracing::trace!("{:.1} ms: {kernels}", 1e3 * seconds);
        if let Some(all) = lock(&self.0.0).as_mut() {
            all.push((seconds, kernels));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_summed_up_once_they_are_asked_for() {
        let submissions = Submissions::default();
        submissions.note(9.0, "before".to_owned());
        assert!(submissions.0.summary().is_none());
        submissions.ask();
        assert!(submissions.0.summary().is_none(), "none yet");
        (1..=200).rev().for_each(|n| submissions.note(f64::from(n), format!("kernel {n}")));
        let found = submissions.0.summary().unwrap();
        assert_eq!((found.count, found.median, found.p99, found.longest), (200, 101.0, 199.0, 200.0));
        assert_eq!(found.kernels, "kernel 200");
    }
}
