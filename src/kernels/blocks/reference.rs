//! The same in f64.

/// S⁻¹ of a symmetric positive definite matrix `[side][side]`, by Cholesky factorisation.
pub fn inverse(s: &[f64]) -> Vec<f64> {
    let side = s.len().isqrt();
    let mut l = s.to_vec();
    for j in 0..side {
        l[j * side + j] = l[j * side + j].sqrt();
        for i in j + 1..side {
            l[i * side + j] /= l[j * side + j];
        }
        for i in j + 1..side {
            for c in j + 1..=i {
                l[i * side + c] -= l[i * side + j] * l[c * side + j];
            }
        }
    }
    let mut inverse = vec![0.0; side * side];
    for col in 0..side {
        let mut x = vec![0.0; side];
        for row in col..side {
            let sum: f64 = (col..row).map(|c| l[row * side + c] * x[c]).sum();
            x[row] = (f64::from(u8::from(row == col)) - sum) / l[row * side + row];
        }
        for row in (0..side).rev() {
            let sum: f64 = (row + 1..side).map(|c| l[c * side + row] * inverse[col * side + c]).sum();
            inverse[col * side + row] = (x[row] - sum) / l[row * side + row];
        }
    }
    inverse
}

/// a⁻¹ on the right and g⁻¹ on the left of v `[outputs][patches]`.
pub fn between(g_inverse: &[f64], v: &[f64], a_inverse: &[f64]) -> Vec<f64> {
    let (outputs, patches) = (g_inverse.len().isqrt(), a_inverse.len().isqrt());
    let product = |a: &[f64], b: &[f64], inner: usize, columns: usize| -> Vec<f64> {
        let entry = |i: usize, j: usize| (0..inner).map(|k| a[i * inner + k] * b[k * columns + j]).sum();
        (0..a.len() / inner).flat_map(|i| (0..columns).map(move |j| entry(i, j))).collect()
    };
    product(g_inverse, &product(v, a_inverse, patches, patches), outputs, patches)
}
