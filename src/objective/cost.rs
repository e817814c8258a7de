//! The computing expense, counted example by example.

use serde::{Deserialize, Serialize};
use std::ops::{Add, AddAssign};

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
    pub fn units(&self) -> f64 {
        (self.forward + 2 * self.backward + 2 * self.tangent) as f64 / 3.0
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gradient_is_one_unit_and_a_gauss_newton_product_five_thirds() {
        let gradient = Cost { forward: 30, backward: 30, tangent: 0 };
        assert_eq!(gradient.units(), 30.0);
        assert_eq!((gradient + Cost { tangent: 30, ..Cost::default() }).units(), 50.0);
    }
}
