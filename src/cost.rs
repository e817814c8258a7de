//! The computing expense, counted example by example.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::ops::{Add, AddAssign, Sub};

/// Examples passed through the network, by kind of pass. One unit is one example forward and backward: a forward pass
/// is 1/3 of it, backward 2/3, and a tangent (two products where forward has one) 2/3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Examples forward.
    pub forward: u64,
    /// Examples backward.
    pub backward: u64,
    /// Examples through the tangent network (R-forward).
    pub tangent: u64,
}

impl Cost {
    /// In units of one example forward and backward.
    pub fn units(&self) -> Units {
        let two_thirds = self.backward.saturating_add(self.tangent).saturating_mul(2);
        Units { thirds: self.forward.saturating_add(two_thirds) }
    }
}

impl Add for Cost {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self {
            forward: self.forward + other.forward,
            backward: self.backward + other.backward,
            tangent: self.tangent + other.tangent,
        }
    }
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Cost {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self {
            forward: self.forward - other.forward,
            backward: self.backward - other.backward,
            tangent: self.tangent - other.tangent,
        }
    }
}

/// An amount of computing, spent or to be spent: one is an example forward and backward, whatever the set and the
/// network. A budget is an amount from the option that gives it to the mini-batch that ends it. It is counted in whole
/// thirds, so that a run which was stopped and went on has spent what one that was not has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Units {
    thirds: u64,
}

impl Units {
    /// As many as that, to the nearest third; none where it is no number from 0 up.
    pub const fn new(count: f64) -> Self {
        Self { thirds: (3.0 * count + 0.5) as u64 }
    }

    /// That many passes over a set, forward and backward; an epoch is one over the whole training set.
    pub fn of_passes(passes: f64, examples: usize) -> Self {
        Self::new(passes * examples as f64)
    }

    /// The number of them.
    pub const fn count(self) -> f64 {
        self.thirds as f64 / 3.0
    }

    /// As passes over a set.
    pub fn passes(self, examples: usize) -> f64 {
        self.count() / examples as f64
    }
}

/// The number of units.
impl Serialize for Units {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.count())
    }
}

impl<'de> Deserialize<'de> for Units {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let count = f64::deserialize(deserializer)?;
        if count.is_finite() && count >= 0.0 {
            return Ok(Self::new(count));
        }
        Err(serde::de::Error::custom(format!("{count} is no number of units from 0 up")))
    }
}

impl Add for Units {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self { thirds: self.thirds.saturating_add(other.thirds) }
    }
}

/// What is left of an amount: none where more was taken from it.
impl Sub for Units {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self { thirds: self.thirds.saturating_sub(other.thirds) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gradient_is_one_unit_and_a_gauss_newton_product_five_thirds() {
        let gradient = Cost { forward: 30, backward: 30, tangent: 0 };
        assert_eq!(gradient.units(), Units::new(30.0));
        assert_eq!((gradient + Cost { tangent: 30, ..Cost::default() }).units(), Units::new(50.0));
    }

    #[test]
    fn passes_and_units_are_two_names_of_one_amount() {
        let budget = Units::of_passes(1.5, 60);
        assert_eq!((budget.count(), budget.passes(60), budget.passes(30)), (90.0, 1.5, 3.0));
    }

    #[test]
    fn amounts_are_whole_thirds_after_a_file_too() {
        for thirds in [0, 1, 2, 66_600, 1 << 50] {
            let units = Units { thirds };
            assert_eq!(serde_json::from_str::<Units>(&serde_json::to_string(&units).unwrap()).unwrap(), units);
        }
        assert_eq!(Units::of_passes(0.1, 60_000) + Units::of_passes(0.2, 60_000), Units::of_passes(0.3, 60_000));
        assert_eq!(Units::new(1.0) - Units::new(2.0), Units::default());
        assert_eq!([f64::NAN, -1.0].map(Units::new), [Units::default(); 2]);
        assert_eq!(Units::new(1e300) + Units::new(1.0), Units::new(f64::INFINITY));
        for text in ["-1", "-1e-3", "1e999", "\"1\""] {
            assert!(serde_json::from_str::<Units>(text).is_err(), "{text}");
        }
        #[derive(Debug, Deserialize)]
        struct Of {
            #[expect(dead_code)]
            budget: Units,
        }
        for text in ["budget = nan", "budget = inf", "budget = -0.5"] {
            assert!(toml::from_str::<Of>(text).unwrap_err().message().contains("no number of units"), "{text}");
        }
    }
}
