//! Which classes are likely by the logits of a picture.

/// A class that is likely for a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Likely {
    /// Which, an index of the class names.
    pub class: usize,
    /// Its probability as the network has it: the softmax of the logits. NaN where one of these is not finite.
    pub confidence: f64,
}

/// The likeliest classes by these logits `[M]`, at most so many, the likeliest first; of equal ones the first, as in an
/// evaluation.
pub fn likeliest(logits: &[f32], most: usize) -> Vec<Likely> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exponential = |z: f32| f64::from(z - largest).exp();
    let sum: f64 = logits.iter().map(|&z| exponential(z)).sum();
    let likely = logits.iter().enumerate().map(|(class, &z)| Likely { class, confidence: exponential(z) / sum });
    let mut all: Vec<Likely> = likely.collect();
    // nothing is less likely than what is no number, and -0 is 0
    let rank = |z: f32| if z.is_nan() { f32::NEG_INFINITY } else { z + 0.0 };
    all.sort_by(|a, b| rank(logits[b.class]).total_cmp(&rank(logits[a.class])));
    all.truncate(most);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likeliest_class_comes_first_and_of_equal_ones_the_first() {
        let [a, b, c] = likeliest(&[1.0, 3.0, 3.0, 0.0], 3)[..] else { panic!("three") };
        assert_eq!([a.class, b.class, c.class], [1, 2, 0]);
        assert!((a.confidence - 1.0 / (2.0 + (-2f64).exp() + (-3f64).exp())).abs() < 1e-12);
        assert_eq!(likeliest(&[0.0, -0.0], 9)[0].class, 0);
        assert_eq!(likeliest(&[2.0], 9), [Likely { class: 0, confidence: 1.0 }]);
        let not_finite = likeliest(&[f32::NAN, 1.0], 2);
        assert!(not_finite[0].class == 1 && not_finite[0].confidence.is_nan());
    }
}
