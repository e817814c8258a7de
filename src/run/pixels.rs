//! What pixels a network reads, of weights that do not say.

use crate::error::{Result, UsageError};

/// Values of a pixel.
const BYTE: f64 = 255.0;

/// The mean that is subtracted from pixels of 0 to 1, and the deviation that they are then divided by: one for all
/// channels or one for each, or none for 0 and 1.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pixels {
    /// Means.
    pub mean: Vec<f64>,
    /// Standard deviations.
    pub deviation: Vec<f64>,
}

impl Pixels {
    /// Whether anything is said.
    pub fn is_empty(&self) -> bool {
        self.mean.is_empty() && self.deviation.is_empty()
    }

    /// What a network that reads such pixels does to bytes, where it does this to 255 times pixels of 0 to 1: mean and
    /// deviation of each channel.
    pub(super) fn applied(&self, normalisation: &[(f64, f64)]) -> Result<Vec<(f64, f64)>> {
        let channels = normalisation.len();
        let each = |what: &str, values: &[f64], usual: f64| match values {
            [] => Ok(vec![usual; channels]),
            [one] => Ok(vec![*one; channels]),
            all if all.len() == channels => Ok(all.to_vec()),
            all => Err(UsageError::Pixels { why: format!("{} {what}s for {channels} channels", all.len()) }),
        };
        let (means, deviations) = (each("mean", &self.mean, 0.0)?, each("deviation", &self.deviation, 1.0)?);
        if !means.iter().all(|mean| mean.is_finite()) || !deviations.iter().all(|by| by.is_normal() && *by > 0.0) {
            return Err(
                UsageError::Pixels { why: "a mean is no number, or a deviation none above 0".to_owned() }.into()
            );
        }
        let all = normalisation.iter().zip(means.into_iter().zip(deviations));
        Ok(all.map(|(&(mean, by), (first, first_by))| (BYTE * first + first_by * mean, first_by * by)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_for_all_channels_or_one_for_each() {
        let bytes = [(0.0, 255.0), (51.0, 255.0)];
        let pixels = |mean: &[f64], by: &[f64]| Pixels { mean: mean.to_vec(), deviation: by.to_vec() }.applied(&bytes);
        assert_eq!(pixels(&[], &[]).unwrap(), bytes);
        // ((p/255 − 1/2) / (1/4) − 1/5) / 1
        assert_eq!(pixels(&[0.5], &[0.25]).unwrap(), [(127.5, 63.75), (140.25, 63.75)]);
        assert_eq!(pixels(&[0.0, 1.0], &[]).unwrap(), [(0.0, 255.0), (306.0, 255.0)]);
        for (mean, by) in
            [(&[0.0; 3][..], &[][..]), (&[], &[1.0; 3]), (&[f64::NAN], &[]), (&[], &[0.0]), (&[], &[-1.0])]
        {
            assert!(pixels(mean, by).is_err(), "{mean:?} {by:?}");
        }
    }
}
