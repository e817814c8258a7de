//! Matrices orthogonalised by the iteration of Newton and Schulz, all of them at once: X ← a X + (b S + c S²) X with
//! S = X Xᵀ, from U / ‖U‖ on.
//!
//! All iterates are P X₀, P being a polynomial of S₀ = X₀ X₀ᵀ, and so symmetric as all of these are. It is therefore
//! enough to iterate on the shorter side: with R = b S + c S², P ← a P + P R and S ← (a + R) S (a + R). Of the longer
//! side there are two products, S₀ and P X₀, in place of ten. Matrices lie in blocks of 32 rows,
//! `[row block][column][32 rows]`, and everything is one product, α B + γ X Wᵀ (`newton_schulz_product.wgsl`).

mod iterate;
mod placement;

pub(super) use iterate::{LOAD, PRODUCT};
pub(super) use placement::Group;
pub use placement::Squares;

use crate::device::{Buf, Gpu};
use crate::error::Result;
use crate::program::Dispatch;
use crate::update::Matrix;
use crate::update::muon::ITERATIONS;

/// Room for matrices and what their iteration takes.
#[derive(Clone, Debug)]
pub struct NewtonSchulz {
    /// As many matrices in one array as can be bound.
    pub(super) groups: Vec<Group>,
}

impl NewtonSchulz {
    /// For these matrices of a vector.
    ///
    /// # Errors
    /// As [`Gpu::alloc_quads`].
    pub fn new(gpu: &Gpu, matrices: &[Matrix]) -> Result<Self> {
        Self::within(gpu, matrices, gpu.max_binding_words().min(gpu.max_quads_words()))
    }

    /// The same with at most so many words in an array, unless a single matrix takes more.
    ///
    /// # Errors
    /// As [`NewtonSchulz::new`].
    pub fn within(gpu: &Gpu, matrices: &[Matrix], most: usize) -> Result<Self> {
        Ok(Self { groups: Group::of(gpu, matrices, most)? })
    }

    /// The steps that orthogonalise the matrices of `u`, whose words' squares are summed.
    ///
    /// # Errors
    /// As [`Dispatch::new`].
    pub fn orthogonalise(&self, gpu: &Gpu, u: &Buf, squares: &Squares) -> Result<Vec<Dispatch>> {
        let steps = self.groups.iter().map(|group| group.orthogonalise(gpu, u, squares));
        Ok(steps.collect::<Result<Vec<_>>>()?.concat())
    }

    /// What came of matrix `i`, in its own layout, for tests.
    ///
    /// # Errors
    /// As [`Gpu::read_quads`].
    pub fn read(&self, gpu: &Gpu, i: usize) -> Result<Vec<f32>> {
        let with = self.groups.iter().find_map(|group| Some((group, group.matrices.iter().find(|m| m.number == i)?)));
        let (group, matrix) = with.expect("a matrix of these");
        let m: Vec<f32> = gpu.read_quads(&group.m)?;
        let Matrix { rows, columns, .. } = matrix.of;
        let at = |row: usize, column: usize| {
            let [short, long] = if rows <= columns { [row, column] } else { [column, row] };
            m[matrix.result().word(long, short)]
        };
        Ok((0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))).map(|(r, c)| at(r, c)).collect())
    }
}

/// Multiply-adds of orthogonalising these matrices: of m × n, m being the shorter side, S₀ and P X₀ take m² n each, and
/// an iteration S², P R, S R and its product with R, of which the last two have no use in the last iteration, m³ each.
pub fn multiply_adds(matrices: &[Matrix]) -> u64 {
    let of_iterations = 4 * ITERATIONS as u64 - 2;
    let of = |matrix: &Matrix| {
        let [short, long] = matrix.sides().map(|side| side as u64);
        let of_row = (2 * long).saturating_add(of_iterations * short);
        short.saturating_mul(short).saturating_mul(of_row)
    };
    matrices.iter().map(of).fold(0, u64::saturating_add)
}

/// The same in f64, by the iteration as it is written.
pub mod reference {
    pub use crate::update::muon::orthogonalise;
}
