//! The vector space an optimiser works in: GPU buffers in training, `Vec<f64>` in tests.

use crate::error::Result;
use crate::update::{AdamUpdate, Matrix, MomentumUpdate, MuonUpdate, NaturalUpdate};

/// The few operations an optimiser needs. Vectors stay where they are; only the scalars of [`Space::dots`]
/// are read back.
pub trait Space {
    /// A vector of the space's dimension.
    type Vector: Clone + Send + 'static;

    /// A new vector of zeros.
    fn zeros(&self) -> Result<Self::Vector>;

    /// y ← αx + βy, as in BLAS: with β = 0, y is overwritten whatever it held, NaN included.
    fn axpby(&self, alpha: f64, x: &Self::Vector, beta: f64, y: &mut Self::Vector) -> Result<()>;

    /// The inner products of the pairs. One call is one round trip to the device, so callers batch. The same
    /// vectors give the same bits, in every pair and in every run: resuming a run relies on it.
    fn inner_products(&self, pairs: &[(&Self::Vector, &Self::Vector)]) -> Result<Vec<f64>>;

    /// The same for a number of pairs that is known beforehand.
    fn dots<const N: usize>(&self, pairs: [(&Self::Vector, &Self::Vector); N]) -> Result<[f64; N]> {
        let products = self.inner_products(&pairs)?;
        Ok(std::array::from_fn(|i| products[i]))
    }

    /// out ← Σ cᵢ vᵢ, whatever it held. `out` is none of the vectors.
    fn combine(&self, terms: &[(f64, &Self::Vector)], out: &mut Self::Vector) -> Result<()>;

    /// A new vector αx.
    fn scaled(&self, alpha: f64, x: &Self::Vector) -> Result<Self::Vector> {
        let mut out = self.zeros()?;
        self.axpby(alpha, x, 0.0, &mut out)?;
        Ok(out)
    }

    /// x in memory of its own, for whoever goes on to overwrite one of the two.
    fn copied(&self, x: &Self::Vector) -> Result<Self::Vector> {
        self.scaled(1.0, x)
    }

    /// xᵀy, alone in its round trip.
    fn dot(&self, x: &Self::Vector, y: &Self::Vector) -> Result<f64> {
        self.dots([(x, y)]).map(|[product]| product)
    }

    /// to ← from.
    fn copy(&self, from: &Self::Vector, to: &mut Self::Vector) -> Result<()> {
        self.axpby(1.0, from, 0.0, to)
    }
}

/// A space of coordinates, some of which may make up matrices, in which methods of first order take their steps.
/// Nothing is read back but for [`Elementwise::norms`].
pub trait Elementwise: Space {
    /// m ← β₁ m + (1 − β₁) g, v ← β₂ v + (1 − β₂) g², x ← x − step · m / (√v + ε), element by element.
    fn adam(
        &self,
        by: &AdamUpdate,
        gradient: &Self::Vector,
        moments: [&mut Self::Vector; 2],
        x: &mut Self::Vector,
    ) -> Result<()>;

    /// v ← μ v + g, x ← x − a v − b g.
    fn momentum(
        &self,
        by: &MomentumUpdate,
        gradient: &Self::Vector,
        velocity: &mut Self::Vector,
        x: &mut Self::Vector,
    ) -> Result<()>;

    /// [`NaturalUpdate::apply`] with d = K⁻¹g: as far along −K⁻¹g as the divergence κ of the predictions allows, with
    /// Nesterov's momentum, x being the point ahead. Of `slopes` the first entries hold gᵀd of the last updates.
    fn natural(
        &self,
        by: &NaturalUpdate,
        gradient: &Self::Vector,
        direction: &Self::Vector,
        memory: [&mut Self::Vector; 2],
        x: &mut Self::Vector,
    ) -> Result<()>;

    /// The first entries of `norms` ← ‖W‖ of each matrix W of x.
    fn norms(&self, x: &Self::Vector, norms: &mut Self::Vector) -> Result<()>;

    /// [`MuonUpdate::apply`] with the matrices of the space. Of `memory` the last holds the norms that they began with.
    fn muon(
        &self,
        by: &MuonUpdate,
        gradient: &Self::Vector,
        memory: [&mut Self::Vector; 3],
        x: &mut Self::Vector,
    ) -> Result<()>;

    /// mean ← mean + weight (x − mean).
    fn average(&self, weight: f64, x: &Self::Vector, mean: &mut Self::Vector) -> Result<()> {
        self.axpby(weight, x, 1.0 - weight, mean)
    }
}

/// ℝⁿ on the CPU in f64: for tests and small problems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Euclidean {
    /// n, the dimension.
    pub dimension: usize,
    /// The matrices in a vector, in order and apart.
    pub matrices: &'static [Matrix],
}

impl Euclidean {
    /// One without matrices.
    pub const fn new(dimension: usize) -> Self {
        Self { dimension, matrices: &[] }
    }
}

impl Space for Euclidean {
    type Vector = Vec<f64>;

    fn zeros(&self) -> Result<Vec<f64>> {
        Ok(vec![0.0; self.dimension])
    }

    fn axpby(&self, alpha: f64, x: &Vec<f64>, beta: f64, y: &mut Vec<f64>) -> Result<()> {
        assert_eq!((x.len(), y.len()), (self.dimension, self.dimension), "vectors of another space");
        for (y, x) in y.iter_mut().zip(x) {
            *y = if beta == 0.0 { alpha * x } else { alpha * x + beta * *y };
        }
        Ok(())
    }

    fn inner_products(&self, pairs: &[(&Vec<f64>, &Vec<f64>)]) -> Result<Vec<f64>> {
        let product = |(x, y): &(&Vec<f64>, &Vec<f64>)| {
            assert_eq!((x.len(), y.len()), (self.dimension, self.dimension), "vectors of another space");
            x.iter().zip(y.iter()).map(|(x, y)| x * y).sum()
        };
        Ok(pairs.iter().map(product).collect())
    }

    fn combine(&self, terms: &[(f64, &Vec<f64>)], out: &mut Vec<f64>) -> Result<()> {
        for (i, x) in out.iter_mut().enumerate() {
            *x = terms.iter().map(|(c, v)| c * v[i]).sum();
        }
        Ok(())
    }
}

impl Elementwise for Euclidean {
    fn adam(&self, by: &AdamUpdate, gradient: &Vec<f64>, [m, v]: [&mut Vec<f64>; 2], x: &mut Vec<f64>) -> Result<()> {
        assert!([gradient, m, v, x].iter().all(|vector| vector.len() == self.dimension), "vectors of another space");
        by.apply(gradient, [m, v], x);
        Ok(())
    }

    fn momentum(&self, by: &MomentumUpdate, gradient: &Vec<f64>, v: &mut Vec<f64>, x: &mut Vec<f64>) -> Result<()> {
        assert!([gradient, v, x].iter().all(|vector| vector.len() == self.dimension), "vectors of another space");
        by.apply(gradient, v, x);
        Ok(())
    }

    fn natural(
        &self,
        by: &NaturalUpdate,
        g: &Vec<f64>,
        d: &Vec<f64>,
        [v, slopes]: [&mut Vec<f64>; 2],
        x: &mut Vec<f64>,
    ) -> Result<()> {
        assert!([g, d, v, slopes, x].iter().all(|vector| vector.len() == self.dimension), "vectors of another space");
        by.apply(g.iter().zip(d).map(|(g, d)| g * d).sum(), slopes, d, [v, x]);
        Ok(())
    }

    fn norms(&self, x: &Vec<f64>, norms: &mut Vec<f64>) -> Result<()> {
        norms.iter_mut().zip(self.matrices).for_each(|(norm, matrix)| *norm = matrix.norm(x));
        Ok(())
    }

    fn muon(&self, by: &MuonUpdate, g: &Vec<f64>, memory: [&mut Vec<f64>; 3], x: &mut Vec<f64>) -> Result<()> {
        assert!(g.len() == self.dimension && x.len() == self.dimension, "vectors of another space");
        by.apply(self.matrices, g, memory.map(|vector| &mut vector[..]), x);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPACE: Euclidean = Euclidean::new(3);

    #[test]
    fn axpby_combines_two_vectors() -> Result<()> {
        let mut y = vec![10.0, 20.0, 30.0];
        SPACE.axpby(2.0, &vec![1.0, 2.0, 3.0], -0.5, &mut y)?;
        assert_eq!(y, [-3.0, -6.0, -9.0]);
        Ok(())
    }

    #[test]
    fn beta_zero_overwrites_what_is_not_finite() -> Result<()> {
        let mut y = vec![f64::NAN, f64::INFINITY, 1.0];
        SPACE.axpby(2.0, &vec![1.0, 2.0, 3.0], 0.0, &mut y)?;
        assert_eq!(y, [2.0, 4.0, 6.0]);
        let mut copy = vec![f64::NAN; 3];
        SPACE.copy(&y, &mut copy)?;
        assert_eq!(copy, y);
        Ok(())
    }

    #[test]
    fn dots_keep_the_order_of_the_pairs() -> Result<()> {
        let (x, y) = (vec![1.0, 2.0, 3.0], vec![4.0, -5.0, 6.0]);
        assert_eq!(SPACE.dots([(&x, &x), (&x, &y), (&y, &y)])?, [14.0, 12.0, 77.0]);
        assert_eq!(SPACE.dot(&y, &x)?, 12.0);
        assert_eq!(SPACE.zeros()?, [0.0; 3]);
        let mut sum = vec![f64::NAN; 3];
        SPACE.combine(&[(2.0, &x), (-1.0, &y)], &mut sum)?;
        assert_eq!(sum, [-2.0, 9.0, 0.0]);
        Ok(())
    }

    #[test]
    #[should_panic(expected = "vectors of another space")]
    fn vectors_of_another_space_are_refused() {
        let _ = SPACE.dot(&vec![1.0], &vec![1.0, 2.0, 3.0]);
    }
}
