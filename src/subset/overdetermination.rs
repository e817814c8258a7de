//! The overdetermination ratio.

/// Q = K·M/P: equations (examples × outputs) a parameter has to satisfy (arXiv 2410.16523, section 3). The minimum of a
/// subset stands for the minimum of the whole set when Q is well above one.
pub fn overdetermination(examples: usize, classes: usize, parameters: usize) -> f64 {
    (examples * classes) as f64 / parameters as f64
}

/// The least Q that a subset chosen for the user has.
pub const WELL_ABOVE_ONE: f64 = 4.0;
