//! What a pass over the examples found.

/// What one pass over the examples found.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// Mean cross entropy plus λ/2 ‖θ‖²; NaN when any value on the way was not finite.
    pub loss: f64,
    /// Mean cross entropy alone.
    pub cross_entropy: f64,
    /// Share of examples whose largest logit is their label's.
    pub accuracy: f64,
    /// Share of the examples that went backward, where they were chosen.
    pub kept: Option<f64>,
    /// The first tensor that held a value which was not finite, or `the loss` where only its sums overflowed.
    pub not_finite: Option<String>,
}

impl Evaluation {
    /// From means over examples, λ with ‖θ‖², and the first tensor that was not finite.
    pub(super) fn new(
        cross_entropy: f64,
        accuracy: f64,
        weight_decay: f64,
        square: f64,
        not_finite: Option<String>,
    ) -> Self {
        // ‖θ‖² can overflow where no weight decay asks for it
        let penalty = if weight_decay == 0.0 { 0.0 } else { 0.5 * weight_decay * square };
        let loss = cross_entropy + penalty;
        let not_finite = not_finite.or_else(|| (!loss.is_finite()).then(|| "the loss".to_owned()));
        let loss = if not_finite.is_some() { f64::NAN } else { loss };
        Self { loss, cross_entropy, accuracy, kept: None, not_finite }
    }
}
