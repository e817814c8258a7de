//! The computing expense: examples passed through the network, counted as such, and all other work in multiply-adds.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::ops::{Add, AddAssign, Sub};

/// Parts of a forward pass that work besides is counted in.
const GRAINS: u64 = 1000;

/// Parts of a unit, which is three forward passes.
const GRAINS_OF_UNIT: f64 = 3.0 * GRAINS as f64;

/// What was computed, in whole numbers, so that a run which was stopped and went on counts as one that was not. One
/// unit is one example forward and backward: a forward pass is 1/3 of it, backward 2/3, and a tangent (two products
/// where forward has one) 2/3. All other work is a share of a forward pass by its multiply-adds ([`Yardstick`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Examples forward.
    pub forward: u64,
    /// Examples backward.
    pub backward: u64,
    /// Examples through the tangent network (R-forward).
    pub tangent: u64,
    /// All other work, in thousandths of one example's forward pass.
    pub besides: u64,
    /// Forward passes that only [`Cost::network_units`] counts, in place of a part of what is `besides`.
    pub in_place: u64,
}

impl Cost {
    /// Everything, in units of one example forward and backward.
    pub fn units(&self) -> Units {
        Units { grains: self.passes().saturating_mul(GRAINS).saturating_add(self.besides) }
    }

    /// The same by the count that has no other work: a look at Kronecker factors is a backward pass of its examples, a
    /// look at patches a forward pass, and the rest nothing. Tables made before there was another have this one.
    pub fn network_units(&self) -> Units {
        Units { grains: self.passes().saturating_add(self.in_place).saturating_mul(GRAINS) }
    }

    /// Passes through the network, in forward ones.
    fn passes(&self) -> u64 {
        let backward = self.backward.saturating_add(self.tangent).saturating_mul(2);
        self.forward.saturating_add(backward)
    }

    fn with(self, other: Self, of: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            forward: of(self.forward, other.forward),
            backward: of(self.backward, other.backward),
            tangent: of(self.tangent, other.tangent),
            besides: of(self.besides, other.besides),
            in_place: of(self.in_place, other.in_place),
        }
    }
}

impl Add for Cost {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        self.with(other, u64::saturating_add)
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
        self.with(other, |a, b| a - b)
    }
}

/// What other work is measured by: one example's forward pass through a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Yardstick {
    multiply_adds: u64,
}

impl Yardstick {
    /// A network whose products take so many multiply-adds forward.
    pub fn new(multiply_adds: usize) -> Self {
        Self { multiply_adds: (multiply_adds as u64).max(1) }
    }

    /// So many multiply-adds done at once, rounded up to whole thousandths of a forward pass. A multiplication with its
    /// addition is one; a division and a root are one each.
    pub fn cost(self, multiply_adds: u64) -> Cost {
        let grains = (u128::from(multiply_adds) * u128::from(GRAINS)).div_ceil(self.multiply_adds.into());
        Cost { besides: u64::try_from(grains).unwrap_or(u64::MAX), ..Cost::default() }
    }

    /// The other way round: units as multiply-adds, rounded up.
    pub fn multiply_adds(self, units: Units) -> u64 {
        let work = (u128::from(units.grains) * u128::from(self.multiply_adds)).div_ceil(GRAINS.into());
        u64::try_from(work).unwrap_or(u64::MAX)
    }
}

/// An amount of computing, spent or to be spent: one is an example forward and backward, whatever the set and the
/// network. A budget is an amount from the option that gives it to the mini-batch that ends it. It is counted in whole
/// three-thousandths, so that a run which was stopped and went on has spent what one that was not has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Units {
    grains: u64,
}

impl Units {
    /// As many as that, to the nearest three-thousandth; none where it is no number from 0 up.
    pub const fn new(count: f64) -> Self {
        Self { grains: (GRAINS_OF_UNIT * count + 0.5) as u64 }
    }

    /// That many passes over a set, forward and backward; an epoch is one over the whole training set.
    pub fn of_passes(passes: f64, examples: usize) -> Self {
        Self::new(passes * examples as f64)
    }

    /// The number of them.
    pub const fn count(self) -> f64 {
        self.grains as f64 / GRAINS_OF_UNIT
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
        Self { grains: self.grains.saturating_add(other.grains) }
    }
}

/// What is left of an amount: none where more was taken from it.
impl Sub for Units {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self { grains: self.grains.saturating_sub(other.grains) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gradient_is_one_unit_and_a_gauss_newton_product_five_thirds() {
        let gradient = Cost { forward: 30, backward: 30, ..Cost::default() };
        assert_eq!(gradient.units(), Units::new(30.0));
        let product = gradient + Cost { tangent: 30, ..Cost::default() };
        assert_eq!((product.units(), product.network_units()), (Units::new(50.0), Units::new(50.0)));
    }

    #[test]
    fn other_work_is_rounded_up_where_it_is_done() {
        let yardstick = Yardstick::new(2000);
        let [none, least, pass] = [0, 1, 2000].map(|multiply_adds| yardstick.cost(multiply_adds));
        assert_eq!([none, least, pass].map(|cost| cost.besides), [0, 1, 1000]);
        assert_eq!((pass + pass + pass).units(), Units::new(1.0));
        assert_eq!((pass.network_units(), yardstick.multiply_adds(pass.units())), (Units::default(), 2000));
        assert_eq!(yardstick.cost(u64::MAX).besides, u64::MAX / 2 + 1);
        assert_eq!(Yardstick::new(0).cost(u64::MAX).besides, u64::MAX);
        let look = Cost { in_place: 3, ..least };
        assert_eq!((look.units(), look.network_units()), (least.units(), Units::new(1.0)));
    }

    #[test]
    fn passes_and_units_are_two_names_of_one_amount() {
        let budget = Units::of_passes(1.5, 60);
        assert_eq!((budget.count(), budget.passes(60), budget.passes(30)), (90.0, 1.5, 3.0));
    }

    #[test]
    fn amounts_are_whole_after_a_file_too() {
        for grains in [0, 1, 2, 66_600, 1 << 50] {
            let units = Units { grains };
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
