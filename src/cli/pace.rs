//! How long a run still takes, by what its steps have taken so far.

use crate::subset::StepRecord;

/// The pace of a run from its first step on: what came before, set-up and preparation, is made once.
pub(super) struct Pace {
    /// Planned units of all stages.
    planned: f64,
    /// Units and seconds after the first step, of this process.
    first: Option<[f64; 2]>,
}

impl Pace {
    /// Of a run that is planned to cost so many units.
    pub(super) fn new(planned: f64) -> Self {
        Self { planned, first: None }
    }

    /// The part of the run that is done after a step, 0 to 1.
    pub(super) fn share(&self, step: &StepRecord) -> f64 {
        (step.units / self.planned).min(1.0)
    }

    /// Seconds left after a step; none after the first, which says nothing yet.
    pub(super) fn left(&mut self, step: &StepRecord) -> Option<f64> {
        let now = [step.units, step.wall_seconds];
        let first = *self.first.get_or_insert(now);
        let [units, seconds] = [0, 1].map(|i| now[i] - first[i]);
        (units > 0.0).then(|| seconds / units * (self.planned - step.units).max(0.0))
    }
}

/// Seconds as a person says them.
pub(super) fn spoken(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(units: f64, seconds: f64) -> StepRecord {
        let text = format!(
            r#"{{"stage":"full","examples":10,"iteration":1,"loss":1,"gradient_norm":1,"step_norm":1,"step_length":1,
            "evaluations":1,"restarted":false,"inner_iterations":0,"units":{units},"cost_epochs":1,
            "wall_seconds":{seconds}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn set_up_is_not_counted() {
        let mut pace = Pace::new(1000.0);
        // twenty seconds of set-up, then a hundred units a second
        assert_eq!(pace.left(&step(100.0, 21.0)), None);
        assert_eq!(pace.left(&step(200.0, 22.0)), Some(8.0));
        assert_eq!(pace.left(&step(600.0, 26.0)), Some(4.0));
        assert_eq!((pace.left(&step(1100.0, 31.0)), pace.share(&step(1100.0, 31.0))), (Some(0.0), 1.0));
        assert_eq!(pace.share(&step(250.0, 30.0)), 0.25);
        assert_eq!([1.4, 150.0, 9000.0].map(spoken), ["1 s", "2 min", "2.5 h"]);
    }
}
