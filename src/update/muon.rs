//! Muon: the matrices among the parameters move along their orthogonalised momentum, all others by Adam.

use super::AdamUpdate;
use std::ops::Range;

/// A matrix in a parameter vector: `rows` × `columns` words from `start` on, row by row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Matrix {
    /// Its first word.
    pub start: usize,
    /// Outputs of its layer.
    pub rows: usize,
    /// Inputs of its layer times the positions of a filter.
    pub columns: usize,
}

/// Coefficients of an update of Muon (K. Jordan and others 2024, kellerjordan.github.io/posts/muon).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MuonUpdate {
    /// μ, how much of the velocity is kept.
    pub momentum: f64,
    /// η, the length of a step of a matrix, about, as a share of the norm that it began with.
    pub rate: f64,
    /// Whether a matrix is scaled back to the norm that it began with.
    pub hold: bool,
    /// How all other parameters move.
    pub others: AdamUpdate,
}

impl Matrix {
    /// Its words.
    pub fn range(&self) -> Range<usize> {
        self.start..self.start + self.rows * self.columns
    }

    /// ‖W‖ in a vector, Frobenius.
    pub fn norm(&self, vector: &[f64]) -> f64 {
        norm(&vector[self.range()])
    }

    /// Its shorter side and its longer one.
    pub fn sides(&self) -> [usize; 2] {
        [self.rows.min(self.columns), self.rows.max(self.columns)]
    }
}

/// The words of a vector of so many that are in none of its matrices, which are in order and apart.
pub fn others(matrices: &[Matrix], len: usize) -> Vec<Range<usize>> {
    let ends = std::iter::once(0).chain(matrices.iter().map(|matrix| matrix.range().end));
    let starts = matrices.iter().map(|matrix| matrix.start).chain([len]);
    let between = ends.zip(starts).inspect(|(end, start)| assert!(end <= start, "matrices in order and apart"));
    between.map(|(end, start)| end..start).filter(|words| !words.is_empty()).collect()
}

/// a, b and c of an iteration of Newton and Schulz, X ← a X + (b S + c S²) X with S = X Xᵀ. The quintic's slope at 0 is
/// large, so that five of them bring singular values from 0.01 up to between 0.7 and 1.2; nearer to 1 is no use.
pub const NEWTON_SCHULZ: [f64; 3] = [3.4445, -4.7750, 2.0315];

/// Iterations of it.
pub const ITERATIONS: usize = 5;

impl MuonUpdate {
    /// Multiply-adds of an element, orthogonalising left out: as many as Adam's, which the others take. A matrix has
    /// one each of v, u, its norm, its division and x, and where it is held two more.
    pub const MULTIPLY_ADDS: usize = AdamUpdate::MULTIPLY_ADDS;

    /// Of a matrix W that began with norm ‖W₀‖, its entry of `norms`: v ← μ v + g, u = g + μ v (Nesterov), W ← W −
    /// η ‖W₀‖ / √(its shorter side) · [`orthogonalise`] u, and with `hold` W ← W · ‖W₀‖ / ‖W‖. A matrix that was zero
    /// stays so. Of all other parameters v and s are the moments of Adam.
    pub fn apply(&self, matrices: &[Matrix], g: &[f64], [v, s, norms]: [&mut [f64]; 3], x: &mut [f64]) {
        for words in others(matrices, x.len()) {
            let moments = [&mut v[words.clone()], &mut s[words.clone()]];
            self.others.apply(&g[words.clone()], moments, &mut x[words]);
        }
        for (matrix, first) in matrices.iter().zip(norms) {
            let (g, v, w) = (&g[matrix.range()], &mut v[matrix.range()], &mut x[matrix.range()]);
            v.iter_mut().zip(g).for_each(|(v, g)| *v = self.momentum * *v + g);
            let u: Vec<f64> = g.iter().zip(&*v).map(|(g, v)| g + self.momentum * v).collect();
            let [rank, _] = matrix.sides();
            let step = self.rate * *first / (rank as f64).sqrt();
            w.iter_mut().zip(orthogonalise(matrix, &u)).for_each(|(w, o)| *w -= step * o);
            let now = norm(w);
            if self.hold && now > 0.0 {
                w.iter_mut().for_each(|w| *w *= *first / now);
            }
        }
    }
}

fn norm(w: &[f64]) -> f64 {
    w.iter().map(|w| w * w).sum::<f64>().sqrt()
}

/// [`ITERATIONS`] of [`NEWTON_SCHULZ`] from U / ‖U‖ on, with the shorter side as rows: all singular values near 1, of
/// zero zero.
pub fn orthogonalise(matrix: &Matrix, u: &[f64]) -> Vec<f64> {
    let [rows, columns] = matrix.sides();
    let is_tall = matrix.rows > matrix.columns;
    let [a, b, c] = NEWTON_SCHULZ;
    let norm = norm(u);
    let scale = if norm > 0.0 { 1.0 / norm } else { 0.0 };
    let place = |i: usize, j: usize| if is_tall { j * rows + i } else { i * columns + j };
    let entries = (0..rows).flat_map(|i| (0..columns).map(move |j| (i, j)));
    let mut x: Vec<f64> = entries.map(|(i, j)| scale * u[place(i, j)]).collect();
    for _ in 0..ITERATIONS {
        let s = times(&x, &transposed(&x, columns), rows);
        let square = times(&s, &s, rows);
        let by: Vec<f64> = s.iter().zip(&square).map(|(s, square)| b * s + c * square).collect();
        let change = times(&by, &x, rows);
        x.iter_mut().zip(change).for_each(|(x, change)| *x = a * *x + change);
    }
    if is_tall { transposed(&x, columns) } else { x }
}

/// A B, A having so many rows.
fn times(a: &[f64], b: &[f64], rows: usize) -> Vec<f64> {
    let inner = a.len() / rows;
    let columns = b.len() / inner;
    let mut product = vec![0.0; rows * columns];
    for (row, a) in product.chunks_exact_mut(columns).zip(a.chunks_exact(inner)) {
        for (a, b) in a.iter().zip(b.chunks_exact(columns)) {
            row.iter_mut().zip(b).for_each(|(sum, b)| *sum += a * b);
        }
    }
    product
}

/// Aᵀ, A having so many columns.
fn transposed(a: &[f64], columns: usize) -> Vec<f64> {
    (0..columns).flat_map(|j| a.iter().skip(j).step_by(columns).copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_no_matrix_is_found() {
        let matrix = |start, rows, columns| Matrix { start, rows, columns };
        assert_eq!(others(&[], 3).first(), Some(&(0..3)));
        assert!(others(&[matrix(0, 2, 2), matrix(4, 1, 3)], 7).is_empty());
        assert_eq!(others(&[matrix(2, 2, 2), matrix(8, 1, 1)], 10), [0..2, 6..8, 9..10]);
    }

    #[test]
    fn singular_values_come_near_one_and_zero_stays() {
        // diagonal: singular values are the entries
        for [rows, columns] in [[3, 4], [4, 3], [3, 3]] {
            let matrix = Matrix { start: 0, rows, columns };
            let at = |i: usize| i * columns + i;
            let mut u = vec![0.0; rows * columns];
            [2.0, 0.5, 0.125].into_iter().enumerate().for_each(|(i, value)| u[at(i)] = value);
            let found = orthogonalise(&matrix, &u);
            assert!((0..3).all(|i| (0.68..1.15).contains(&found[at(i)])), "{found:?}");
            assert_eq!(found.iter().filter(|value| **value != 0.0).count(), 3);
            assert_eq!(orthogonalise(&matrix, &vec![0.0; rows * columns]), vec![0.0; rows * columns]);
        }
    }

    #[test]
    fn a_matrix_that_is_held_keeps_its_norm() {
        let others = AdamUpdate { beta1: 0.9, beta2: 0.999, step: 0.1, epsilon: 1e-8 };
        let by = MuonUpdate { momentum: 0.9, rate: 0.5, hold: true, others };
        let matrices = [Matrix { start: 1, rows: 2, columns: 2 }];
        let (mut x, mut v, mut s) = ([1.0, 3.0, 0.0, 0.0, 4.0], [0.0; 5], [0.0; 5]);
        let before = x;
        by.apply(&matrices, &[1.0, 0.5, -1.0, 2.0, 0.25], [&mut v, &mut s, &mut [5.0]], &mut x);
        assert!((norm(&x[1..]) - 5.0).abs() < 1e-14 && x[1..] != before[1..], "{x:?}");
        // m = 0.1 g and s = 0.001 g²
        assert!((x[0] - (1.0 - 0.1 * 0.1 / 0.001f64.sqrt())).abs() < 1e-6 && s[1..] == [0.0; 4], "{x:?} {s:?}");
    }
}
