//! How long a run still takes, by what its steps have taken so far.

use crate::subset::StepRecord;

/// The pace of a run from its first step on: what came before, set-up and preparation, is made once.
pub(super) struct Pace {
    /// Planned units of all stages, without validations, and those of a validation.
    planned: f64,
    of_validation: f64,
    /// Units of the validations that were seen.
    validations: f64,
    /// Units and seconds after the first step, of this process.
    first: Option<[f64; 2]>,
}

impl Pace {
    /// Of a run that is planned to cost so many units, validations aside, each of which costs so many more.
    pub(super) fn new(planned: f64, of_validation: f64) -> Self {
        Self { planned, of_validation, validations: 0.0, first: None }
    }

    /// After the next step: the part of the run that is done, 0 to 1, and the seconds left; none after the first, which
    /// says nothing yet.
    pub(super) fn at(&mut self, step: &StepRecord) -> (f64, Option<f64>) {
        self.validations += if step.held_out.is_some() { self.of_validation } else { 0.0 };
        let now = [step.units - self.validations, step.wall_seconds];
        let first = *self.first.get_or_insert(now);
        let [units, seconds] = [0, 1].map(|i| now[i] - first[i]);
        let left = (units > 0.0).then(|| seconds / units * (self.planned - now[0]).max(0.0));
        ((now[0] / self.planned).clamp(0.0, 1.0), left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(units: f64, seconds: f64, held_out: &str) -> StepRecord {
        let text = format!(
            r#"{{"stage":"full","examples":10,"iteration":1,"loss":1,"gradient_norm":1,"step_norm":1,"step_length":1,
            "evaluations":1,"restarted":false,"inner_iterations":0,"units":{units},"cost_epochs":1,
            "wall_seconds":{seconds},"held_out":{held_out}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn set_up_is_not_counted() {
        let mut pace = Pace::new(1000.0, 50.0);
        // twenty seconds of set-up, then a hundred units a second
        assert_eq!(pace.at(&step(100.0, 21.0, "null")), (0.1, None));
        assert_eq!(pace.at(&step(200.0, 22.0, "null")), (0.2, Some(8.0)));
        assert_eq!(pace.at(&step(600.0, 26.0, "null")), (0.6, Some(4.0)));
        assert_eq!(pace.at(&step(1100.0, 31.0, "null")), (1.0, Some(0.0)));
        let mut pace = Pace::new(1000.0, 50.0);
        let validation = r#"{"loss":1,"accuracy":0.5}"#;
        assert_eq!(pace.at(&step(150.0, 21.0, validation)), (0.1, None));
        assert_eq!(pace.at(&step(600.0, 26.0, validation)), (0.5, Some(6.25)), "they come on top of what is planned");
    }
}
