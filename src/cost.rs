//! The computing expense, counted example by example.

use serde::{Deserialize, Serialize};
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
        Units((self.forward + 2 * self.backward + 2 * self.tangent) as f64 / 3.0)
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
/// network. A budget is an amount from the option that gives it to the mini-batch that ends it.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Units(f64);

impl Units {
    /// As many as that.
    pub const fn new(count: f64) -> Self {
        Self(count)
    }

    /// That many passes over a set, forward and backward; an epoch is one over the whole training set.
    pub fn of_passes(passes: f64, examples: usize) -> Self {
        Self(passes * examples as f64)
    }

    /// The number of them.
    pub const fn count(self) -> f64 {
        self.0
    }

    /// As passes over a set.
    pub fn passes(self, examples: usize) -> f64 {
        self.0 / examples as f64
    }
}

impl Add for Units {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sub for Units {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
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
}
